//! Buffers: short byte strings, messages in pieces, and spare buffers kept for reuse.

pub(crate) mod message;
pub(crate) mod small_bytes;
pub(crate) mod spares;
