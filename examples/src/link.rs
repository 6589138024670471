//! A slow link for trying programs: a TCP relay that delays and counts all traffic.
//!
//! Every byte arrives a fixed delay after it was sent, whatever was sent before it. So the relay adds latency and does not limit
//! throughput, until `CHUNKS_MAX` chunks are under way. It reads the headers of WebSocket frames, so it counts messages as well as
//! bytes.

use std::{
    io,
    net::SocketAddr,
    ops::Sub,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The maximum number of bytes in one read.
const CHUNK_BYTES_MAX: usize = 16 << 10;
/// The maximum number of chunks under way in one direction, 64 MiB when all are full. At the limit the relay stops reading.
const CHUNKS_MAX: usize = 4096;

/// A relay in front of a server. Dropping it stops accepting connections.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    traffic: Arc<Directions>,
    is_up: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Directions {
    out: Mutex<Flow>,
    back: Mutex<Flow>,
}

/// The traffic sent into the link in both directions, over all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From clients to the server.
    pub out: Flow,
    /// From the server to clients.
    pub back: Flow,
}

/// The traffic in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// WebSocket messages, without control frames.
    pub messages: u64,
    /// Bytes of TCP payload.
    pub bytes: u64,
}

impl Sub for Traffic {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { out: self.out - earlier.out, back: self.back - earlier.back }
    }
}

impl Sub for Flow {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { messages: self.messages - earlier.messages, bytes: self.bytes - earlier.bytes }
    }
}

impl Link {
    /// Puts a link in front of `server` that delays everything by `delay` in each direction.
    ///
    /// # Errors
    /// Errors of the operating system, for example if no port is free.
    ///
    /// # Cancel safety
    /// If the future is dropped, no link is started.
    pub async fn start(server: SocketAddr, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let traffic = Arc::<Directions>::default();
        let is_up = watch::Sender::new(true);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server, delay, Arc::clone(&traffic), is_up.subscribe()));
        Ok(Self { address, traffic, is_up, _accepting: accepting })
    }

    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Takes the link down, or up again. While it is down, connections are cut and none passes.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.send_replace(is_up);
    }

    /// The traffic so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { out: *lock(&self.traffic.out), back: *lock(&self.traffic.back) }
    }
}

fn lock(flow: &Mutex<Flow>) -> std::sync::MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    delay: Duration,
    traffic: Arc<Directions>,
    is_up: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (traffic, mut is_up) = (Arc::clone(&traffic), is_up.clone());
        connections.spawn(async move {
            tokio::select! {
                () = relay(client, server, delay, traffic) => {}
                // An error means that the link is gone.
                _ = is_up.wait_for(|is_up| !is_up) => {}
            }
        });
    }
}

async fn relay(client: TcpStream, server: SocketAddr, delay: Duration, traffic: Arc<Directions>) {
    // If the server cannot be reached, the client's connection just closes.
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Nagle's algorithm would add delays of its own. If a socket refuses the option, the relay still works.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::join!(
        pass(client_read, server_write, delay, &traffic.out),
        pass(server_read, client_write, delay, &traffic.back),
    );
}

/// Moves one direction of a connection, `delay` late.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
    flow: &Mutex<Flow>,
) {
    let (sender, mut under_way) = mpsc::channel(CHUNKS_MAX);
    let take = async move {
        let mut frames = Frames::new();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
            // A failed read ends this direction like an orderly end. An empty chunk stands for the end.
            let count = from.read_buf(&mut chunk).await.unwrap_or(0);
            {
                let mut flow = lock(flow);
                flow.bytes += count as u64;
                flow.messages += frames.count_messages(&chunk);
            }
            if sender.send((Instant::now() + delay, chunk)).await.is_err() || count == 0 {
                return;
            }
        }
    };
    let deliver = async move {
        while let Some((due, chunk)) = under_way.recv().await {
            sleep_until(due).await;
            let written = if chunk.is_empty() { to.shutdown().await } else { to.write_all(&chunk).await };
            if written.is_err() {
                return;
            }
        }
    };
    tokio::join!(take, deliver);
}

/// Follows a stream of WebSocket frames behind one HTTP head (RFC 6455, section 5.2).
enum Frames {
    Http { tail: [u8; 4] },
    Header { bytes: Vec<u8> },
    Body { left: u64 },
}

impl Frames {
    fn new() -> Self {
        Self::Http { tail: [0; 4] }
    }

    fn next_frame() -> Self {
        Self::Header { bytes: Vec::new() }
    }

    /// The number of messages whose last header ends in these bytes.
    fn count_messages(&mut self, bytes: &[u8]) -> u64 {
        bytes.iter().map(|byte| u64::from(self.ends_message(*byte))).sum()
    }

    fn ends_message(&mut self, byte: u8) -> bool {
        match self {
            Self::Http { tail } => {
                tail.rotate_left(1);
                tail[3] = byte;
                if tail == b"\r\n\r\n" {
                    *self = Self::next_frame();
                }
                false
            }
            Self::Header { bytes } => {
                bytes.push(byte);
                let Some(left) = body_length(bytes) else { return false };
                let (is_final, is_control) = (bytes[0] & 0x80 != 0, bytes[0] & 0x08 != 0);
                *self = if left == 0 { Self::next_frame() } else { Self::Body { left } };
                is_final && !is_control
            }
            Self::Body { left } => {
                *left -= 1;
                if *left == 0 {
                    *self = Self::next_frame();
                }
                false
            }
        }
    }
}

/// The length of the body after a header; `None` while the header is not complete.
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

#[cfg(test)]
mod tests;
