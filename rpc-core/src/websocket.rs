//! WebSockets below the driver: handshake, limits, heartbeat, and buffers that follow the traffic.
//!
//! [`Socket`] is the [`Transport`](crate::transport::Transport) that rpc-server and rpc-client run their sessions on,
//! over any byte stream. RFC 6455 itself is tungstenite's work; this module adds what it leaves open, and writes messages
//! past it, without its copies:
//!
//! ```text
//!  Socket      whole messages, heartbeat, close codes, rebuilds the codec with other buffer sizes
//!    │  tungstenite (WebSocketStream)   what is read: frames, masks, fragments; pongs and closes
//!  Metered     reads frame headers as the bytes pass: limits, and whether the codec holds anything
//!    │  Outbox                          what is written: frames, masks
//!    IO        TCP, TLS, or memory
//! ```
//!
//! The HTTP handshake is written here and not tungstenite's, which neither answers plain HTTP nor tells why it failed.

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
