//! The accept loop: accepts TCP connections until shutdown, whatever single connections do.
//!
//! ```text
//!  accept ──► room of its address? ──► place of a connection ──► place of a handshake ──► on_connection
//!    ▲ error:      │ no: reset           none: a handshake         none: a handshake            │
//!    │ 10 ms … 1 s │                     ends, or wait             ends                         │
//!    └─────────────┴────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A client with a slow handshake must not keep others out. When all places for handshakes are taken, a new connection evicts
//! a handshake of the address that has the most: a client that connects a thousand times displaces itself. A handshake lasts
//! until the peer's hello, because an upgrade alone costs a peer nothing.

mod network;
mod options;
mod places;
mod ranking;

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use network::Prefix;
pub use network::{Network, NetworkError};
pub use options::ListenOptions;
pub use places::ListenStats;
use rpc_core::LogRate;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use self::places::{Begun, Place, Places, Refusal};

/// Connections that the operating system completes before the server accepts them. tokio's default of 128 overflows when a few
/// thousand clients reconnect at once, or one client connects a few thousand times; then others wait for seconds.
const BACKLOG: u32 = 4_096;
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The connection limits and counts, shared by the accept loop and all connections.
#[derive(Debug)]
pub(crate) struct Doorway {
    connections: Arc<Semaphore>,
    places: Places,
}

impl Doorway {
    pub(crate) fn new(options: &ListenOptions) -> Self {
        let connections_max = options.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { connections: Arc::new(Semaphore::new(connections_max)), places: Places::new(options) }
    }

    pub(crate) fn stats(&self) -> ListenStats {
        self.places.stats()
    }
}

/// A connection's places among connections and handshakes. Dropping the permit makes room for another connection.
#[derive(Debug)]
pub struct Permit {
    doorway: Arc<Doorway>,
    place: Place,
    handshake: Option<oneshot::Receiver<()>>,
    is_established: bool,
    is_evicted: bool,
    _connection: OwnedSemaphorePermit,
}

impl Permit {
    /// Completes when a newer connection evicts this one, which must then end. After
    /// [`handshake_done`](Self::handshake_done), completes only if the eviction came before.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing. After an eviction, each further call completes at once.
    pub async fn evicted(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            self.is_evicted = handshake.await.is_ok();
            self.handshake = None;
        }
        if !self.is_evicted {
            std::future::pending::<()>().await;
        }
    }

    /// Marks the handshake as done, because the peer's hello was accepted. Frees the place among handshakes and keeps the one
    /// among connections.
    pub fn handshake_done(&mut self) {
        if self.doorway.places.establish(self.place) {
            self.is_established = true;
            // Nobody evicts it any more.
            self.handshake = None;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.doorway.places.leave(self.place, self.is_established);
    }
}

/// Listens on `address`, with a backlog for many clients at once.
///
/// # Errors
/// Errors of the operating system, for example if the address is in use; the text names the address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    listener(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server must not wait until its old connections have left TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections and hands them to `on_connection`, until `shutdown` completes.
///
/// Errors of `accept` never end the loop. A client that left is skipped; after any other error (no file descriptors, no
/// memory) the loop retries in 10 ms to 1 s. `on_connection` must not block: it spawns a task.
///
/// # Cancel safety
/// Dropping the future closes the listener. Connections handed out are not affected.
pub async fn accept_loop(
    listener: TcpListener,
    options: &ListenOptions,
    on_connection: impl FnMut(TcpStream, SocketAddr, Permit),
    shutdown: impl Future<Output = ()>,
) {
    accept_through(Arc::new(Doorway::new(options)), listener, on_connection, shutdown).await;
}

/// [`accept_loop`] with a doorway that the server reads as well.
pub(crate) async fn accept_through(
    doorway: Arc<Doorway>,
    listener: TcpListener,
    mut on_connection: impl FnMut(TcpStream, SocketAddr, Permit),
    shutdown: impl Future<Output = ()>,
) {
    let on_connection = |stream: TcpStream, peer, permit| {
        // This fails only on a connection that is gone; its first read fails then.
        let _ = stream.set_nodelay(true);
        on_connection(stream, peer, permit);
    };
    let accept = accept_from(listener, &doorway, on_connection);
    tokio::select! {
        biased;
        () = shutdown => {}
        () = accept => {}
    }
}

/// A source of connections: a listener, or a test's script of failures.
trait Source {
    type Stream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// Resets a refused connection, so that the operating system keeps nothing of it.
    fn refuse(stream: Self::Stream);
}

impl Source for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept(cx)
    }

    fn refuse(stream: TcpStream) {
        // Zero linger resets the connection. An orderly close would leave it in TIME_WAIT for a minute. This fails only on a
        // connection that is gone already.
        let _ = stream.set_zero_linger();
    }
}

/// Accepts connections from `source` for ever.
async fn accept_from<S: Source>(
    source: S,
    doorway: &Arc<Doorway>,
    mut on_connection: impl FnMut(S::Stream, SocketAddr, Permit),
) {
    let Doorway { connections, places } = &**doorway;
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
        let prefix = match places.admit(peer.ip(), Instant::now()) {
            Ok(prefix) => prefix,
            Err(refusal) => {
                S::refuse(stream);
                log_refusal(peer, refusal);
                continue;
            }
        };
        if connections.available_permits() == 0 {
            places.evict();
        }
        let Ok(connection) = Arc::clone(connections).acquire_owned().await else {
            return;
        };
        let Begun { place, evicted } = places.begin(prefix, Instant::now());
        let permit = Permit {
            doorway: Arc::clone(doorway),
            place,
            handshake: Some(evicted),
            is_established: false,
            is_evicted: false,
            _connection: connection,
        };
        on_connection(stream, peer, permit);
    }
}

/// Logs a refused connection, at a bounded rate: peers decide how many connections are refused.
fn log_refusal(peer: SocketAddr, refusal: Refusal) {
    static RATE: LogRate = LogRate::new();
    let Some(left_out) = RATE.admit() else { return };
    let limit = match refusal {
        Refusal::Connections => "address_connections_max",
        Refusal::Network => "network_connections_max",
        Refusal::Rate => "address_connects_per_second",
    };
    tracing::warn!(%peer, limit, left_out, "refused a connection; a proxy belongs into `trusted_proxies`");
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

/// The delay before a failed `accept` is tried again. It doubles with each failure, and only the first failure is logged. A peer
/// can alternate failure and success, so the log rate is bounded as well.
#[derive(Default)]
struct Backoff {
    delay: Option<Duration>,
    is_logged: bool,
}

impl Backoff {
    async fn wait(&mut self, error: &io::Error) {
        static RATE: LogRate = LogRate::new();
        let delay = match self.delay {
            None => {
                let admitted = RATE.admit();
                self.is_logged = admitted.is_some();
                if let Some(left_out) = admitted {
                    tracing::warn!(%error, left_out, "cannot accept connections; trying again until it works");
                }
                BACKOFF_MIN
            }
            Some(delay) => (delay * 2).min(BACKOFF_MAX),
        };
        self.delay = Some(delay);
        tokio::time::sleep(delay).await;
    }

    fn end(&mut self) {
        if self.delay.take().is_some() && self.is_logged {
            tracing::info!("accepting connections again");
        }
    }
}

#[cfg(test)]
mod tests;
