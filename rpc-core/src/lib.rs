//! Typed RPC over WebSocket: the protocol engine, promises and pipelining.
pub mod path;
#[cfg(feature = "driver")]
pub mod transport;
pub mod error;
pub mod limits;
pub use limits::Limits;
#[cfg(feature = "websocket")]
pub mod websocket;
