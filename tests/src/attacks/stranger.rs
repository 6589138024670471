//! A peer that writes its bytes by hand, so that it can also break the rules.
//!
//! It knows the tables of `rpc-core/src/wire.rs` from outside: [`Batch`] writes frames, [`Stranger`] speaks them over a
//! WebSocket, [`RawSocket`] writes the WebSocket frames themselves.

use std::{collections::HashMap, time::Duration};

use futures::{SinkExt, StreamExt};
use rpc_core::Service;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::{
    attacks::{Queue, QueueServer, Trap, TrapServer},
    sockets::TestServer,
    streams_attacks::{Tap, TapServer},
    support::{PeopleServer, Village},
};

/// So long a test waits for what must come; far above what any of it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

const WANTED: u8 = 0x01;
const KEEP: u8 = 0x02;
const ONEWAY: u8 = 0x04;
const DEADLINE: u8 = 0x08;
const METADATA: u8 = 0x10;
pub(crate) const CHUNKED: u8 = 0x20;
const OBJECTS: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;
/// The kind of a Call's extension that tells where it was sent before.
const SENT_BEFORE: u8 = 1;

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// An argument that is here.
pub(crate) fn inline(bytes: &[u8]) -> Vec<u8> {
    let mut slot = vec![0];
    put_bytes(&mut slot, bytes);
    slot
}

/// An argument that is the whole result of a call.
pub(crate) fn result_of(id: u64) -> Vec<u8> {
    let mut slot = vec![1];
    put_varint(&mut slot, id);
    slot.push(0);
    slot
}

/// An argument that is field `field` of a call's result.
pub(crate) fn field_of(id: u64, field: u8) -> Vec<u8> {
    let mut slot = vec![1];
    put_varint(&mut slot, id);
    slot.extend([1, 0, field]);
    slot
}

pub(crate) fn tuple(slots: &[Vec<u8>]) -> Vec<u8> {
    let mut slot = vec![3, slots.len() as u8];
    slots.iter().for_each(|part| slot.extend(part));
    slot
}

pub(crate) fn arguments(slots: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = vec![slots.len() as u8];
    slots.iter().for_each(|slot| payload.extend(slot));
    payload
}

/// A Call frame; wanted and not kept unless it is told otherwise.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) flags: u8,
    pub(crate) method: u32,
    pub(crate) deadline_us: Option<u64>,
    pub(crate) metadata: Vec<(Vec<u8>, Vec<u8>)>,
    /// Opened by it.
    pub(crate) streams: Vec<u64>,
    /// The call whose result is the object that is called.
    pub(crate) of_result: Option<u64>,
    /// The sessions, and the ids there, by which it was sent before.
    pub(crate) sent_before: Vec<([u8; 16], u64)>,
    pub(crate) payload: Vec<u8>,
}

impl Call {
    pub(crate) fn new(id: u64, method: u32, slots: &[Vec<u8>]) -> Self {
        let payload = arguments(slots);
        Self {
            id,
            flags: WANTED,
            method,
            deadline_us: None,
            metadata: Vec::new(),
            streams: Vec::new(),
            of_result: None,
            sent_before: Vec::new(),
            payload,
        }
    }

    /// Of a method that takes one stream and nothing else.
    pub(crate) fn with_stream(id: u64, method: &str, stream: u64) -> Self {
        Self { streams: vec![stream], ..Self::new(id, number_of(method), &[inline(&[0])]) }
    }

    pub(crate) fn kept(mut self) -> Self {
        self.flags |= KEEP;
        self
    }

    pub(crate) fn oneway(mut self) -> Self {
        self.flags = ONEWAY;
        self
    }

    /// Claims that it was sent before.
    pub(crate) fn sent_before(mut self, calls: impl IntoIterator<Item = ([u8; 16], u64)>) -> Self {
        self.sent_before.extend(calls);
        self
    }
}

/// The frames of one message.
#[derive(Clone, Default)]
pub(crate) struct Batch(pub(crate) Vec<u8>);

impl Batch {
    /// The Hello of a session that ends with its socket.
    pub(crate) fn hello() -> Self {
        Self::hello_of(0, &[0; 16], &[0; 32], None)
    }

    /// A Hello that begins a session or, with its next secret and the four numbers of a resume, goes on with it.
    pub(crate) fn hello_of(
        features: u8,
        session: &[u8; 16],
        secret: &[u8; 32],
        attach: Option<(&[u8; 32], [u64; 4])>,
    ) -> Self {
        let mut out = vec![0x01];
        out.extend(b"RPCW\x01");
        out.extend([features, 1]);
        out.extend(session);
        out.extend(secret);
        out.push(u8::from(attach.is_some()));
        if let Some((next_secret, resume)) = attach {
            out.extend(next_secret);
            resume.into_iter().for_each(|number| put_varint(&mut out, number));
        }
        for number in [1 << 20, 64 << 20, 64 << 20, 1 << 10, 1 << 20] {
            put_varint(&mut out, number);
        }
        out.push(0);
        Self(out)
    }

    pub(crate) fn define(mut self, number: u32, service: &str, method: &str, fingerprint: u64) -> Self {
        self.0.push(0x03);
        put_varint(&mut self.0, u64::from(number));
        put_bytes(&mut self.0, service.as_bytes());
        put_bytes(&mut self.0, method.as_bytes());
        self.0.extend(fingerprint.to_le_bytes());
        self
    }

    pub(crate) fn call(mut self, call: &Call) -> Self {
        let out = &mut self.0;
        out.push(0x04);
        put_varint(out, call.id);
        let deadline = if call.deadline_us.is_some() { DEADLINE } else { 0 };
        let metadata = if call.metadata.is_empty() { 0 } else { METADATA };
        let objects = if call.streams.is_empty() { 0 } else { OBJECTS };
        let extensions = if call.sent_before.is_empty() { 0 } else { EXTENSIONS };
        out.push(call.flags | deadline | metadata | objects | extensions);
        match call.of_result {
            None => out.push(0),
            Some(base) => {
                put_varint(out, base << 1);
                out.push(0);
            }
        }
        put_varint(out, u64::from(call.method));
        if let Some(deadline) = call.deadline_us {
            put_varint(out, deadline);
        }
        if !call.metadata.is_empty() {
            put_varint(out, call.metadata.len() as u64);
            for (key, value) in &call.metadata {
                put_bytes(out, key);
                put_bytes(out, value);
            }
        }
        if !call.streams.is_empty() {
            put_varint(out, call.streams.len() as u64);
            for stream in &call.streams {
                out.push(0x03);
                put_varint(out, *stream);
            }
        }
        if !call.sent_before.is_empty() {
            out.extend([1, SENT_BEFORE]);
            put_varint(out, call.sent_before.len() as u64 * 24);
            for (session, id) in &call.sent_before {
                out.extend(session);
                out.extend(id.to_le_bytes());
            }
        }
        if call.flags & CHUNKED == 0 {
            put_bytes(out, &call.payload);
        } else {
            put_varint(out, call.payload.len() as u64);
        }
        self
    }

    pub(crate) fn cancel(mut self, id: u64) -> Self {
        self.0.push(0x06);
        put_varint(&mut self.0, id);
        self
    }

    pub(crate) fn release(mut self, id: u64) -> Self {
        self.0.extend([0x07, 1]);
        put_varint(&mut self.0, id << 1);
        self
    }

    pub(crate) fn chunk(mut self, id: u64, bytes: &[u8]) -> Self {
        self.0.push(0x08);
        put_varint(&mut self.0, id << 1);
        put_bytes(&mut self.0, bytes);
        self
    }

    /// One item that is `bytes`, encoded as a byte string.
    pub(crate) fn item(mut self, stream: u64, bytes: &[u8]) -> Self {
        let mut item = Vec::new();
        // As the codec writes lengths.
        match bytes.len() {
            length @ 0..251 => item.push(length as u8),
            length => {
                item.push(251);
                item.extend((length as u16).to_le_bytes());
            }
        }
        item.extend(bytes);
        let mut items = Vec::new();
        put_bytes(&mut items, &item);
        self.0.push(0x10);
        put_varint(&mut self.0, stream);
        put_varint(&mut self.0, 1);
        put_bytes(&mut self.0, &items);
        self
    }

    pub(crate) fn large_item(mut self, stream: u64, total: u64) -> Self {
        self.0.push(0x12);
        put_varint(&mut self.0, stream);
        put_varint(&mut self.0, total);
        self
    }

    pub(crate) fn missed(mut self, stream: u64, count: u64) -> Self {
        self.0.push(0x15);
        put_varint(&mut self.0, stream);
        put_varint(&mut self.0, count);
        self
    }

    /// The stream is complete.
    pub(crate) fn end(mut self, stream: u64) -> Self {
        self.0.push(0x16);
        put_varint(&mut self.0, stream);
        self.0.push(0);
        self
    }

    pub(crate) fn goodbye(mut self) -> Self {
        self.0.extend(b"\x09\x00\x00");
        self
    }

    /// An optional frame that means nothing.
    pub(crate) fn padding(mut self, bytes: usize) -> Self {
        self.0.push(0x80);
        put_bytes(&mut self.0, &vec![0; bytes]);
        self
    }
}

const PEOPLE: u32 = 2;
const TRAP: u32 = 100;
const QUEUE: u32 = 200;
const TAPS: u32 = 300;

/// The built-in method.
pub(crate) const GET: u32 = 0;

fn services() -> [(u32, Box<dyn Service>); 4] {
    [
        (PEOPLE, Box::new(PeopleServer::new(Village::default()))),
        (TRAP, Box::new(TrapServer::new(Trap::default()))),
        (QUEUE, Box::new(QueueServer::new(Queue))),
        (TAPS, Box::new(TapServer::new(Tap::default()))),
    ]
}

/// The number that [`define_all`] gives a method.
pub(crate) fn number_of(method: &str) -> u32 {
    let found = services().into_iter().find_map(|(first, service)| {
        let index = service.descriptor().methods.iter().position(|known| known.name == method)?;
        Some(first + index as u32)
    });
    found.unwrap()
}

fn define_all(mut batch: Batch) -> Batch {
    for (first, service) in services() {
        let service = service.descriptor();
        for (index, method) in service.methods.iter().enumerate() {
            let fingerprint = method.signature().fingerprint;
            batch = batch.define(first + index as u32, service.name, method.name, fingerprint);
        }
    }
    batch
}

/// What a Return said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Value(Vec<u8>),
    Chunked,
    Error(Vec<u8>),
    Upstream(u64),
    Failed { code: u8, text: String },
}

pub(crate) const INVALID_ARGUMENT: u8 = 4;
pub(crate) const INVALID_REFERENCE: u8 = 5;
pub(crate) const EXHAUSTED: u8 = 6;
pub(crate) const DEADLINE_EXCEEDED: u8 = 10;
pub(crate) const CANCELLED: u8 = 11;
pub(crate) const PANICKED: u8 = 12;

impl Reply {
    #[track_caller]
    pub(crate) fn check_failed(&self, expected: u8, about: &str) {
        match self {
            Self::Failed { code, text } if *code == expected && text == about => {}
            other => panic!("not failure {expected} about `{about}` but {other:?}"),
        }
    }
}

/// Reads what a server says; only what the tests look at is kept.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap();
        self.0 = rest;
        *first
    }

    pub(crate) fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        value
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = self.varint() as usize;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn reply(&mut self) -> Reply {
        match self.byte() {
            0x00 => Reply::Done,
            0x01 => Reply::Value(self.bytes()),
            0x21 => {
                for _ in 0..self.varint() {
                    self.byte();
                    self.varint();
                }
                Reply::Value(self.bytes())
            }
            0x11 | 0x12 => {
                self.varint();
                Reply::Chunked
            }
            0x02 => Reply::Error(self.bytes()),
            0x03 => {
                let origin = self.varint();
                if self.byte() == 1 {
                    for _ in 0..self.varint() {
                        if self.byte() != 2 {
                            self.varint();
                        }
                    }
                }
                Reply::Upstream(origin)
            }
            0x04 => self.failure(),
            other => panic!("the server sent the status {other}"),
        }
    }

    fn failure(&mut self) -> Reply {
        let code = self.byte();
        let text = match code {
            3 => self.text(),
            4 | 5 => {
                let argument = self.text();
                self.text();
                argument
            }
            6 => {
                let limit = self.text();
                for _side_needed_allowed_retry in 0..4 {
                    self.varint();
                }
                limit
            }
            _ => String::new(),
        };
        Reply::Failed { code, text }
    }
}

/// A client of its own make.
pub(crate) struct Stranger {
    pub(crate) socket: WebSocketStream<TcpStream>,
    replies: HashMap<u64, Reply>,
    /// Returns seen so far.
    pub(crate) returns: usize,
    /// Bytes of items seen so far.
    pub(crate) item_bytes: usize,
    /// Streams of this side that the server stopped.
    pub(crate) stopped: Vec<u64>,
    /// The server said goodbye.
    pub(crate) goodbye: bool,
}

impl Stranger {
    /// Connects, says hello and names all methods.
    pub(crate) async fn connect(server: &TestServer) -> Self {
        let mut stranger = Self::connect_silently(server).await;
        stranger.send(define_all(Batch::hello())).await;
        stranger
    }

    /// Connects and says nothing.
    pub(crate) async fn connect_silently(server: &TestServer) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(server.url(), stream).await.unwrap();
        let (replies, stopped) = (HashMap::new(), Vec::new());
        Self { socket, replies, returns: 0, item_bytes: 0, stopped, goodbye: false }
    }

    pub(crate) async fn send(&mut self, batch: Batch) {
        timeout(PATIENCE, self.socket.send(Message::binary(batch.0))).await.unwrap().unwrap();
    }

    /// Sends though the server may have hung up.
    pub(crate) async fn try_send(&mut self, batch: Batch) -> bool {
        timeout(PATIENCE, self.socket.send(Message::binary(batch.0))).await.unwrap().is_ok()
    }

    /// Takes the next message; the close code if it is a close, or 0 if the link is gone.
    pub(crate) async fn read(&mut self) -> Result<(), u16> {
        match timeout(PATIENCE, self.socket.next()).await.unwrap() {
            Some(Ok(Message::Binary(message))) => self.note(&message),
            Some(Ok(Message::Close(close))) => return Err(close.map_or(1005, |close| close.code.into())),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(0),
        }
        Ok(())
    }

    fn note(&mut self, message: &[u8]) {
        let mut reader = Reader(message);
        while !reader.0.is_empty() {
            match reader.byte() {
                0x02 => {
                    for _version_features_codec in 0..3 {
                        reader.varint();
                    }
                    assert_eq!(reader.byte(), 0, "a new session");
                    for _number in 0..5 {
                        reader.varint();
                    }
                    reader.bytes();
                }
                0x0a..=0x0d => _ = reader.varint(),
                0x05 => {
                    let (id, reply) = (reader.varint(), reader.reply());
                    self.returns += 1;
                    assert!(self.replies.insert(id, reply).is_none(), "call {id} returned twice");
                }
                0x08 => {
                    reader.varint();
                    reader.bytes();
                }
                0x09 => {
                    reader.varint();
                    reader.bytes();
                    self.goodbye = true;
                }
                0x10 => {
                    reader.varint();
                    reader.varint();
                    self.item_bytes += reader.bytes().len();
                }
                0x17 => {
                    reader.varint();
                    reader.varint();
                }
                0x18 => {
                    self.stopped.push(reader.varint());
                    if reader.byte() == 1 {
                        reader.bytes();
                    }
                }
                other => panic!("the server sent the frame {other}"),
            }
        }
    }

    /// What became of a call.
    pub(crate) async fn reply(&mut self, id: u64) -> Reply {
        loop {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.read().await.unwrap();
        }
    }

    /// Sends one call and takes its reply.
    pub(crate) async fn ask(&mut self, call: &Call) -> Reply {
        self.send(Batch::default().call(call)).await;
        self.reply(call.id).await
    }

    /// Reads until so many calls have returned; forgets what they returned.
    pub(crate) async fn read_returns(&mut self, count: usize) {
        while self.returns < count {
            self.read().await.unwrap();
            self.replies.clear();
        }
    }

    /// Reads until the server says goodbye.
    pub(crate) async fn read_goodbye(&mut self) {
        while !self.goodbye {
            self.read().await.unwrap();
        }
    }

    /// Reads to the end; the close code, 0 when the link ended without one.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let end = async {
            loop {
                if let Err(code) = self.read().await {
                    return code;
                }
            }
        };
        timeout(PATIENCE, end).await.expect("the server ends the session")
    }

    /// That the session still answers.
    pub(crate) async fn check_alive(&mut self, id: u64) {
        let call = Call::new(id, number_of("add"), &[inline(&[20]), inline(&[22])]);
        assert_eq!(self.ask(&call).await, Reply::Value(vec![42]));
    }
}

/// A WebSocket whose frames are written by hand.
pub(crate) struct RawSocket {
    pub(crate) stream: TcpStream,
}

impl RawSocket {
    pub(crate) async fn connect(server: &TestServer) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self { stream }
    }

    /// Writes the bytes over and over until the server hangs up or has taken `times` of them; the number taken.
    pub(crate) async fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let many: Vec<u8> = bytes.repeat(1_000);
        for taken in 0..times.div_ceil(1_000) {
            if timeout(PATIENCE, self.stream.write_all(&many)).await.unwrap().is_err() {
                return taken * 1_000;
            }
        }
        times
    }

    /// Reads to the end; the code of the first close frame, 0 when there was none.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let mut bytes = Vec::new();
        // A reset after the close frame loses nothing of what was read.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.unwrap();
        let mut rest = &bytes[..];
        while let [first, length, payload @ ..] = rest {
            let length = usize::from(*length);
            match first & 0x0f {
                8 => return u16::from_be_bytes([payload[0], payload[1]]),
                _ => rest = payload.get(length..).unwrap_or_default(),
            }
        }
        0
    }
}

/// A masked frame's header; the mask is zero.
pub(crate) fn frame_header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..126 => header.push(0x80 | length as u8),
        126..65_536 => {
            header.push(0x80 | 126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend([0; 4]);
    header
}
