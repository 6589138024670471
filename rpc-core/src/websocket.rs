//! WebSockets below the driver: handshake, limits, heartbeat, and buffers that follow the traffic.
//!
//! [`Socket`] is the [`Transport`] that rpc-server and rpc-client run their sessions on, over any
//! byte stream. tungstenite implements RFC 6455. This module adds limits, heartbeat and buffer sizes, and writes messages past
//! tungstenite, without its copies:
//!
//! ```text
//!  Socket      whole messages, heartbeat, close codes, rebuilds the codec with other buffer sizes
//!    │  tungstenite (WebSocketStream)   inbound: frames, masks, fragments; pongs and closes
//!  Metered     reads frame headers as the bytes pass: limits, and whether the codec holds anything
//!    │  Outbox                          outbound: frames, masks
//!    IO        TCP, TLS, or memory
//! ```
//!
//! The HTTP handshake is our own: tungstenite's neither answers plain HTTP nor tells why it failed.

use std::{future::Future, pin::Pin};

use tokio::net::TcpStream;

use crate::{limits::Limits, transport::Transport};

mod buffers;
mod handshake;
mod meter;
mod metered;
mod outbox;
mod socket;

pub use handshake::{
    ClientHandshake, HandshakeError, HandshakeRequest, Rejection, SUBPROTOCOL, Unprinted, is_plain_http,
    refuse_plain_http,
};
pub use socket::{PeerClose, SEND_BYTES_MAX, Socket};

/// A socket that is being opened.
#[doc(hidden)]
pub type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, HandshakeError>> + Send>>;

/// Opens a client's WebSocket on a TCP connection.
///
/// rpc-client could do the same with [`Socket::connect`]. A function without type parameters is compiled with this crate, once, and
/// shares the code that it has in common with a server's sockets. Otherwise each program compiles it.
#[doc(hidden)]
#[inline(never)]
pub fn open_tcp(stream: TcpStream, request: ClientHandshake, limits: Limits) -> Opening {
    Box::pin(async move {
        let socket = Socket::connect(stream, request, &limits).await?;
        Ok(Box::new(socket) as Box<dyn Transport>)
    })
}
