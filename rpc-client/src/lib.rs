//! Connects to services that speak typed, pipelined RPC over WebSocket; see [`Client`].

pub mod address;
mod client;
#[cfg(feature = "tls")]
pub mod tls;

pub use client::{Client, ClientBuilder, ConnectError};
pub use rpc_core::{
    CallError, CloseReason, Delivery, Limits, Promise, Refusal, Upstream, join, join_all, try_join,
};
