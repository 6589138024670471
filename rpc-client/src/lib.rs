//! Connects to services that speak typed, pipelined RPC over WebSocket; see [`Client`].

pub mod address;
mod client;
#[cfg(feature = "tls")]
pub mod tls;

pub use client::{Client, ClientBuilder, ConnectError};
pub use rpc_core::{
    CallError, CloseReason, Delivery, Limits, Never, NotSent, Promise, Refusal, Service, ServiceClient,
    SessionStats, SocketError, StopReason, StreamError, StreamSender, StreamStopped, Streaming, Upstream,
    Violation, join, join_all, try_join, websocket::HandshakeError,
};
