//! The server: what it offers, to whom, and on which sockets.

use std::{
    future::{Future, pending},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::{Pin, pin},
    sync::{Arc, Once},
    time::Duration,
};

use rpc_core::{
    CloseReason, Limits, LimitsError, MemoryBudget, Peer, Principal, Service, Services, SessionHandle,
    close_codes,
    driver::{self, Greeted, SessionConfig, SharedLimits},
    transport::Transport,
    websocket::{HandshakeError, HandshakeRequest, Rejection, Socket},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, ToSocketAddrs},
    sync::mpsc,
    time::{Instant, timeout},
};

#[cfg(feature = "tls")]
use crate::tls::TlsAcceptor;
use crate::{
    auth::{AnyAuthenticator, AtOnce, Authenticator, take_token_from_query},
    listen::{self, Doorway, ListenOptions, ListenStats, Permit},
    sessions::{Entry, ResumeOptions, Sessions, owner_of},
    signals::{Signal, Signals, Since},
};

type MakeService = dyn Fn(&Peer) -> Arc<dyn Service> + Send + Sync;

/// How long a connection outlives its peer's identity, unless the application says otherwise.
const TOKEN_GRACE: Duration = Duration::from_secs(25);
/// How long a server that shuts down waits for a hello, which may be on its way.
const HELLO_GRACE: Duration = Duration::from_secs(1);
/// The headers that say nothing once the handshake is done. `sec-websocket-protocol` is kept: browsers put tokens there.
const HANDSHAKE_HEADERS: [&str; 5] =
    ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"];
/// The default memory budget of a server: what all its sessions may keep together for their peers.
const MEMORY_BYTES: usize = 1 << 30;

/// Configures a [`Server`]: its services, limits and listening options. Made by [`Server::builder`].
#[must_use = "a builder does nothing until it is bound or built"]
pub struct ServerBuilder {
    services: Services,
    per_connection: Vec<Arc<MakeService>>,
    authenticator: Option<Arc<dyn AnyAuthenticator>>,
    token_grace: Duration,
    token_parameter: Option<String>,
    limits: Limits,
    memory: MemoryBudget,
    listen: ListenOptions,
    resume: ResumeOptions,
    session_age: Option<Duration>,
    origins: Vec<String>,
    #[cfg(feature = "tls")]
    tls: Option<TlsAcceptor>,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            services: Services::new(),
            per_connection: Vec::new(),
            authenticator: None,
            token_grace: TOKEN_GRACE,
            token_parameter: None,
            limits: Limits::default(),
            memory: MemoryBudget::new(MEMORY_BYTES),
            listen: ListenOptions::default(),
            resume: ResumeOptions::default(),
            session_age: None,
            origins: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerBuilder {
    /// Offers a service; all connections share the implementation.
    ///
    /// # Panics
    /// When a service of the same wire name is offered already, or a type of one of its methods cannot travel; see
    /// [`Services::with`].
    #[track_caller]
    pub fn service(mut self, service: impl Service) -> Self {
        self.services = self.services.with(service);
        self
    }

    /// Offers a service with an implementation of its own for each connection, made when the connection opens. If two
    /// services have the same wire name, the one offered first answers.
    pub fn service_with<S: Service>(mut self, make: impl Fn(&Peer) -> S + Send + Sync + 'static) -> Self {
        let checked = Once::new();
        self.per_connection.push(Arc::new(move |peer| {
            let service: Arc<dyn Service> = Arc::new(make(peer));
            checked.call_once(|| rpc_core::log_problems(service.descriptor()));
            service
        }));
        self
    }

    /// Authenticates a peer from its handshake: returns who it is, or refuses it. `decide` must not block; what has to wait, or
    /// knows identities that expire, is an [`authenticator`](Self::authenticator). By default
    /// every peer is accepted as [`Principal::Anonymous`].
    pub fn authenticate(
        self,
        decide: impl Fn(&Peer) -> Result<Principal, Rejection> + Send + Sync + 'static,
    ) -> Self {
        self.authenticator(AtOnce(decide))
    }

    /// Authenticates a peer from its handshake; see [`Authenticator`].
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// The time for which a connection outlives its peer's [`Identity::expires_at`](crate::Identity::expires_at). Default 25 s. Then it ends with code 4401, and the
    /// session waits for one with another token.
    pub fn token_grace(mut self, grace: Duration) -> Self {
        self.token_grace = grace;
        self
    }

    /// Takes tokens also from this parameter of the query, as in `wss://example.com/rpc?access_token=…`. The authenticator finds
    /// it with [`Peer::token`], as it was written: it is not percent-decoded. The parameter is taken out of [`Peer::target`]. Off by default: the query of an address is written to logs and histories by
    /// proxies and browsers. A browser can send a token as a subprotocol.
    pub fn token_in_query(mut self, parameter: impl Into<String>) -> Self {
        self.token_parameter = Some(parameter.into());
        self
    }

    /// The bounds of each session. Default [`Limits::default`]; on the open internet use [`Limits::public`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The memory that all sessions of the server together may keep for their peers. Default 1 GiB. Servers with clones of one
    /// budget share its bytes. Keep a clone to watch [`MemoryBudget::used`].
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.memory = budget;
        self
    }

    /// The limits on connections, in all and of one address. Default [`ListenOptions::default`]; on the open internet use
    /// [`ListenOptions::public`].
    pub fn listen_options(mut self, options: ListenOptions) -> Self {
        self.listen = options;
        self
    }

    /// How sessions go on when their sockets end. Default [`ResumeOptions::default`]; on the open internet use
    /// [`ResumeOptions::public`].
    pub fn resume(mut self, options: ResumeOptions) -> Self {
        self.resume = options;
        self
    }

    /// Retires sessions after a time, and up to a tenth more, at random. A session that is retired closes in good order: its client
    /// begins another one, with a new connection that may lead to another server, and calls that run in the old one finish there, within
    /// [`Limits::close_timeout`]. No call fails for it; streams and objects of the session end. Default: sessions live as long as they are
    /// used.
    pub fn session_age(mut self, age: Duration) -> Self {
        self.session_age = Some(age);
        self
    }

    /// Accepts browsers whose page has this origin, like `https://app.example.com`. Pages of the server's own origin are
    /// always accepted. Other origins are refused with status 403.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Serves `wss://` with this certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    /// Makes the server, which does not listen anywhere yet.
    pub fn build(self) -> Server {
        let (running, all_done) = mpsc::channel(1);
        let doorway = Arc::new(Doorway::new(&self.listen));
        let sessions = Arc::new(Sessions::new(self.resume.clone()));
        let limits = SharedLimits::from(self.limits.clone());
        let shared = Shared { builder: self, limits, doorway, sessions, signals: Signals::default() };
        Server { shared: Arc::new(shared), running, all_done }
    }

    /// Listens on an address. Port 0 lets the operating system choose a port, see [`Listening::local_addr`].
    ///
    /// # Errors
    /// Errors of the operating system, for example if the address is taken. A [`LimitsError`](rpc_core::LimitsError) if the limits
    /// are invalid for every session.
    pub async fn bind(self, address: impl ToSocketAddrs) -> io::Result<Listening> {
        check_limits(&self.limits)?;
        let mut error = io::Error::new(io::ErrorKind::InvalidInput, "the address names no socket");
        for address in tokio::net::lookup_host(address).await.map_err(not_an_address)? {
            match listen::bind(address) {
                Ok(listener) => return Ok(Listening { server: self.build(), listener }),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// Serves on a listener that is bound already, until [`ServerHandle::shutdown`].
    ///
    /// # Errors
    /// A [`LimitsError`](rpc_core::LimitsError) if the limits are invalid for every session. An error of one connection ends only
    /// that connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener; open sessions go on in their own tasks.
    pub async fn serve_on(self, listener: TcpListener) -> io::Result<()> {
        self.build().serve_on(listener).await
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder").field("services", &self.services).finish_non_exhaustive()
    }
}

/// Serves its services on any number of listeners and byte streams.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    /// Held by every session's task; the server is drained when all of them are gone.
    running: mpsc::Sender<()>,
    all_done: mpsc::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    builder: ServerBuilder,
    /// The builder's limits, in one copy for all sessions.
    limits: SharedLimits,
    doorway: Arc<Doorway>,
    sessions: Arc<Sessions>,
    signals: Signals,
}

/// Why a byte stream did not become a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The WebSocket handshake failed. The client was told over HTTP.
    #[error("the WebSocket handshake failed")]
    Handshake(#[from] HandshakeError),
    /// The server was shut down before the stream was a session.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The limits are invalid: no session can have them.
    #[error(transparent)]
    Limits(#[from] LimitsError),
}

fn not_an_address(error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot listen: {error}; write an address and a port, like `127.0.0.1:9000`"),
    )
}

fn check_limits(limits: &Limits) -> io::Result<()> {
    limits.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

impl Server {
    /// Starts with no services and the default limits.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// A handle that shuts the server down from anywhere.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Accepts and serves connections until [`ServerHandle::shutdown`]; then waits until the sessions have ended,
    /// at most [`Limits::close_timeout`] and a little more. Connections that are still in their handshake end at once.
    ///
    /// # Errors
    /// A [`LimitsError`](rpc_core::LimitsError) if the limits are invalid for every session. An error of one connection ends only
    /// that connection.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener; open sessions go on in their own tasks.
    pub async fn serve_on(self, listener: TcpListener) -> io::Result<()> {
        let Self { shared, running, mut all_done } = self;
        check_limits(&shared.builder.limits)?;
        let on_connection = |stream, peer, permit| {
            let time = HelloTime::start(&shared);
            let opening = session_of_tcp(Arc::clone(&shared), stream, peer, permit, time);
            let running = running.clone();
            tokio::spawn(async move {
                match opening.await {
                    Ok(Some(session)) => _ = session.await,
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%peer, error = %error_chain(&error), "a connection did not become a session");
                    }
                }
                drop(running);
            });
        };
        let stopped = shared.signals.shutdown();
        listen::accept_through(Arc::clone(&shared.doorway), listener, on_connection, stopped).await;
        drop(running);
        let _ = all_done.recv().await;
        Ok(())
    }

    /// Serves one session on any byte stream: runs the WebSocket handshake, then the session to its end, and returns why the
    /// session ended. Adds no TLS: pass a stream that is already encrypted.
    ///
    /// # Errors
    /// A [`ServeError`] if the stream did not become a session.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the session.
    pub async fn serve_io<IO>(&self, io: IO, address: Option<SocketAddr>) -> Result<CloseReason, ServeError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.shared.builder.limits.check()?;
        let _running = self.running.clone();
        let time = HelloTime::start(&self.shared);
        let opening = Box::pin(open(&self.shared, io, address, time));
        let upgraded = unless_shut_down(&self.shared, opening).await?;
        let (greeted, peer) = match greet(&self.shared, upgraded, time).await {
            Ok(greeted) => greeted,
            Err(reason) => return Ok(reason),
        };
        Ok(match begin(&self.shared, greeted, peer, time).await {
            Some(Session::New(opened)) => run_session(Arc::clone(&self.shared), opened).await,
            // The session runs in the task of its first stream.
            Some(Session::Known(session)) => session.closed().await,
            None => CloseReason::Local,
        })
    }
}

/// A server that is bound to an address and does not accept connections yet.
#[derive(Debug)]
pub struct Listening {
    server: Server,
    listener: TcpListener,
}

impl Listening {
    /// The address that the server listens on.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The URL for clients on this machine: `ws://127.0.0.1:9000`, or `wss://` with TLS.
    ///
    /// # Errors
    /// As [`local_addr`](Self::local_addr).
    pub fn url(&self) -> io::Result<String> {
        #[cfg(feature = "tls")]
        let scheme = if self.server.shared.builder.tls.is_some() { "wss" } else { "ws" };
        #[cfg(not(feature = "tls"))]
        let scheme = "ws";
        let mut address = self.local_addr()?;
        if address.ip().is_unspecified() {
            let loopback: std::net::IpAddr =
                if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        Ok(format!("{scheme}://{address}"))
    }

    /// A handle that shuts the server down from anywhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until [`ServerHandle::shutdown`]; see [`Server::serve_on`].
    ///
    /// # Errors
    /// As [`Server::serve_on`].
    ///
    /// # Cancel safety
    /// As [`Server::serve_on`].
    pub async fn serve(self) -> io::Result<()> {
        self.server.serve_on(self.listener).await
    }

    /// Serves until `signal` completes, for example Ctrl-C; then shuts down gracefully.
    ///
    /// # Errors
    /// As [`Server::serve_on`].
    ///
    /// # Cancel safety
    /// As [`Server::serve_on`].
    pub async fn serve_until(self, signal: impl Future<Output = ()>) -> io::Result<()> {
        let handle = self.handle();
        let mut serve = pin!(self.serve());
        tokio::select! {
            served = &mut serve => served,
            () = signal => {
                handle.shutdown();
                serve.await
            }
        }
    }
}

/// Shuts a server down gracefully. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// Starts a graceful shutdown: stops accepting connections and closes every session. A closing session takes no new calls.
    /// Handlers and streams hear of it through [`Context::closing`](rpc_core::Context::closing). Calls in flight may finish within
    /// [`Limits::close_timeout`], and streams may go on for as long; streams of which none moves for two seconds are cut before
    /// that. Readers of a stream that is cut are told that the server is shutting down. Connections still in their handshake
    /// end at once.
    ///
    /// Returns at once, also inside a handler, whose call is answered like any other call in flight. `serve` returns when the
    /// shutdown is complete.
    pub fn shutdown(&self) {
        self.shared.signals.shut_down();
    }

    /// Ends all sessions of a principal at once, those that wait for a connection too, with code 4403. Their calls in flight fail,
    /// and their clients do not connect again. Peers that are being authenticated meanwhile end as soon as they are; later ones are the
    /// authenticator's to refuse. The server remembers the principal, some bytes, for as long as it runs.
    pub fn revoke(&self, principal: Principal) {
        self.shared.signals.revoke(principal);
    }

    /// The counts of accepted and refused connections. They do not include byte streams of [`Server::serve_io`].
    pub fn listen_stats(&self) -> ListenStats {
        self.shared.doorway.stats()
    }
}

/// The time from accepting a connection to its peer's hello: one [`Limits::hello_timeout`] for TLS, the HTTP upgrade and the hello.
#[derive(Debug, Clone, Copy)]
struct HelloTime {
    accepted: Instant,
    limit: Duration,
    /// From when on a revocation concerns the peer.
    since: Since,
}

impl HelloTime {
    fn start(shared: &Shared) -> Self {
        let limit = shared.builder.limits.hello_timeout;
        Self { accepted: Instant::now(), limit, since: shared.signals.now() }
    }

    /// The remaining time. Never zero, which [`Limits::check`] refuses.
    fn left(self) -> Duration {
        self.limit.saturating_sub(self.accepted.elapsed()).max(Duration::from_micros(1))
    }
}

/// A session that runs while this is polled, and ends with the reason.
type RunningSession = Pin<Box<dyn Future<Output = CloseReason> + Send>>;

/// Begins a session on a connection, or gives the connection to one. Until its peer's hello, a newer connection may evict it. The
/// permit stays with the socket: a session that waits for its next socket takes no connection.
///
/// The future is boxed because a task reserves memory for its largest state until it ends, and a session lives long after this. So
/// is the session it returns: a task of a few words holds nothing but the one or the other.
fn session_of_tcp(
    shared: Arc<Shared>,
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    mut permit: Permit,
    time: HelloTime,
) -> Pin<Box<dyn Future<Output = Result<Option<RunningSession>, ServeError>> + Send>> {
    Box::pin(async move {
        let greeting = async {
            let upgraded = unless_shut_down(&shared, open_tcp(&shared, stream, address, time)).await?;
            Ok::<_, ServeError>(greet(&shared, upgraded, time).await)
        };
        let greeted = tokio::select! {
            greeted = greeting => greeted?,
            () = permit.evicted() => {
                log_eviction(address);
                return Ok(None);
            }
        };
        let Ok((greeted, peer)) = greeted else { return Ok(None) };
        if greeted.is_hello() {
            permit.handshake_done();
        }
        Ok(match begin(&shared, greeted.holding(permit), peer, time).await {
            Some(Session::New(opened)) => {
                let running: RunningSession = Box::pin(run_session(Arc::clone(&shared), opened));
                Some(running)
            }
            Some(Session::Known(_)) | None => None,
        })
    })
}

fn log_eviction(address: SocketAddr) {
    tracing::debug!(peer = %address, "a connection that was no session yet gave its place to a newer one");
}

/// Opens a session on a TCP connection. The future is boxed because a task reserves memory for its largest state until it ends,
/// and a session lives long after its handshakes.
fn open_tcp(
    shared: &Shared,
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    time: HelloTime,
) -> Opening<'_> {
    #[cfg(feature = "tls")]
    if let Some(tls) = &shared.builder.tls {
        return Box::pin(async move {
            let stream = timeout(time.left(), accept_tls(tls, stream)).await;
            let stream = stream.unwrap_or_else(|_| Err(ServeError::Tls(io::ErrorKind::TimedOut.into())))?;
            open(shared, stream, Some(address), time).await
        });
    }
    Box::pin(open(shared, stream, Some(address), time))
}

/// Runs the TLS handshake. Peeks at the first byte: a client that speaks plain HTTP gets an HTTP error instead.
#[cfg(feature = "tls")]
async fn accept_tls(
    tls: &TlsAcceptor,
    stream: tokio::net::TcpStream,
) -> Result<tokio_rustls::server::TlsStream<tokio::net::TcpStream>, ServeError> {
    let mut first = [0];
    let peeked = stream.peek(&mut first).await.map_err(ServeError::Tls)?;
    if peeked > 0 && rpc_core::websocket::is_plain_http(first[0]) {
        return Err(rpc_core::websocket::refuse_plain_http(stream).await.into());
    }
    tls.accept(stream).await.map_err(ServeError::Tls)
}

/// Runs `opening`, or ends with [`ServeError::ShuttingDown`] at shutdown: a connection without a session has no calls to wait for.
async fn unless_shut_down(shared: &Shared, opening: Opening<'_>) -> Result<Upgraded, ServeError> {
    tokio::select! {
        biased;
        () = shared.signals.shutdown() => Err(ServeError::ShuttingDown),
        upgraded = opening => upgraded,
    }
}

/// A socket after the WebSocket handshake, its peer, and how long it may last.
type Upgraded = (Box<dyn Transport>, Peer, Option<Duration>);
type Opening<'a> = Pin<Box<dyn Future<Output = Result<Upgraded, ServeError>> + Send + 'a>>;

/// The session of a socket.
enum Session {
    New(Opened),
    /// It was there before, and its socket was another one.
    Known(SessionHandle),
}

/// A session that does not run yet.
struct Opened {
    handle: SessionHandle,
    session: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
    /// The session's place in the table of those that can go on.
    entry: Option<Entry>,
    principal: Principal,
    since: Since,
}

async fn open<IO>(
    shared: &Shared,
    io: IO,
    address: Option<SocketAddr>,
    time: HelloTime,
) -> Result<Upgraded, ServeError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let ServerBuilder { limits, origins, .. } = &shared.builder;
    let decide = |request| authenticate(&shared.builder, request, address);
    let accepting = timeout(time.left(), Socket::accept(io, limits, origins, decide));
    let (socket, (peer, lasts)) = accepting.await.unwrap_or(Err(HandshakeError::Timeout(time.limit)))?;
    Ok((Box::new(socket), peer, lasts))
}

/// The peer of a handshake, and how long its connection may last.
async fn authenticate(
    builder: &ServerBuilder,
    request: HandshakeRequest,
    address: Option<SocketAddr>,
) -> Result<(Peer, Option<Duration>), Rejection> {
    let mut peer = peer_of(request, address);
    if let Some(parameter) = &builder.token_parameter {
        take_token_from_query(&mut peer, parameter);
    }
    let mut lasts = None;
    if let Some(authenticator) = &builder.authenticator {
        let identity = authenticator.ask(&peer).await?;
        lasts = identity.lasts(builder.token_grace)?;
        (peer.principal, peer.expires_at) = (identity.principal, identity.expires_at);
    }
    peer.headers.retain(|(name, _)| !HANDSHAKE_HEADERS.contains(&name.as_str()));
    peer.headers.shrink_to_fit();
    Ok((peer, lasts))
}

/// Reads the client's first message. A server that shuts down waits a moment for one that may be on its way.
async fn greet(
    shared: &Shared,
    (transport, peer, lasts): Upgraded,
    time: HelloTime,
) -> Result<(Greeted, Peer), CloseReason> {
    let moment = async {
        shared.signals.shutdown().await;
        tokio::time::sleep(HELLO_GRACE).await;
    };
    // The identity counts from the handshake on.
    let authenticated = Instant::now();
    let greeted = driver::greet(transport, time.left(), moment).await?;
    let left = lasts.map(|lasts| lasts.saturating_sub(authenticated.elapsed()));
    Ok((left.into_iter().fold(greeted, driver::Greeted::expiring_in), peer))
}

/// Gives a socket to the session that its client names, or begins a new one. `None` if there is no such session.
async fn begin(shared: &Shared, greeted: Greeted, peer: Peer, time: HelloTime) -> Option<Session> {
    let (sessions, id) = (&shared.sessions, greeted.session());
    if greeted.resumes() {
        let Some(session) = id.and_then(|id| sessions.find(id)) else {
            greeted.refuse(close_codes::UNKNOWN_SESSION, "the session is not known").await;
            return None;
        };
        greeted.attach(&session, peer.principal);
        return Some(Session::Known(session));
    }
    let resume = sessions.config();
    let place = match id.filter(|_| resume.is_some()).map(|id| sessions.claim(id)) {
        Some(None) => {
            greeted.refuse(close_codes::UNKNOWN_SESSION, "the session's id is taken").await;
            return None;
        }
        place => place.flatten(),
    };
    let ServerBuilder { services, per_connection, memory, .. } = &shared.builder;
    let mut services = services.clone();
    for make in per_connection {
        services.offer(make(&peer));
    }
    let owner = owner_of(&peer);
    let memory = memory.clone();
    let principal = peer.principal.clone();
    let recalls = place.as_ref().map(|place| place.recalls(principal.clone()));
    let config = SessionConfig { services, peer, memory, resume, recalls, ..SessionConfig::default() };
    let (handle, session) = greeted.start(config, &shared.limits, time.left());
    let entry = place.map(|place| place.enter(&handle, owner, principal.clone()));
    let session = Box::pin(session);
    Some(Session::New(Opened { handle, session, entry, principal, since: time.since }))
}

fn peer_of(request: HandshakeRequest, address: Option<SocketAddr>) -> Peer {
    let HandshakeRequest { path, query, headers, .. } = request;
    let mut peer = Peer::default();
    peer.address = address;
    peer.target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    peer.headers = headers;
    peer
}

/// Runs a session to its end. Not an `async fn`, whose future would hold its arguments twice.
fn run_session(shared: Arc<Shared>, opened: Opened) -> impl Future<Output = CloseReason> + Send {
    let Opened { handle, mut session, mut entry, principal, since } = opened;
    async move {
        let close = async {
            let age = async {
                match shared.builder.session_age {
                    Some(age) => {
                        let jitter = age.mul_f64(rand::random::<f64>() / 10.0);
                        Box::pin(tokio::time::sleep(age.saturating_add(jitter))).await;
                    }
                    None => pending().await,
                }
            };
            let signal = tokio::select! {
                biased;
                signal = shared.signals.concerning(&principal, since) => signal,
                () = age => Signal::Close,
            };
            if signal == Signal::Close {
                // Boxed, because few sessions are closing. A peer may be revoked while its last calls run.
                let closing = async {
                    tokio::select! {
                        biased;
                        () = shared.signals.revoked(&principal, since) => {}
                        _ = handle.close() => pending().await,
                    }
                };
                Box::pin(closing).await;
            }
            handle.attachments().end(close_codes::REVOKED, CloseReason::Revoked);
            pending::<CloseReason>().await
        };
        let watch = async {
            if let Some(entry) = &mut entry {
                entry.watch().await;
            }
            pending::<CloseReason>().await
        };
        tokio::select! {
            biased;
            reason = &mut session => reason,
            reason = close => reason,
            reason = watch => reason,
        }
    }
}

/// Formats an error and its sources on one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
