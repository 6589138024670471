//! Accepts TCP connections for as long as the server lives, whatever single connections do.
//!
//! ```text
//!  accept ──► room of its address? ──► place of a connection ──► place of a handshake ──► on_connection
//!    ▲ error:      │ no: reset           none: a handshake         none: a handshake            │
//!    │ 10 ms … 1 s │                     ends, or wait             ends                         │
//!    └─────────────┴────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A client that is slow to shake hands must not keep others out. So when all places for handshakes are taken, a new
//! connection takes one, and it takes it from the address that has most of them: whoever connects a thousand times
//! displaces itself. A handshake lasts until the peer's hello, because an upgrade costs a stranger nothing.

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

pub use network::{Network, NetworkError};
pub use options::ListenOptions;
pub use places::ListenStats;
use rpc_core::LogRate;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use self::{
    network::Prefix,
    places::{Begun, Place, Places, Refusal},
};

/// Connections the operating system completes before the server accepts them. 128, tokio's own choice, overflows when
/// a few thousand clients come back at once, or one comes a few thousand times; then others are let in seconds later.
const BACKLOG: u32 = 4_096;
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What connections are let in by, shared by the accept loop and all of them.
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

/// A connection's places. Dropping it makes room for another connection.
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
    /// Completes when this connection must give up its handshake for a newer one; never after
    /// [`handshake_done`](Self::handshake_done), unless it had to before.
    ///
    /// # Cancel safety
    /// Nothing is lost; it completes again when called again.
    pub async fn evicted(&mut self) {
        if let Some(handshake) = &mut self.handshake {
            self.is_evicted = handshake.await.is_ok();
            self.handshake = None;
        }
        if !self.is_evicted {
            std::future::pending::<()>().await;
        }
    }

    /// Gives up the place among handshakes, and keeps that among connections: the peer has said hello.
    pub fn handshake_done(&mut self) {
        self.is_established |= self.doorway.places.establish(self.place);
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
    on_connection: impl FnMut(TcpStream, SocketAddr, Permit),
    shutdown: impl Future<Output = ()>,
) {
    accept_through(Arc::new(Doorway::new(options)), listener, on_connection, shutdown).await;
}

/// [`accept_loop`] with places that others look at.
pub(crate) async fn accept_through(
    doorway: Arc<Doorway>,
    listener: TcpListener,
    mut on_connection: impl FnMut(TcpStream, SocketAddr, Permit),
    shutdown: impl Future<Output = ()>,
) {
    let on_connection = |stream: TcpStream, peer, permit| {
        // It fails only on a connection that is gone already, which shows at once.
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

/// Where connections come from: a listener, or a test's script of failures.
trait Source {
    type Stream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// Ends a connection that gets no place, and leaves nothing of it.
    fn refuse(stream: Self::Stream);
}

impl Source for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_accept(cx)
    }

    fn refuse(stream: TcpStream) {
        // A reset. An orderly end would keep the operating system busy with each of them for a minute. It fails only on a
        // connection that is gone already.
        let _ = stream.set_zero_linger();
    }
}

/// The loop itself. Never ends.
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

/// Peers decide how many connections are refused, and not how many lines are written.
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

/// How long to leave a failing `accept` alone: twice as long each time, and logged once. A peer can make it fail and work in
/// turns, and so the lines are bounded as well.
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
