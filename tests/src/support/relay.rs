//! A relay between a client and a server that counts the WebSocket messages passing through it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes bytes on unchanged, one connection, and reads the WebSocket frame headers as they pass.
pub(crate) struct Relay {
    address: SocketAddr,
    out: Arc<AtomicUsize>,
    back: Arc<AtomicUsize>,
    cut: watch::Sender<bool>,
}

impl Relay {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (out, back) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (cut, _) = watch::channel(false);
        let (counts, cutting) = ((Arc::clone(&out), Arc::clone(&back)), cut.clone());
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::spawn(pass(client_read, server_write, counts.0, cutting.subscribe()));
            tokio::spawn(pass(server_read, client_write, counts.1, cutting.subscribe()));
        });
        Self { address, out, back, cut }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Messages to the server and back since the last reset. Acknowledgements that travel alone do not count: they leave when time
    /// has passed.
    pub(crate) fn messages(&self) -> (usize, usize) {
        (self.out.load(Ordering::SeqCst), self.back.load(Ordering::SeqCst))
    }

    pub(crate) fn reset(&self) {
        self.out.store(0, Ordering::SeqCst);
        self.back.store(0, Ordering::SeqCst);
    }

    /// Drops both connections without a word.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    messages: Arc<AtomicUsize>,
    mut cut: watch::Receiver<bool>,
) {
    let mut counter = Counter::Http { tail: [0; 4] };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = cut.wait_for(|cut| *cut) => return,
        };
        let Ok(count @ 1..) = read else { return };
        buffer[..count].iter().for_each(|byte| counter.take(*byte, &messages));
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Follows a stream of WebSocket frames behind one HTTP head, byte by byte.
enum Counter {
    Http { tail: [u8; 4] },
    Header { bytes: Vec<u8> },
    Body { left: u64, header: Vec<u8>, begin: Vec<u8> },
}

/// The longest acknowledgement: its kind and a number.
const ACK_BYTES_MAX: usize = 11;

impl Counter {
    fn take(&mut self, byte: u8, messages: &AtomicUsize) {
        match self {
            Self::Http { tail } => {
                tail.rotate_left(1);
                tail[3] = byte;
                if tail == b"\r\n\r\n" {
                    *self = Self::Header { bytes: Vec::new() };
                }
            }
            Self::Header { bytes } => {
                bytes.push(byte);
                let Some(length) = body_length(bytes) else { return };
                *self = match length {
                    0 => Self::Header { bytes: Vec::new() },
                    left => Self::Body { left, header: std::mem::take(bytes), begin: Vec::new() },
                };
            }
            Self::Body { left, header, begin } => {
                *left -= 1;
                if begin.len() <= ACK_BYTES_MAX {
                    begin.push(byte);
                }
                if *left == 0 {
                    // Data frames that end a message; control frames are not messages.
                    let is_message = header[0] & 0x80 != 0 && header[0] & 0x0f < 8;
                    messages.fetch_add(usize::from(is_message && !is_ack(header, begin)), Ordering::SeqCst);
                    *self = Self::Header { bytes: Vec::new() };
                }
            }
        }
    }
}

/// Whether a body is one acknowledgement and nothing else.
fn is_ack(header: &[u8], body: &[u8]) -> bool {
    let mask = if header[1] & 0x80 != 0 { &header[header.len() - 4..] } else { &[0; 4] };
    let bytes: Vec<u8> = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let number = &bytes[1..];
    bytes.len() <= ACK_BYTES_MAX
        && bytes[0] == 0x0a
        && number.iter().position(|byte| byte & 0x80 == 0) == number.len().checked_sub(1)
}

/// The length of the frame's body, mask included in the header, once the header is complete (RFC 6455, 5.2).
fn body_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let (extended, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)),
        short => (0, u64::from(short)),
    };
    (header.len() == 2 + extended + mask).then_some(length)
}
