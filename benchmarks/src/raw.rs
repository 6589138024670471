//! Echoes without any RPC: what the socket itself can do.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::drive::{CHAINS_MIN, Done, Failure, PAYLOADS, Work, when_told};

pub(crate) mod streams;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// When queued messages are pushed to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// After each message, with tungstenite's own buffers.
    Each,
    /// After all that can be read at once was answered, with 4 KiB buffers.
    Batch,
    /// As `Batch`, with many items in one message.
    Pack,
}

/// What a connection is for. Its path says it, so that the server knows before the handshake which buffers fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Echo,
    /// The server sends small items.
    Items,
    /// The server sends messages of this length.
    Blocks(usize),
    /// The server reads messages of this length.
    Take(usize),
}

impl Purpose {
    fn path(self) -> String {
        match self {
            Self::Echo => "/".into(),
            Self::Items => "/items".into(),
            Self::Blocks(length) => format!("/blocks/{length}"),
            Self::Take(length) => format!("/take/{length}"),
        }
    }

    fn of_path(path: &str) -> Self {
        let mut parts = path.split('/').skip(1);
        let name = parts.next();
        let length = parts.next().and_then(|length| length.parse().ok()).unwrap_or(0);
        match name {
            Some("items") => Self::Items,
            Some("blocks") => Self::Blocks(length),
            Some("take") => Self::Take(length),
            _ => Self::Echo,
        }
    }

    /// Reads it off a request that has not been read yet.
    async fn of_request(stream: &TcpStream) -> std::io::Result<Self> {
        let mut head = [0; 128];
        loop {
            let count = stream.peek(&mut head).await?;
            let head = String::from_utf8_lossy(&head[..count]);
            if count == 0 || head.contains("\r\n") {
                return Ok(Self::of_path(head.split(' ').nth(1).unwrap_or("/")));
            }
            tokio::task::yield_now().await;
        }
    }

    fn payload(self) -> usize {
        match self {
            Self::Echo | Self::Items => 4_096,
            Self::Blocks(length) | Self::Take(length) => length,
        }
    }
}

impl Flush {
    fn config(self, payload: usize) -> WebSocketConfig {
        match self {
            Self::Each => WebSocketConfig::default(),
            Self::Batch | Self::Pack => {
                let buffer = if payload > 4_096 { 64 << 10 } else { 4_096 };
                WebSocketConfig::default().read_buffer_size(buffer).write_buffer_size(buffer)
            }
        }
    }
}

pub(crate) async fn serve(listener: TcpListener, flush: Flush) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let Ok(purpose) = Purpose::of_request(&stream).await else { return };
            let config = Some(flush.config(purpose.payload()));
            let Ok(socket) = tokio_tungstenite::accept_async_with_config(stream, config).await else {
                return;
            };
            // An error is the end of a client that left.
            let _ = match purpose {
                Purpose::Echo => echo(socket, flush).await,
                Purpose::Items => streams::send_items(socket, flush).await,
                Purpose::Blocks(length) => streams::send_blocks(socket, length).await,
                Purpose::Take(_) => streams::take(socket).await,
            };
        });
    }
}

async fn echo(mut socket: Socket, flush: Flush) -> Result<(), Failure> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if !message.is_binary() {
            continue;
        }
        match flush {
            Flush::Each => socket.send(message).await?,
            Flush::Batch | Flush::Pack => {
                socket.feed(message).await?;
                while let Some(Some(message)) = socket.next().now_or_never() {
                    socket.feed(message?).await?;
                }
                socket.flush().await?;
            }
        }
    }
    Ok(())
}

/// A connection that echoes.
pub(crate) async fn connect(address: SocketAddr, flush: Flush, payload: usize) -> Result<Socket, Failure> {
    connect_for(address, Purpose::Echo, flush, payload).await
}

async fn connect_for(
    address: SocketAddr,
    purpose: Purpose,
    flush: Flush,
    payload: usize,
) -> Result<Socket, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = Some(flush.config(payload));
    let url = format!("ws://{address}{}", purpose.path());
    Ok(tokio_tungstenite::client_async_with_config(url, stream, config).await?.0)
}

/// The bytes of a small call: a number and sixteen bytes of text.
pub(crate) fn small() -> Bytes {
    Bytes::from(vec![7; 25])
}

/// As [`crate::drive::drive`], with messages instead of calls.
pub(crate) async fn drive(
    address: SocketAddr,
    flush: Flush,
    work: Work,
    time: Duration,
) -> Result<(), Failure> {
    let (purpose, payload) = match work {
        Work::Items if flush == Flush::Pack => (Purpose::Items, streams::PACK_BYTES),
        Work::Items => (Purpose::Items, 0),
        Work::Payloads { bytes } => (Purpose::Echo, bytes),
        _ => (Purpose::Echo, 0),
    };
    let mut sockets = Vec::new();
    for _ in 0..work.connections() {
        sockets.push(connect_for(address, purpose, flush, payload).await?);
    }
    let mut idle = Vec::new();
    when_told(async {
        if let Work::Idle { connections } = work {
            let started = Instant::now();
            for _ in 0..connections {
                let mut socket = connect_for(address, purpose, flush, payload).await?;
                trip(&mut socket).await?;
                idle.push(socket);
            }
            return Ok(Done::moved(connections as u64, started.elapsed()));
        }
        let tasks = sockets.into_iter().map(|socket| tokio::spawn(run(socket, flush, work, time)));
        Done::together(tasks.collect()).await
    })
    .await
}

/// Does the work on one connection.
async fn run(mut socket: Socket, flush: Flush, work: Work, time: Duration) -> Result<Done, Failure> {
    match work {
        Work::One => trips(&mut socket, 1, time).await,
        Work::Chain { depth, is_pipelined: false } => trips(&mut socket, depth, time).await,
        Work::Calls { in_flight, .. } => window(socket, flush, in_flight, small(), time).await,
        Work::Payloads { bytes } => {
            let mut done = window(socket, flush, PAYLOADS, Bytes::from(vec![7; bytes]), time).await?;
            done.moved.count *= bytes as u64;
            Ok(done)
        }
        Work::Items => streams::items(socket, flush, time).await,
        _ => Err(format!("a raw socket does not do {work}").into()),
    }
}

/// One small message there and back.
pub(crate) async fn trip(socket: &mut Socket) -> Result<(), Failure> {
    socket.send(Message::Binary(small())).await?;
    socket.next().await.ok_or("the echo ended")??;
    Ok(())
}

/// The time of each of many chains of so many trips, one after the other.
async fn trips(socket: &mut Socket, depth: usize, time: Duration) -> Result<Done, Failure> {
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < time || latencies.len() < CHAINS_MIN {
        let before = Instant::now();
        for _ in 0..depth {
            trip(socket).await?;
        }
        latencies.push(before.elapsed());
    }
    Ok(Done::timed(latencies, started.elapsed()))
}

/// Keeps `in_flight` messages on their way. Sending and receiving take turns inside one task; the two halves never
/// wait for each other, so that large messages cannot fill both directions and stop.
pub(crate) async fn window(
    socket: Socket,
    flush: Flush,
    in_flight: usize,
    payload: Bytes,
    time: Duration,
) -> Result<Done, Failure> {
    let (mut sink, mut stream) = socket.split();
    let (permits, mut freed) = tokio::sync::mpsc::unbounded_channel::<()>();
    (0..in_flight).for_each(|_| permits.send(()).unwrap_or(()));
    let send = async {
        while let Some(()) = freed.recv().await {
            match flush {
                Flush::Each => sink.send(Message::Binary(payload.clone())).await?,
                Flush::Batch | Flush::Pack => {
                    sink.feed(Message::Binary(payload.clone())).await?;
                    while freed.try_recv().is_ok() {
                        sink.feed(Message::Binary(payload.clone())).await?;
                    }
                    sink.flush().await?;
                }
            }
        }
        Ok::<(), Failure>(())
    };
    let receive = async {
        let started = Instant::now();
        let mut count = 0;
        while started.elapsed() < time {
            stream.next().await.ok_or("the echo ended")??;
            count += 1;
            permits.send(()).unwrap_or(());
            while let Some(Some(message)) = stream.next().now_or_never() {
                message?;
                count += 1;
                permits.send(()).unwrap_or(());
            }
        }
        Ok::<Done, Failure>(Done::moved(count, started.elapsed()))
    };
    tokio::select! {
        done = receive => done,
        sent = send => sent.and(Err("the sender ended".into())),
    }
}
