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

use crate::Failure;

pub(crate) mod streams;

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

async fn echo(mut socket: WebSocketStream<TcpStream>, flush: Flush) -> Result<(), Failure> {
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

async fn connect(
    address: SocketAddr,
    flush: Flush,
    payload: usize,
) -> Result<WebSocketStream<TcpStream>, Failure> {
    connect_for(address, Purpose::Echo, flush, payload).await
}

async fn connect_for(
    address: SocketAddr,
    purpose: Purpose,
    flush: Flush,
    payload: usize,
) -> Result<WebSocketStream<TcpStream>, Failure> {
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

pub(crate) async fn latencies(
    address: SocketAddr,
    flush: Flush,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let mut socket = connect(address, flush, 0).await?;
    let task = tokio::spawn(async move {
        let started = Instant::now();
        let mut latencies = Vec::new();
        while started.elapsed() < time {
            let before = Instant::now();
            socket.send(Message::Binary(small())).await?;
            socket.next().await.ok_or("the echo ended")??;
            latencies.push(before.elapsed());
        }
        Ok(latencies)
    });
    task.await?
}

/// Messages echoed in `time` with a window of `in_flight` on each connection.
pub(crate) async fn calls(
    address: SocketAddr,
    flush: Flush,
    connections: usize,
    in_flight: usize,
    time: Duration,
) -> Result<u64, Failure> {
    windows(address, flush, connections, in_flight, small(), time).await
}

pub(crate) async fn payloads(
    address: SocketAddr,
    flush: Flush,
    size: usize,
    time: Duration,
) -> Result<u64, Failure> {
    let messages = windows(address, flush, 1, 8, Bytes::from(vec![7; size]), time).await?;
    Ok(messages * size as u64)
}

async fn windows(
    address: SocketAddr,
    flush: Flush,
    connections: usize,
    in_flight: usize,
    payload: Bytes,
    time: Duration,
) -> Result<u64, Failure> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let socket = connect(address, flush, payload.len()).await?;
        tasks.push(tokio::spawn(window(socket, flush, in_flight, payload.clone(), time)));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    Ok(total)
}

/// Keeps `in_flight` messages on their way. Sending and receiving take turns inside one task; the two halves never
/// wait for each other, so that large messages cannot fill both directions and stop.
async fn window(
    socket: WebSocketStream<TcpStream>,
    flush: Flush,
    in_flight: usize,
    payload: Bytes,
    time: Duration,
) -> Result<u64, Failure> {
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
        let mut done = 0;
        while started.elapsed() < time {
            stream.next().await.ok_or("the echo ended")??;
            done += 1;
            permits.send(()).unwrap_or(());
            while let Some(Some(message)) = stream.next().now_or_never() {
                message?;
                done += 1;
                permits.send(()).unwrap_or(());
            }
        }
        Ok::<u64, Failure>(done)
    };
    tokio::select! {
        done = receive => done,
        sent = send => sent.and(Err("the sender ended".into())),
    }
}

/// A chain without RPC: each step waits for the one before.
pub(crate) async fn chains(
    address: SocketAddr,
    flush: Flush,
    depth: usize,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let mut socket = connect(address, flush, 0).await?;
    let task = tokio::spawn(async move {
        let started = Instant::now();
        let mut latencies = Vec::new();
        while started.elapsed() < time || latencies.len() < 3 {
            let before = Instant::now();
            for _ in 0..depth {
                socket.send(Message::Binary(small())).await?;
                socket.next().await.ok_or("the echo ended")??;
            }
            latencies.push(before.elapsed());
        }
        Ok(latencies)
    });
    task.await?
}

/// Opens connections and keeps them.
pub(crate) async fn idle(
    address: SocketAddr,
    flush: Flush,
    count: usize,
) -> Result<Vec<WebSocketStream<TcpStream>>, Failure> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = connect(address, flush, 0).await?;
        socket.send(Message::Binary(small())).await?;
        socket.next().await.ok_or("the echo ended")??;
        sockets.push(socket);
    }
    Ok(sockets)
}
