//! The client: one connection to a server, shared by a whole application.

use std::{future::Future, io, sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream};
use rpc_core::{
    AsSession, CloseReason, Limits, Service, ServiceClient, Services, SessionHandle, SessionStats,
    driver::{self, SessionConfig, Side},
};
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "tls")]
use crate::tls::TlsConnector;
use crate::{
    address::{Address, AddressError},
    connector::Connector,
    dial::{self, CONNECT_TIMEOUT, ConnectError, Dialer, Headers},
    reconnect::{Begin, ConnectionState, Reconnect, Reconnector, spawn},
};

/// A connection to a server. Cheap to clone, `Send` and `Sync`: one is enough for a whole application.
///
/// When the socket ends, the client opens another one, and the session goes on as if nothing had happened: calls in flight, streams
/// and references. If the server does not know the session any more, because it restarted for example, the session is lost: calls in
/// flight fail with how far they got, and streams end. Then a new session takes its place. Clients of the server's services go on in
/// it, and so do calls that were not sent, and idempotent ones. [`Reconnect`] says how, and [`state`](Self::state) what is the case.
///
/// The connection closes gracefully when its last clone, service client and promise are dropped, or by
/// [`close`](Self::close). Objects passed to the server, like listeners, do not keep it open: keep the `Client` as long as
/// the server should call them.
///
/// # Example
/// ```no_run
/// # async fn connect() -> Result<(), rpc_client::ConnectError> {
/// let client = rpc_client::Client::connect("ws://127.0.0.1:9000").await?;
/// // let chat: ChatClient = client.service();
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    session: SessionHandle,
    /// `None` over a byte stream of the application's own, which cannot be opened again.
    reconnector: Option<Arc<Reconnector>>,
}

/// Configures how a [`Client`] connects. Made by [`Client::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    services: Services,
    limits: Limits,
    headers: Headers,
    make_headers: Option<Arc<dial::MakeHeaders>>,
    fallbacks: Vec<String>,
    reconnect: Option<Reconnect>,
    is_single: bool,
    connect_timeout: Option<Duration>,
    connector: Option<Connector>,
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
}

impl Client {
    /// Connects to `ws://host[:port][/path]` or `wss://…` with the defaults.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt.
    pub async fn connect(address: &str) -> Result<Self, ConnectError> {
        Self::builder().connect(address).await
    }

    /// A builder with the default limits, the platform's certificates and no services.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of one of the server's services. Sends no message; a server without the service refuses its calls.
    pub fn service<C: ServiceClient>(&self) -> C {
        self.session.service()
    }

    /// Closes the connection gracefully: takes no new calls, lets calls in flight finish and waits for the end, at most
    /// [`Limits::close_timeout`].
    ///
    /// Inside a handler that the server called, begins closing and returns at once, because the end would wait for the handler.
    /// The handler's result still reaches the server. See [`SessionHandle::close`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) -> CloseReason {
        self.session.close().await
    }

    /// Waits until the client is closed and returns why: it was closed, or it gave up connecting. A connection that is lost does not close
    /// the client; [`states`](Self::states) tells of that.
    ///
    /// # Cancel safety
    /// Cancel safe: the future may be dropped and the method called again at any time.
    pub async fn closed(&self) -> CloseReason {
        self.session.closed().await
    }

    /// Whether the client is closed: there will be no further connection.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// The state of the connection. Always [`ConnectionState::Attached`] over a byte stream of the application's own.
    pub fn state(&self) -> ConnectionState {
        self.reconnector.as_ref().map_or(ConnectionState::Attached, |reconnector| reconnector.state())
    }

    /// The states of the connection from here on: the present one, and each that follows. A reader that is 64 changes behind misses the
    /// oldest. The stream does not keep the connection open, and ends with it.
    pub fn states(&self) -> impl Stream<Item = ConnectionState> + Send + 'static {
        let states = self.reconnector.as_ref().map(|reconnector| reconnector.states().boxed());
        states.unwrap_or_else(|| stream::iter([ConnectionState::Attached]).boxed())
    }

    /// Tells the client that it is worth trying to connect now, for example because the operating system says that the network is
    /// back. It does not wait for its next attempt, and its delays begin anew.
    pub fn reconnect_now(&self) {
        if let Some(reconnector) = &self.reconnector {
            reconnector.reconnect_now();
        }
    }

    /// Pauses attempts to connect, or lets them go on. A socket that is open stays open.
    pub fn pause_reconnecting(&self, is_paused: bool) {
        if let Some(reconnector) = &self.reconnector {
            reconnector.pause(is_paused);
        }
    }

    /// The last time that was measured from a message to the server's answer, by the handshake or a heartbeat.
    pub fn round_trip(&self) -> Option<Duration> {
        self.session.round_trip()
    }

    /// Counts of the calls, results, objects, streams and bytes that the session holds now.
    ///
    /// # Cancel safety
    /// Cancel safe: the future may be dropped at any time.
    pub async fn stats(&self) -> SessionStats {
        self.session.stats().await
    }
}

impl AsSession for Client {
    fn as_session(&self) -> &SessionHandle {
        &self.session
    }
}

impl ClientBuilder {
    /// Offers a service to the server: both sides of a session can call.
    ///
    /// # Panics
    /// When a service of the same wire name is offered already.
    #[track_caller]
    pub fn service(mut self, service: impl Service) -> Self {
        self.services = self.services.with(service);
        self
    }

    /// The limits of the session. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a header to the HTTP request, for example `authorization`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The timeout of connecting: name lookup, TCP (or the [`connector`](Self::connector)), TLS and the WebSocket handshake together. Default 10 s. The WebSocket
    /// handshake is also bounded by [`Limits::hello_timeout`].
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// The certificates to trust for `wss://`. Default: those of the platform.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, connector: TlsConnector) -> Self {
        self.tls = Some(connector);
        self
    }

    /// Has each attempt to connect ask for headers, for example for a token that is valid now. They are added to those of
    /// [`header`](Self::header). The time that the function takes counts towards the attempt's timeout; its error fails the attempt,
    /// and the next one asks again.
    ///
    /// ```
    /// # struct Tokens;
    /// # impl Tokens { async fn fresh(&self) -> Result<String, std::io::Error> { Ok("t".into()) } }
    /// # let tokens = std::sync::Arc::new(Tokens);
    /// let builder = rpc_client::Client::builder().headers_with(move || {
    ///     let tokens = tokens.clone();
    ///     async move { Ok::<_, std::io::Error>(vec![("authorization".into(), format!("Bearer {}", tokens.fresh().await?))]) }
    /// });
    /// ```
    pub fn headers_with<F, E>(mut self, make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<(String, String)>, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.make_headers = Some(Arc::new(move || {
            let headers = make();
            Box::pin(async move { headers.await.map_err(|error| Arc::new(error) as _) })
        }));
        self
    }

    /// Asks for a token before each attempt to connect, and sends it as `Authorization: Bearer …`. When the server ends a connection because
    /// its token has expired, the client asks for the next one, and its session goes on.
    ///
    /// ```
    /// # use rpc_client::{Client, ConnectError};
    /// # async fn fresh_token() -> Result<String, std::io::Error> { Ok("a7f3".into()) }
    /// # async fn example() -> Result<(), ConnectError> {
    /// let client = Client::builder().bearer_with(fresh_token).connect("wss://example.com/rpc").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bearer_with<F, E>(self, make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.headers_with(move || {
            let token = make();
            async move { Ok::<_, E>(vec![("authorization".to_owned(), format!("Bearer {}", token.await?))]) }
        })
    }

    /// Opens byte streams in place of TCP: over a Unix socket, through a proxy or a tunnel, or in a simulated network. The function is
    /// called for each attempt with the address of that attempt. TLS (for `wss://`) and the WebSocket handshake run over its stream.
    /// The time that it takes counts towards the attempt's [timeout](Self::connect_timeout), which drops the future. Its error fails the
    /// attempt as [`ConnectError::Unreachable`], and the client tries again as [`Reconnect`] says.
    ///
    /// # Example
    /// ```
    /// # #[cfg(unix)]
    /// # async fn connect() -> Result<(), rpc_client::ConnectError> {
    /// use tokio::net::UnixStream;
    ///
    /// // The host is the `Host` header of the WebSocket handshake; no name is looked up.
    /// let builder = rpc_client::Client::builder().connector(|_address| UnixStream::connect("/run/chat.sock"));
    /// let client = builder.connect("ws://localhost/").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connector<F, IO>(mut self, open: impl Fn(Address) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connector = Some(Connector::new(open));
        self
    }

    /// A further address of the server. The client stays with an address as long as it can connect to it, and goes to the next one
    /// after each failed attempt.
    pub fn fallback(mut self, address: impl Into<String>) -> Self {
        self.fallbacks.push(address.into());
        self
    }

    /// How the client gets a new socket when its own ends. Default [`Reconnect::default`].
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = Some(policy);
        self
    }

    /// The client has one socket: when that ends, the session is over, and so is the client.
    pub fn without_reconnect(mut self) -> Self {
        self.is_single = true;
        self
    }

    /// Connects to `ws://host[:port][/path]` or `wss://…`. Tries each address once.
    ///
    /// # Errors
    /// See [`ConnectError`]. If no address can be connected to, the error is that of the last.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt.
    pub async fn connect(self, address: &str) -> Result<Client, ConnectError> {
        let (reconnector, is_single) = self.reconnector(address)?;
        let socket = reconnector.open_first().await?;
        if is_single {
            let config = SessionConfig { resume: None, succession: None, ..reconnector.session_config() };
            let (session, task) = driver::start(socket, Side::Client, config);
            spawn(Box::pin(task.map(drop)));
            return Ok(Client { session, reconnector: None });
        }
        let (session, task) = driver::start(socket, Side::Client, reconnector.session_config());
        spawn(Box::pin(task.map(drop)));
        spawn(Box::pin(Arc::clone(&reconnector).tend(session.attachments(), Begin::Attached)));
        Ok(Client { session, reconnector: Some(reconnector) })
    }

    /// Makes a client that connects when a call needs it. The call waits for the socket, as [`Reconnect::waiting`] says. With
    /// [`Limits::idle_timeout`] the client gives the connection up when it is not used, and the next call opens it again.
    ///
    /// # Errors
    /// If an address or the limits are not valid. Whether there is a server, [`Client::state`] tells.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_lazily(self, address: &str) -> Result<Client, ConnectError> {
        let (reconnector, _) = self.reconnector(address)?;
        let (session, task) = driver::start_detached(reconnector.session_config());
        spawn(Box::pin(task.map(drop)));
        spawn(Box::pin(Arc::clone(&reconnector).tend(session.attachments(), Begin::Wanted)));
        Ok(Client { session, reconnector: Some(reconnector) })
    }

    fn reconnector(self, address: &str) -> Result<(Arc<Reconnector>, bool), ConnectError> {
        self.limits.check()?;
        let addresses = std::iter::once(address).chain(self.fallbacks.iter().map(String::as_str));
        let dialer = Dialer {
            addresses: addresses.map(str::parse).collect::<Result<Vec<Address>, AddressError>>()?,
            headers: self.headers,
            make_headers: self.make_headers,
            limits: self.limits.clone(),
            timeout: self.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            connector: self.connector,
            #[cfg(feature = "tls")]
            tls: self.tls,
        };
        let policy = self.reconnect.unwrap_or_default();
        Ok((Reconnector::new(dialer, policy, self.services, self.limits), self.is_single))
    }

    /// Connects over any byte stream: runs the WebSocket handshake with `host` and `path` in the request. Adds no TLS. The session ends
    /// with the stream; a client with a [`connector`](Self::connector) opens another one.
    ///
    /// # Errors
    /// If the WebSocket handshake fails, or the limits are invalid.
    ///
    /// # Cancel safety
    /// Dropping the future drops `io`.
    pub async fn connect_io<IO>(self, io: IO, host: &str, path: &str) -> Result<Client, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.limits.check()?;
        let mut headers = self.headers;
        if let Some(make) = &self.make_headers {
            headers.extend(make().await.map_err(ConnectError::Headers)?);
        }
        let socket = dial::upgrade(io, host, path, headers, &self.limits).await?;
        let (services, limits) = (self.services, self.limits);
        let config = SessionConfig { services, limits, ..SessionConfig::default() };
        let (session, task) = driver::start(socket, Side::Client, config);
        spawn(Box::pin(task.map(drop)));
        Ok(Client { session, reconnector: None })
    }
}

/// Leaves out header values, which may be secret tokens.
impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClientBuilder")
            .field("services", &self.services)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}
