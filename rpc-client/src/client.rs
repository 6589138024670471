//! The client: one connection to a server, shared by a whole application.

use std::{future::Future, io, pin::Pin, time::Duration};

use rpc_core::{
    AsSession, CloseReason, Limits, LimitsError, Service, ServiceClient, Services, SessionHandle,
    SessionStats,
    driver::{self, SessionConfig, Side},
    websocket::{self, ClientHandshake, HandshakeError, Socket},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::address::{Address, AddressError};
#[cfg(feature = "tls")]
use crate::tls::{TlsConnector, TlsError};

/// A connection to a server. Cheap to clone, `Send` and `Sync`: one is enough for a whole application.
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
}

/// Why connecting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not a valid `ws://` or `wss://` URL.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server cannot be reached.
    #[error("`{address}` cannot be reached")]
    Unreachable {
        /// The host and port of the attempt.
        address: String,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Connecting took longer than [`ClientBuilder::connect_timeout`].
    #[error("`{address}` did not answer within {limit:?}: no server serves there, or the way is slow")]
    Timeout {
        /// The host and port of the attempt.
        address: String,
        /// The timeout.
        limit: Duration,
    },
    /// The TLS handshake failed.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `wss://` needs the feature `tls`.
    #[cfg(not(feature = "tls"))]
    #[error("`wss://` needs rpc-client's feature `tls`")]
    TlsMissing,
    /// The WebSocket handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The limits are invalid: no session can have them. No connection was tried.
    #[error(transparent)]
    Limits(#[from] LimitsError),
}

/// Configures how a [`Client`] connects. Made by [`Client::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    services: Services,
    limits: Limits,
    headers: Vec<(String, String)>,
    connect_timeout: Option<Duration>,
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

    /// Waits until the connection has ended and returns why.
    ///
    /// # Cancel safety
    /// Cancel safe: the future may be dropped and the method called again at any time.
    pub async fn closed(&self) -> CloseReason {
        self.session.closed().await
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
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

    /// The timeout of connecting: name lookup, TCP, TLS and the WebSocket handshake together. Default 10 s. The WebSocket
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

    /// Connects to `ws://host[:port][/path]` or `wss://…`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    /// Dropping the future abandons the attempt.
    pub async fn connect(self, address: &str) -> Result<Client, ConnectError> {
        self.connecting(address).await
    }

    /// The boxed future is compiled with this crate, once, and not with each program that connects.
    #[inline(never)]
    fn connecting(
        self,
        address: &str,
    ) -> Pin<Box<dyn Future<Output = Result<Client, ConnectError>> + Send + '_>> {
        Box::pin(async move {
            self.limits.check()?;
            let address: Address = address.parse()?;
            let limit = self.connect_timeout.unwrap_or(Duration::from_secs(10));
            let place = format!("{}:{}", address.host(), address.port());
            let connected = tokio::time::timeout(limit, self.dial(&address, &place)).await;
            connected.unwrap_or(Err(ConnectError::Timeout { address: place, limit }))
        })
    }

    async fn dial(self, address: &Address, place: &str) -> Result<Client, ConnectError> {
        let unreachable = |source| ConnectError::Unreachable { address: place.to_owned(), source };
        let stream = TcpStream::connect((address.host(), address.port())).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if address.is_secure() {
            return self.connect_tls(stream, address).await;
        }
        let (request, config) = self.prepare(&address.host_header(), address.path_and_query());
        let session = websocket::connect_tcp(stream, request, config).await?;
        Ok(Client { session })
    }

    fn prepare(self, host: &str, path: &str) -> (ClientHandshake, SessionConfig) {
        let mut request = ClientHandshake::new(host, path);
        request.headers = self.headers;
        let (services, limits) = (self.services, self.limits);
        (request, SessionConfig { services, limits, ..SessionConfig::default() })
    }

    #[cfg(feature = "tls")]
    async fn connect_tls(mut self, stream: TcpStream, address: &Address) -> Result<Client, ConnectError> {
        let connector = match self.tls.take() {
            Some(connector) => connector,
            None => TlsConnector::platform()?,
        };
        let stream = connector.connect(address.host(), stream).await?;
        self.connect_io(stream, &address.host_header(), address.path_and_query()).await
    }

    #[cfg(not(feature = "tls"))]
    async fn connect_tls(self, _stream: TcpStream, _address: &Address) -> Result<Client, ConnectError> {
        Err(ConnectError::TlsMissing)
    }

    /// Connects over any byte stream: runs the WebSocket handshake with `host` and `path` in the request. Adds no TLS.
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
        let (request, config) = self.prepare(host, path);
        let socket = Socket::connect(io, request, &config.limits).await?;
        let (session, task) = driver::start(socket, Side::Client, config);
        tokio::spawn(task);
        Ok(Client { session })
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
