//! server
pub mod listen;
#[cfg(feature = "tls")]
pub mod tls;
