//! Serves typed, pipelined RPC over WebSocket; see [`Server`].

pub mod listen;
mod server;
#[cfg(feature = "tls")]
pub mod tls;

pub use rpc_core::{
    Broadcast, CloseReason, Context, Limits, Peer, Principal, Service, Slow, SocketError, StopReason,
    StreamError, StreamSender, StreamStopped, Streaming, Violation,
    websocket::{HandshakeError, Rejection},
};
pub use server::{Listening, ServeError, Server, ServerBuilder, ServerHandle};
