//! Accepts TCP connections for as long as the server lives, whatever single connections do.
//!
//! ```text
//!  accept ──► a place among connections_max ──► a place among handshakes_max ──► on_connection
//!    ▲ error: 10 ms … 1 s      full: wait            full: the oldest handshake ends
//!    └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A client that is slow to shake hands must not keep others out. So when all places for handshakes are taken, a new
//! connection takes that of the oldest: a client in good faith is through in a moment, one that stalls is old.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

/// Connections the operating system completes before the server accepts them. 128, tokio's own choice, overflows when
/// a few thousand clients come back at once.
const BACKLOG: u32 = 1_024;
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How many connections a server takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that may be open at once. Default: 80 % of the process's limit of open files, or 10,000 where that
    /// is not known. When reached, no more are accepted until one ends; they wait in the operating system's queue.
    pub connections_max: usize,
    /// Connections that may be in their handshake at once. Default 1,000, at most half of `connections_max`. When
    /// reached, each new connection ends the oldest handshake.
    pub handshakes_max: usize,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let files = open_files_max(&limits);
        Self { connections_max: files.map_or(10_000, |files| files / 5 * 4), handshakes_max: 1_000 }
    }
}

/// The soft limit in the format of `/proc/self/limits`: name, soft, hard, unit.
fn open_files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A connection's place. Dropping it makes room for another connection.
#[derive(Debug)]
pub struct Permit {
    _connection: OwnedSemaphorePermit,
    handshake: Option<oneshot::Receiver<()>>,
    is_evicted: bool,
}

impl Permit {
    /// Completes when this connection must give up its handshake for a newer one; never after
    /// [`handshake_done`](Self::handshake_done).
    ///
    /// # Cancel safety
    /// Nothing is lost; it completes again when called again.
    pub async fn evicted(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            self.is_evicted = handshake.await.is_ok();
            self.handshake = None;
        }
        // Either the handshake is done, or the accept loop has ended and what was accepted may finish.
        if !self.is_evicted {
            std::future::pending::<()>().await;
        }
    }

    /// Gives up the place among handshakes, and keeps that among connections.
    pub fn handshake_done(&mut self) {
        self.handshake = None;
    }
}

/// Listens on `address`, with a backlog for many clients at once.
///
/// # Errors
/// Those of the operating system, for example that the address is in use.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server must not wait for the last one's connections to be forgotten.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections and hands them to `on_connection`, until `shutdown` completes.
///
/// Errors of accepting never end it: a client that left is skipped, anything else (no file descriptors, no memory) is
/// tried again after 10 ms to 1 s. `on_connection` must not block; it spawns.
///
/// # Cancel safety
/// Dropping the future closes the listener. Connections handed out are not affected.
pub async fn accept_loop(
    listener: TcpListener,
    options: &ListenOptions,
    mut on_connection: impl FnMut(TcpStream, SocketAddr, Permit),
    shutdown: impl Future<Output = ()>,
) {
    let on_connection = |stream: TcpStream, peer, permit| {
        // It fails only on a connection that is gone already, which shows at once.
        let _ = stream.set_nodelay(true);
        on_connection(stream, peer, permit);
    };
    let accept = accept_from(listener, options, on_connection);
    tokio::select! {
        biased;
        () = shutdown => {}
        () = accept => {}
    }
}

/// Where connections come from: a listener, or a test's script of failures.
trait Source {
    type Stream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;
}

impl Source for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept(cx)
    }
}

/// The loop itself. Never ends.
async fn accept_from<S: Source>(
    source: S,
    options: &ListenOptions,
    mut on_connection: impl FnMut(S::Stream, SocketAddr, Permit),
) {
    let connections_max = options.connections_max.clamp(1, Semaphore::MAX_PERMITS);
    let connections = Arc::new(Semaphore::new(connections_max));
    let mut handshakes = Handshakes::new(options.handshakes_max.min(connections_max.div_ceil(2)).max(1));
    let mut backoff = Backoff::default();
    loop {
        let (stream, peer) = match poll_fn(|cx| source.poll_accept(cx)).await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                backoff.wait(&error).await;
                continue;
            }
        };
        backoff.end();
        if connections.available_permits() == 0 {
            handshakes.evict_oldest();
        }
        let Ok(connection) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let handshake = Some(handshakes.begin());
        on_connection(stream, peer, Permit { _connection: connection, handshake, is_evicted: false });
    }
}

/// Whether the client left between connecting and being accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// The connections in their handshake, oldest first. One that is done has closed its channel and is removed when its
/// place is needed.
struct Handshakes {
    max: usize,
    running: VecDeque<oneshot::Sender<()>>,
}

impl Handshakes {
    fn new(max: usize) -> Self {
        Self { max, running: VecDeque::new() }
    }

    fn begin(&mut self) -> oneshot::Receiver<()> {
        if self.running.len() >= self.max {
            self.running.retain(|handshake| !handshake.is_closed());
        }
        if self.running.len() >= self.max {
            self.evict_oldest();
        }
        let (evict, evicted) = oneshot::channel();
        self.running.push_back(evict);
        evicted
    }

    fn evict_oldest(&mut self) {
        while let Some(oldest) = self.running.pop_front() {
            if oldest.send(()).is_ok() {
                return;
            }
        }
    }
}

/// How long to leave a failing `accept` alone: twice as long each time, and logged once.
#[derive(Default)]
struct Backoff {
    delay: Option<Duration>,
}

impl Backoff {
    async fn wait(&mut self, error: &io::Error) {
        let delay = match self.delay {
            None => {
                tracing::warn!(%error, "cannot accept connections; trying again until it works");
                BACKOFF_MIN
            }
            Some(delay) => (delay * 2).min(BACKOFF_MAX),
        };
        self.delay = Some(delay);
        tokio::time::sleep(delay).await;
    }

    fn end(&mut self) {
        if self.delay.take().is_some() {
            tracing::info!("accepting connections again");
        }
    }
}

#[cfg(test)]
mod tests;
