//! The HTTP exchange that turns a byte stream into a WebSocket, both sides of it.
//!
//! Not tungstenite's: that drops a plain HTTP client without an answer and tells no client why it failed. One HTTP head is read, at most [`Limits::handshake_bytes_max`] long, and parsed once; the whole exchange takes at
//! most [`Limits::hello_timeout`].

mod client;
mod head;
mod key;
mod origin;
mod server;
mod status;
mod target;
mod tls;

use std::{fmt, future::Future, io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

use super::Socket;
use crate::limits::Limits;

/// The WebSocket subprotocol of this project: offered by clients, echoed by servers.
pub const SUBPROTOCOL: &str = "rpc.v1";

/// A client's handshake request.
///
/// ```
/// let mut request = rpc_core::websocket::ClientHandshake::new("rpc.example.com:8443", "/rpc?tenant=7");
/// request.headers.push(("authorization".into(), "Bearer 123".into()));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientHandshake {
    /// The `Host` header: the server's name, with its port unless that is the scheme's own.
    pub host: String,
    /// The path and query, beginning with `/`.
    pub path: String,
    /// Additional headers, as names and values.
    pub headers: Vec<(String, String)>,
}

impl ClientHandshake {
    /// A request for `path` (with its query) of `host`.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        Self { host: host.into(), path: path.into(), headers: Vec::new() }
    }
}

/// Leaves out the query and all header values, where tokens are.
impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("host", &self.host)
            .field("path", &self.path.split('?').next())
            .field("headers", &names(&self.headers))
            .finish()
    }
}

/// A client's handshake request, as the server received it. The caller adds the peer's address, which the byte stream does not
/// know.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeRequest {
    /// The path, beginning with `/`.
    pub path: String,
    /// The query, without the `?`.
    pub query: Option<String>,
    /// All headers in their order, with lower-case names. Bytes of a value that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
}

impl HandshakeRequest {
    /// The value of the first header called `name`, compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Leaves out the query and all header values, where tokens are.
impl fmt::Debug for HandshakeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeRequest")
            .field("path", &self.path)
            .field("query", &self.query.as_ref().map(|_| "…"))
            .field("headers", &names(&self.headers))
            .finish()
    }
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// A server's refusal of one client, as an HTTP status with a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
    text: String,
    retry_after: Option<Duration>,
}

impl Rejection {
    /// Refuses with an HTTP status and a sentence for the client. A status that is not an error becomes 403.
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        let is_error = (400..600).contains(&status);
        Self { status: if is_error { status } else { 403 }, text: text.into(), retry_after: None }
    }

    /// Tells the client when to retry (`Retry-After`). The delay is rounded up to whole seconds.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, status::reason(self.status), self.text)
    }
}

/// A header's value as a peer sent it. Neither `Debug` nor an error's text shows it, because tokens travel in headers, in the
/// list of subprotocols too.
#[derive(Clone, PartialEq, Eq)]
pub struct Unprinted(pub String);

impl std::fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Why a handshake gave no WebSocket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The byte stream failed.
    #[error("the link failed during the handshake")]
    Io(#[from] io::Error),
    /// The byte stream ended before the handshake did.
    #[error("the link ended during the handshake")]
    Cut,
    /// The handshake did not end within [`Limits::hello_timeout`].
    #[error("the handshake took longer than {0:?}")]
    Timeout(Duration),
    /// The peer's HTTP head is longer than [`Limits::handshake_bytes_max`].
    #[error("the peer's HTTP head is longer than {0} bytes")]
    TooLong(usize),
    /// The peer sent something that is not HTTP/1.1, or an upgrade that RFC 6455 does not allow.
    #[error("the peer's handshake is not valid: {0}")]
    Malformed(String),
    /// To a server: the client speaks HTTP but did not ask for a WebSocket. It was answered with 426.
    #[error("the client did not ask for a WebSocket: {0}")]
    NotWebSocket(String),
    /// To a server: the client offered only subprotocols other than [`SUBPROTOCOL`]. It was answered with 400.
    #[error("the client offers other subprotocols than `{SUBPROTOCOL}`")]
    Subprotocol(Unprinted),
    /// To a server: a browser on a page of another origin. It was answered with 403.
    #[error("the client's origin is not allowed")]
    Origin(Unprinted),
    /// To a server: the caller's `decide` refused the client.
    #[error("the client was refused ({0})")]
    Rejected(Rejection),
    /// To a server of plain text: the client speaks TLS. It was answered with 400.
    #[error("the client speaks TLS, and this address plain text")]
    ClientSpeaksTls,
    /// To a server of TLS: the client speaks plain HTTP. It was answered with 400.
    #[error("the client speaks plain HTTP, and this address TLS")]
    ClientSpeaksPlainText,
    /// To a client of plain text: the server speaks TLS.
    #[error("the server speaks TLS; write `wss://`")]
    ServerSpeaksTls,
    /// To a client: the server answered, but not with a WebSocket.
    #[error(
        "the server answered {status}{}{}{text}",
        if *status < 400 { " instead of opening a WebSocket" } else { "" },
        if text.is_empty() { "" } else { ": " }
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first line of the answer's body, as far as it came with the head.
        text: String,
        /// The delay after which the server asks for a retry.
        retry_after: Option<Duration>,
    },
    /// To a client: the server answered 101, but not to this request or not with [`SUBPROTOCOL`].
    #[error("the server's upgrade is not valid: {0}")]
    BadUpgrade(&'static str),
    /// To a client: its own request cannot be sent.
    #[error("the request is not valid: {0}")]
    InvalidRequest(String),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    /// Asks the server at the other end of `io` for a WebSocket.
    ///
    /// # Cancel safety
    /// Dropping the future drops `io`.
    ///
    /// # Errors
    /// The reason why there is no WebSocket; [`HandshakeError::Refused`] has the server's HTTP status.
    pub async fn connect(io: IO, request: ClientHandshake, limits: &Limits) -> Result<Self, HandshakeError> {
        let exchange = client::connect(io, &request, limits);
        let in_time = tokio::time::timeout(limits.hello_timeout, exchange).await;
        in_time.unwrap_or(Err(HandshakeError::Timeout(limits.hello_timeout)))
    }

    /// Waits for the client at the other end of `io` to ask for a WebSocket, and answers.
    ///
    /// A client is refused with a short HTTP answer if it asks for anything but a WebSocket, if it offers only other
    /// subprotocols, or if it names an `Origin` (every browser does) that is neither the origin of its `Host` nor one of
    /// `origins_allowed` (`https://app.example.com`). After these checks `decide` accepts or refuses it, and what it makes of the request
    /// is returned beside the socket. Its time is part of [`Limits::hello_timeout`].
    ///
    /// # Cancel safety
    /// Dropping the future drops `io`.
    ///
    /// # Errors
    /// The reason why there is no WebSocket. The client has been told.
    pub async fn accept<T, D: Future<Output = Result<T, Rejection>>>(
        io: IO,
        limits: &Limits,
        origins_allowed: &[String],
        decide: impl FnOnce(HandshakeRequest) -> D,
    ) -> Result<(Self, T), HandshakeError> {
        let exchange = server::accept(io, limits, origins_allowed, decide);
        let in_time = tokio::time::timeout(limits.hello_timeout, exchange).await;
        in_time.unwrap_or(Err(HandshakeError::Timeout(limits.hello_timeout)))
    }
}

/// Whether a client speaks plain HTTP and not TLS, judged by its first byte.
pub fn is_plain_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

/// Answers a client that speaks plain HTTP to a TLS address, in plain HTTP, and gives it a second to read the answer. Returns
/// [`HandshakeError::ClientSpeaksPlainText`], for the caller to hand on.
///
/// # Cancel safety
/// Dropping the future drops `io`.
pub async fn refuse_plain_http<IO: AsyncRead + AsyncWrite + Unpin>(io: IO) -> HandshakeError {
    server::refuse(io, HandshakeError::ClientSpeaksPlainText).await
}

#[cfg(test)]
mod tests;
