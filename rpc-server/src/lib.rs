//! Serves typed, pipelined RPC over WebSocket; see [`Server`].

pub mod listen;
mod server;
#[cfg(feature = "tls")]
pub mod tls;

pub use rpc_core::{
    CloseReason, Context, Limits, Peer, Principal, Service, SocketError, Violation,
    websocket::{HandshakeError, Rejection},
};
pub use server::{Listening, ServeError, Server, ServerBuilder, ServerHandle};
