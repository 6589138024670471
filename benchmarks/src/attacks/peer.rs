//! A stranger's end of one socket: it writes bytes that are ready and reads as little as it wants.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::{
    service::methods,
    wire::{Call, Frames, Offer, Seen, frame_lengths, message, messages},
};
use crate::Failure;

/// The peer's patience with what an honest server does at once.
const PATIENCE: Duration = Duration::from_secs(8);
/// Below those that the system gives out by itself.
const PORTS: std::ops::Range<u16> = 4_000..32_000;
const READ_BYTES: usize = 256 << 10;
pub(crate) const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Bytes that all peers of this process have sent and taken.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) sent: AtomicU64,
    pub(crate) taken: AtomicU64,
}

pub(crate) static MOVED: Moved = Moved { sent: AtomicU64::new(0), taken: AtomicU64::new(0) };

impl Moved {
    /// Both figures; they begin anew.
    pub(crate) fn take(&self) -> (u64, u64) {
        (self.sent.swap(0, Ordering::Relaxed), self.taken.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn add(&self, sent: usize, taken: usize) {
        self.sent.fetch_add(sent as u64, Ordering::Relaxed);
        self.taken.fetch_add(taken as u64, Ordering::Relaxed);
    }
}

/// Of the segments that open a TCP connection and close it: a connection that says nothing has its price, too.
const CONNECT_BYTES: usize = 200;

/// What becomes of what the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It stays in the socket.
    Nothing,
    /// It is counted and thrown away.
    Bytes,
    /// Its frames are noted in [`Peer::seen`].
    Frames,
}

/// How a peer connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    pub(crate) server: SocketAddr,
    pub(crate) from: IpAddr,
    /// Bytes of the socket's receive buffer, where the system's choice is too much.
    pub(crate) receive_bytes: Option<u32>,
    pub(crate) offer: Offer,
}

impl Door {
    pub(crate) fn of(server: SocketAddr) -> Self {
        Self { server, from: Ipv4Addr::LOCALHOST.into(), receive_bytes: None, offer: Offer::GENEROUS }
    }

    /// A socket with a port. They are counted up here: with thousands in use, the system takes long to find a free one.
    fn socket(&self) -> io::Result<TcpSocket> {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        for _ in 0..PORTS.len() {
            let socket = TcpSocket::new_v4()?;
            // Ports of connections that have just ended are used again.
            socket.set_reuseaddr(true)?;
            if let Some(bytes) = self.receive_bytes {
                socket.set_recv_buffer_size(bytes)?;
            }
            // Processes that follow each other begin elsewhere.
            let at = TAKEN.fetch_add(1, Ordering::Relaxed) + 1_777 * u64::from(std::process::id());
            let port = PORTS.start + (at % PORTS.len() as u64) as u16;
            match socket.bind((self.from, port).into()) {
                Ok(()) => return Ok(socket),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }

    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let socket = self.socket()?;
        let stream = socket.connect(self.server).await?;
        MOVED.add(CONNECT_BYTES, 0);
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) reading: Reading,
    pub(crate) seen: Seen,
    /// What the server offered.
    pub(crate) offer: Offer,
    pub(crate) is_closed: bool,
    /// Code and reason of the server's close frame.
    pub(crate) close: Option<String>,
    scratch: Vec<u8>,
    /// Read, and not a whole frame of the WebSocket.
    rest: Vec<u8>,
    last_id: u64,
}

impl Peer {
    /// Connects, says hello and names all methods.
    pub(crate) async fn meet(door: &Door) -> Result<Self, Failure> {
        let mut hello = Frames::hello(door.offer);
        for method in methods() {
            hello.define(method.number, method.service, method.name, method.fingerprint);
        }
        Self::greet(door, hello).await
    }

    /// Connects and says hello, and what else there is in the first message.
    pub(crate) async fn greet(door: &Door, hello: Frames) -> Result<Self, Failure> {
        let mut peer = Self::upgrade(door).await?;
        peer.send(&message(&hello.0)).await?;
        let deadline = Instant::now() + PATIENCE;
        while peer.seen.offer.is_none() {
            peer.read_until(deadline).await?;
            if Instant::now() >= deadline {
                return Err("the server did not welcome a stranger".into());
            }
        }
        peer.offer = peer.seen.offer.unwrap_or(Offer::GENEROUS);
        Ok(peer)
    }

    /// Connects as far as the WebSocket.
    pub(crate) async fn upgrade(door: &Door) -> Result<Self, Failure> {
        let mut stream = timeout(PATIENCE, door.connect()).await??;
        stream.write_all(REQUEST).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // Nothing follows it before the hello.
            let mut part = [0; 1_024];
            match timeout(PATIENCE, stream.read(&mut part)).await?? {
                0 => return Err("the server hung up in the handshake".into()),
                count => head.extend(&part[..count]),
            }
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!("the server said {:?}", String::from_utf8_lossy(&head)).into());
        }
        MOVED.add(REQUEST.len(), head.len());
        Ok(Self {
            stream,
            reading: Reading::Frames,
            seen: Seen::default(),
            offer: Offer::GENEROUS,
            is_closed: false,
            close: None,
            scratch: Vec::new(),
            rest: Vec::new(),
            last_id: 0,
        })
    }

    /// An id for a call.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Writes bytes, and meanwhile reads what it reads. Gives up when the server has hung up.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let interest = match self.reading {
                Reading::Nothing => Interest::WRITABLE,
                Reading::Bytes | Reading::Frames => Interest::WRITABLE | Interest::READABLE,
            };
            let ready = self.stream.ready(interest).await?;
            if ready.is_readable() {
                self.take()?;
            }
            if ready.is_writable() {
                match self.stream.try_write(bytes) {
                    Ok(count) => {
                        MOVED.add(count, 0);
                        bytes = &bytes[count..];
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => {
                        self.is_closed = true;
                        return Err(error);
                    }
                }
            }
            // Others of this thread have their turn also where the socket always takes more.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(crate) async fn send_frames(&mut self, frames: &Frames) -> io::Result<()> {
        self.send(&message(&frames.0)).await
    }

    /// Sends a call with all of its payload.
    pub(crate) async fn call(&mut self, call: &Call) -> io::Result<()> {
        self.send(&messages(call)).await
    }

    /// Takes what is there.
    fn take(&mut self) -> io::Result<()> {
        self.scratch.resize(READ_BYTES, 0);
        match self.stream.try_read(&mut self.scratch) {
            Ok(0) => {
                self.is_closed = true;
                Err(ErrorKind::ConnectionReset.into())
            }
            Ok(count) => {
                MOVED.add(0, count);
                if self.reading == Reading::Frames {
                    self.rest.extend_from_slice(&self.scratch[..count]);
                    self.note()?;
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => {
                self.is_closed = true;
                Err(error)
            }
        }
    }

    fn note(&mut self) -> io::Result<()> {
        let mut at = 0;
        while let Some((header, length)) = frame_lengths(&self.rest[at..]) {
            let Some(payload) = self.rest.get(at + header..at + header + length) else { break };
            match self.rest[at] & 0x0f {
                2 if self.seen.note(payload).is_none() => return Err(ErrorKind::InvalidData.into()),
                8 => {
                    self.close = payload.split_at_checked(2).map(|(code, reason)| {
                        let code = u16::from_be_bytes([code[0], code[1]]);
                        format!("{code} {}", String::from_utf8_lossy(reason))
                    });
                }
                _ => {}
            }
            at += header + length;
        }
        self.rest.drain(..at);
        Ok(())
    }

    /// Reads once, or waits until `deadline`.
    pub(crate) async fn read_until(&mut self, deadline: Instant) -> io::Result<()> {
        match tokio::time::timeout_at(deadline, self.stream.readable()).await {
            Ok(ready) => {
                ready?;
                self.take()
            }
            Err(_) => Ok(()),
        }
    }

    /// Reads until so many calls have returned; whether they have, before `deadline` and before the server hung up.
    pub(crate) async fn read_returns(&mut self, count: u64, deadline: Instant) -> bool {
        while self.seen.returns < count {
            if Instant::now() >= deadline || self.read_until(deadline).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Reads, or holds still, for so long, or until the server hangs up.
    pub(crate) async fn stay(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        if self.reading == Reading::Nothing {
            return tokio::time::sleep_until(deadline).await;
        }
        while Instant::now() < deadline {
            if self.read_until(deadline).await.is_err() {
                return tokio::time::sleep_until(deadline).await;
            }
            // What arrives is read in bursts: the server is measured, not the way to read it.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
