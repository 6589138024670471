//! A client of its own make whose session goes on from socket to socket, as far as the test lets it keep to the rules.

use std::collections::HashMap;

use futures::{SinkExt, StreamExt};
use rpc_core::Service;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{Post_, PostServer};
use crate::{
    attacks::stranger::{Batch, Call, PATIENCE, Reader, Reply, inline, put_varint},
    repeat_attacks::{Chores_, ChoresServer, LineServer, ToolServer},
    sockets::TestServer,
};

const RESUME: u8 = 1;

/// The services that tabs define, and the number of each one's first method.
fn services() -> [(u32, Box<dyn Service>); 4] {
    [
        (2, Box::new(PostServer::new(Post_::default()))),
        (100, Box::new(ChoresServer::new(Chores_::default()))),
        (200, Box::new(LineServer::new(Chores_::default()))),
        (300, Box::new(ToolServer::new(Chores_::default()))),
    ]
}

/// The number that a tab gives a method.
fn number_of(method: &str) -> u32 {
    let number = services().iter().find_map(|(first, service)| {
        let index = service.descriptor().methods.iter().position(|known| known.name == method)?;
        Some(first + index as u32)
    });
    number.unwrap()
}

fn define_all(mut batch: Batch) -> Batch {
    for (first, service) in services() {
        let service = service.descriptor();
        for (index, method) in service.methods.iter().enumerate() {
            let number = first + index as u32;
            batch = batch.define(number, service.name, method.name, method.signature().fingerprint);
        }
    }
    batch
}

/// A frame about the socket.
fn frame_of_socket(kind: u8, number: u64) -> Batch {
    let mut out = vec![kind];
    put_varint(&mut out, number);
    Batch(out)
}

pub(crate) fn ack(messages: u64) -> Batch {
    frame_of_socket(0x0a, messages)
}

pub(crate) fn ping() -> Batch {
    frame_of_socket(0x0b, 1)
}

pub(crate) fn skip(next: u64) -> Batch {
    frame_of_socket(0x0d, next)
}

/// Both in one message.
pub(crate) fn joined(first: Batch, second: &Batch) -> Batch {
    let mut out = first.0;
    out.extend(&second.0);
    Batch(out)
}

/// The numbers of a resume, as `wire.rs` has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resume {
    pub(crate) accepted: u64,
    pub(crate) first: u64,
    pub(crate) fresh: u64,
    pub(crate) detached_us: u64,
}

/// The part of a client's session that outlives its sockets.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) features: u8,
    pub(crate) session: [u8; 16],
    pub(crate) secret: [u8; 32],
    /// All sequenced messages so far.
    pub(crate) sent: Vec<Batch>,
    /// The number of them that the server is known to have accepted.
    pub(crate) acknowledged: u64,
    /// The sequenced messages of the server that were accepted.
    pub(crate) accepted: u64,
    pub(crate) replies: HashMap<u64, Reply>,
    pub(crate) calls: u64,
    /// Bytes of items so far.
    pub(crate) item_bytes: usize,
}

impl Ledger {
    /// A session whose id and secret are made of a number.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            features: RESUME,
            session: [number; 16],
            secret: [number; 32],
            sent: Vec::new(),
            acknowledged: 0,
            accepted: 0,
            replies: HashMap::new(),
            calls: 0,
            item_bytes: 0,
        }
    }

    /// The number of messages sent so far.
    pub(crate) fn messages(&self) -> u64 {
        self.sent.len() as u64
    }

    /// Where the session goes on, in truth.
    pub(crate) fn resume(&self) -> Resume {
        Resume { accepted: self.accepted, first: self.acknowledged, fresh: self.messages(), detached_us: 0 }
    }

    /// The Hello of a new session.
    pub(crate) fn hello(&self) -> Batch {
        Batch::hello_of(self.features, &self.session, &self.secret, None)
    }

    /// The Hello of a socket that goes on with the session.
    pub(crate) fn hello_again(&self, next_secret: u8, resume: Resume) -> Batch {
        let Resume { accepted, first, fresh, detached_us } = resume;
        let attach = (&[next_secret; 32], [accepted, first, fresh, detached_us]);
        Batch::hello_of(self.features, &self.session, &self.secret, Some(attach))
    }
}

/// A session on a socket.
pub(crate) struct Tab {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) ledger: Ledger,
    /// The number of the server's next message on this socket.
    next: u64,
    /// Whether the server has welcomed this socket.
    is_welcome: bool,
}

impl Tab {
    /// Opens a socket and sends nothing. The path tells the server who it is, if the test's server asks for that.
    pub(crate) async fn dial(server: &TestServer, path: &str, ledger: Ledger) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let url = format!("{}{path}", server.url());
        let (socket, _) =
            timeout(PATIENCE, tokio_tungstenite::client_async(url, stream)).await.unwrap().unwrap();
        Self { socket, ledger, next: 0, is_welcome: false }
    }

    /// Begins a session.
    pub(crate) async fn open(server: &TestServer, ledger: Ledger) -> Self {
        Self::open_as(server, "/", ledger).await
    }

    pub(crate) async fn open_as(server: &TestServer, path: &str, ledger: Ledger) -> Self {
        let mut tab = Self::dial(server, path, ledger).await;
        let hello = tab.ledger.hello();
        let definitions = define_all(Batch::default());
        tab.send_beside(joined(hello, &definitions)).await;
        tab.ledger.sent.push(definitions);
        assert_eq!(tab.double(1).await, 2);
        tab
    }

    /// Goes on with a session as the rules want it, but without an Ack; the close code if the server refuses that.
    pub(crate) async fn resume(server: &TestServer, ledger: &Ledger, next_secret: u8) -> Result<Self, u16> {
        Self::resume_as(server, "/", ledger, next_secret).await
    }

    pub(crate) async fn resume_as(
        server: &TestServer,
        path: &str,
        ledger: &Ledger,
        next_secret: u8,
    ) -> Result<Self, u16> {
        Self::dial(server, path, ledger.clone()).await.go_on(ledger.clone(), next_secret).await
    }

    /// The same on a socket that is open already.
    pub(crate) async fn go_on(self, ledger: Ledger, next_secret: u8) -> Result<Self, u16> {
        let mut tab = self;
        tab.send_beside(ledger.hello_again(next_secret, ledger.resume())).await;
        // Messages that were sent before may follow at once; the server may have them already.
        let eager = ledger.sent.get(ledger.acknowledged as usize);
        if let Some(message) = eager {
            tab.send_beside(message.clone()).await;
        }
        while !tab.is_welcome {
            tab.read().await?;
        }
        tab.ledger.secret = [next_secret; 32];
        let sent = ledger.acknowledged + u64::from(eager.is_some());
        let next = tab.ledger.acknowledged.max(sent);
        tab.send_beside(skip(next)).await;
        let again = tab.ledger.sent[next as usize..].to_vec();
        for message in again {
            tab.send_beside(message).await;
        }
        Ok(tab)
    }

    /// The close code of a new socket that begins with this Hello.
    pub(crate) async fn code_for(server: &TestServer, hello: Batch) -> u16 {
        let mut tab = Self::dial(server, "/", Ledger::new(0)).await;
        tab.send_beside(hello).await;
        tab.close_code().await
    }

    /// Sends a message that counts as sequenced.
    pub(crate) async fn send(&mut self, batch: Batch) {
        self.ledger.sent.push(batch.clone());
        self.send_beside(batch).await;
    }

    /// Sends bytes that the ledger knows nothing of.
    pub(crate) async fn send_beside(&mut self, batch: Batch) {
        timeout(PATIENCE, self.socket.send(Message::binary(batch.0))).await.unwrap().unwrap();
    }

    /// Acknowledges all that was accepted.
    pub(crate) async fn acknowledge(&mut self) {
        self.send_beside(ack(self.ledger.accepted)).await;
    }

    /// Takes the next message; the close code if the socket ends, or 0 if it ends without one.
    pub(crate) async fn read(&mut self) -> Result<(), u16> {
        match timeout(PATIENCE, self.socket.next()).await.expect("the server says something") {
            Some(Ok(Message::Binary(message))) => self.note(&message),
            Some(Ok(Message::Close(close))) => return Err(close.map_or(1005, |close| close.code.into())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(0),
        }
        Ok(())
    }

    fn note(&mut self, message: &[u8]) {
        let mut reader = Reader(message);
        while let Some(0x02 | 0x0a..=0x0d) = reader.0.first() {
            match reader.byte() {
                0x02 => self.note_welcome(&mut reader),
                0x0a => self.ledger.acknowledged = reader.varint(),
                0x0d => self.next = reader.varint(),
                _ => _ = reader.varint(),
            }
        }
        if reader.0.is_empty() {
            return;
        }
        let number = self.next;
        self.next += 1;
        assert!(number <= self.ledger.accepted, "message {number} follows {}", self.ledger.accepted);
        if number == self.ledger.accepted {
            self.ledger.accepted += 1;
            self.note_frames(reader);
        }
    }

    fn note_welcome(&mut self, reader: &mut Reader<'_>) {
        for _version_features_codec in 0..3 {
            reader.varint();
        }
        if reader.byte() == 1 {
            let [accepted, first, _fresh, _detached] = [(); 4].map(|()| reader.varint());
            assert!(accepted >= self.ledger.acknowledged && accepted <= self.ledger.messages());
            assert!(first <= self.ledger.accepted, "messages from {first} on were not accepted");
            self.ledger.acknowledged = accepted;
            self.next = first;
        }
        for _number_of_offer in 0..5 {
            reader.varint();
        }
        reader.bytes();
        self.is_welcome = true;
    }

    fn note_frames(&mut self, mut reader: Reader<'_>) {
        while !reader.0.is_empty() {
            match reader.byte() {
                0x05 => {
                    let (id, reply) = (reader.varint(), reader.reply());
                    assert!(self.ledger.replies.insert(id, reply).is_none(), "call {id} returned twice");
                }
                0x09 => {
                    reader.varint();
                    reader.bytes();
                }
                0x10 => {
                    reader.varint();
                    reader.varint();
                    self.ledger.item_bytes += reader.bytes().len();
                }
                other => panic!("the server sent the frame {other:#04x}"),
            }
        }
    }

    /// Sends a call in a message of its own.
    pub(crate) async fn call(&mut self, method: &str, slots: &[Vec<u8>]) -> u64 {
        let call = self.next_call(method, slots);
        self.send(Batch::default().call(&call)).await;
        call.id
    }

    /// A call with the next id.
    pub(crate) fn next_call(&mut self, method: &str, slots: &[Vec<u8>]) -> Call {
        self.ledger.calls += 1;
        Call::new(self.ledger.calls, number_of(method), slots)
    }

    /// The reply to a call; the close code if the socket ends before it.
    pub(crate) async fn reply(&mut self, id: u64) -> Result<Reply, u16> {
        loop {
            if let Some(reply) = self.ledger.replies.remove(&id) {
                return Ok(reply);
            }
            self.read().await?;
        }
    }

    /// The reply to a call that returns a small number.
    pub(crate) async fn number(&mut self, id: u64) -> u8 {
        match self.reply(id).await {
            Ok(Reply::Value(bytes)) if bytes.len() == 1 => bytes[0],
            other => panic!("no small number but {other:?}"),
        }
    }

    /// Calls `double`, on this socket.
    pub(crate) async fn double(&mut self, number: u8) -> u8 {
        let id = self.call("double", &[inline(&[number])]).await;
        self.number(id).await
    }

    /// Reads to the end.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Err(code) = self.read().await {
                return code;
            }
        }
    }

    /// Drops the socket without a word.
    pub(crate) fn leave(self) -> Ledger {
        self.ledger
    }
}
