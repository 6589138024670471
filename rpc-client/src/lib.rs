//! client
pub mod address;
#[cfg(feature = "tls")]
pub mod tls;
