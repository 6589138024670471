//! Typed RPC over WebSocket: the protocol engine, promises and pipelining.
mod codec;
pub mod error;
pub mod layout;
pub mod limits;
pub mod path;
mod select;
#[cfg(feature = "driver")]
pub mod transport;
pub use limits::Limits;
