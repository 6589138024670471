//! One attempt to open a socket to a server: name lookup, TCP, TLS and the WebSocket handshake.

#[cfg(feature = "tls")]
use std::borrow::Cow;
use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use rpc_core::{
    Limits, LimitsError,
    transport::Transport,
    websocket::{self, ClientHandshake, HandshakeError, Socket},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

#[cfg(feature = "tls")]
use crate::tls::{TlsConnector, TlsError};
use crate::{
    address::{Address, AddressError},
    connector::Connector,
};

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
        /// The error of the operating system or of the [connector](crate::ClientBuilder::connector).
        #[source]
        source: io::Error,
    },
    /// Connecting took longer than [`ClientBuilder::connect_timeout`](crate::ClientBuilder::connect_timeout).
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
    /// The function of [`ClientBuilder::headers_with`](crate::ClientBuilder::headers_with) has no headers for this attempt.
    #[error("there are no headers to connect with")]
    Headers(#[source] BoxError),
    /// The limits are invalid: no session can have them. No connection was tried.
    #[error(transparent)]
    Limits(#[from] LimitsError),
}

/// Any error, as applications have them.
pub(crate) type BoxError = Arc<dyn std::error::Error + Send + Sync>;
/// Headers for the HTTP request of an attempt.
pub(crate) type Headers = Vec<(String, String)>;
pub(crate) type MakeHeaders =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Headers, BoxError>> + Send>> + Send + Sync;

/// The time that an attempt has, unless the application says otherwise.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An attempt to connect.
pub(crate) type Dialing<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, ConnectError>> + Send + 'a>>;

/// Opens sockets to one server, which may have several addresses.
pub(crate) struct Dialer {
    pub(crate) addresses: Vec<Address>,
    pub(crate) headers: Headers,
    pub(crate) make_headers: Option<Arc<MakeHeaders>>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    /// The opener of byte streams. TCP if there is none.
    pub(crate) connector: Option<Connector>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsConnector>,
}

impl Dialer {
    /// Opens a socket to the address with this number, counted around. The boxed future is compiled with this crate, once, and not
    /// with each program that connects.
    #[inline(never)]
    pub(crate) fn dial(&self, attempt: usize) -> Dialing<'_> {
        // The builder takes no empty list.
        let address = &self.addresses[attempt % self.addresses.len()];
        Box::pin(async move {
            let place = format!("{}:{}", address.host(), address.port());
            let limit = self.timeout;
            let connected = tokio::time::timeout(limit, self.dial_unbounded(address, &place)).await;
            connected.unwrap_or(Err(ConnectError::Timeout { address: place, limit }))
        })
    }

    async fn dial_unbounded(
        &self,
        address: &Address,
        place: &str,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let mut headers = self.headers.clone();
        if let Some(make) = &self.make_headers {
            headers.extend(make().await.map_err(ConnectError::Headers)?);
        }
        let unreachable = |source| ConnectError::Unreachable { address: place.to_owned(), source };
        if let Some(connector) = &self.connector {
            let stream = connector.open(address).await.map_err(unreachable)?;
            return connector.upgrade(stream, self, address, headers).await;
        }
        let stream = TcpStream::connect((address.host(), address.port())).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if address.is_secure() {
            return self.dial_tls(stream, address, headers).await;
        }
        let mut request = ClientHandshake::new(address.host_header(), address.path_and_query());
        request.headers = headers;
        Ok(websocket::open_tcp(stream, request, self.limits.clone()).await?)
    }

    #[cfg(feature = "tls")]
    async fn dial_tls(
        &self,
        stream: TcpStream,
        address: &Address,
        headers: Headers,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        let stream = self.tls_connector()?.connect(address.host(), stream).await?;
        let (host, path) = (address.host_header(), address.path_and_query());
        Ok(Box::new(upgrade(stream, &host, path, headers, &self.limits).await?))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls_connector(&self) -> Result<Cow<'_, TlsConnector>, ConnectError> {
        Ok(match &self.tls {
            Some(connector) => Cow::Borrowed(connector),
            None => Cow::Owned(TlsConnector::platform()?),
        })
    }

    #[cfg(not(feature = "tls"))]
    async fn dial_tls(
        &self,
        _: TcpStream,
        _: &Address,
        _: Headers,
    ) -> Result<Box<dyn Transport>, ConnectError> {
        Err(ConnectError::TlsMissing)
    }
}

/// Runs the WebSocket handshake over a byte stream.
pub(crate) async fn upgrade<IO>(
    io: IO,
    host: &str,
    path: &str,
    headers: Headers,
    limits: &Limits,
) -> Result<Socket<IO>, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut request = ClientHandshake::new(host, path);
    request.headers = headers;
    Ok(Socket::connect(io, request, limits).await?)
}

impl ConnectError {
    /// The delay that the server asks for before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake(HandshakeError::Refused { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }

    /// Whether another attempt would end in the same way, as far as that can be known.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Address(_) | Self::Limits(_) => true,
            #[cfg(not(feature = "tls"))]
            Self::TlsMissing => true,
            // Statuses that tell the client to do something else: its credentials or its address are not accepted.
            Self::Handshake(HandshakeError::Refused { status, .. }) => {
                (400..500).contains(status) && ![408, 425, 429].contains(status)
            }
            Self::Handshake(HandshakeError::InvalidRequest(_) | HandshakeError::BadUpgrade(_)) => true,
            _ => false,
        }
    }
}

/// Leaves out header values, which may be secret tokens.
impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
