//! WebSockets below the driver: handshake, limits, heartbeat, and buffers that follow the traffic.
//!
//! [`Socket`] is the [`Transport`](crate::transport::Transport) that rpc-server and rpc-client run their sessions on, over any
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
