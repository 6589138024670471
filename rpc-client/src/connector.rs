//! Byte streams of the application's own kind, in place of TCP.
//!
//! A stream is boxed as soon as it is open: the WebSocket over it is compiled with this crate, once, and not for each connector.

use std::{future::Future, io, pin::Pin};

use rpc_core::{transport::Transport, websocket::Socket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    address::Address,
    dial::{ConnectError, Dialer, Dialing, Headers, upgrade},
};

pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for IO {}

pub(crate) type BoxedStream = Box<dyn ByteStream>;
type Opening = Pin<Box<dyn Future<Output = io::Result<BoxedStream>> + Send>>;
type Upgrade = for<'a> fn(BoxedStream, &'a Dialer, &'a Address, Headers) -> Dialing<'a>;

/// Opens byte streams, one for each attempt to connect.
pub(crate) struct Connector {
    open: Box<dyn Fn(Address) -> Opening + Send + Sync>,
    /// The handshakes, behind a pointer that only [`new`](Self::new) sets: programs without a connector do not contain them.
    upgrade: Upgrade,
}

impl Connector {
    pub(crate) fn new<F, IO>(open: impl Fn(Address) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let open = move |address| -> Opening {
            let stream = open(address);
            Box::pin(async move { Ok(Box::new(stream.await?) as BoxedStream) })
        };
        Self { open: Box::new(open), upgrade: upgrade_boxed }
    }

    pub(crate) fn open(&self, address: &Address) -> Opening {
        (self.open)(address.clone())
    }

    pub(crate) fn upgrade<'a>(
        &self,
        stream: BoxedStream,
        dialer: &'a Dialer,
        address: &'a Address,
        headers: Headers,
    ) -> Dialing<'a> {
        (self.upgrade)(stream, dialer, address, headers)
    }
}

/// Runs TLS, if the address asks for it, and the WebSocket handshake.
fn upgrade_boxed<'a>(
    stream: BoxedStream,
    dialer: &'a Dialer,
    address: &'a Address,
    headers: Headers,
) -> Dialing<'a> {
    Box::pin(async move {
        let stream = if address.is_secure() { encrypt(stream, dialer, address).await? } else { stream };
        let (host, path) = (address.host_header(), address.path_and_query());
        let socket: Socket<BoxedStream> = upgrade(stream, &host, path, headers, &dialer.limits).await?;
        Ok(Box::new(socket) as Box<dyn Transport>)
    })
}

#[cfg(feature = "tls")]
async fn encrypt(
    stream: BoxedStream,
    dialer: &Dialer,
    address: &Address,
) -> Result<BoxedStream, ConnectError> {
    Ok(Box::new(dialer.tls_connector()?.connect(address.host(), stream).await?))
}

#[cfg(not(feature = "tls"))]
async fn encrypt(_: BoxedStream, _: &Dialer, _: &Address) -> Result<BoxedStream, ConnectError> {
    Err(ConnectError::TlsMissing)
}
