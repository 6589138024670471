//! Memory that bytes lie in: short values, messages in pieces, buffers kept for the next use.

pub(crate) mod message;
pub(crate) mod small_bytes;
pub(crate) mod spares;
