//! The transport trait that the driver runs on: whole messages in and out, polled.
//!
//! Two types implement it: the WebSocket sockets of `websocket.rs` and the in-memory pipe of `memory.rs`. The driver
//! holds it as a trait object: a session may go on with a socket of another type.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::SocketError;

pub use crate::buffer::message::{Message, MessageRef};

/// A duplex link that keeps message boundaries and order.
///
/// Every `poll_` function registers the waker of `cx` when it returns `Pending`; one task polls all of them.
pub trait Transport: Send + Unpin + 'static {
    /// Receives the next message from the peer. `Ready(None)` means that the peer closed in good order. After `Ready(None)` or
    /// an error, this function is not called again.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>>;

    /// Waits until one more message may be handed to [`send`](Self::send). Bounds what the transport buffers.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Takes one message. Called only after `poll_ready` returned `Ready(Ok(()))`. May buffer until the next flush.
    fn send(&mut self, message: MessageRef<'_>) -> Result<(), SocketError>;

    /// Flushes every message taken so far to the operating system.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Closes with a close code (RFC 6455, 7.4) and a short reason, flushes, and completes when the peer has answered or the
    /// link is gone. Called with the same arguments until it is ready.
    ///
    /// Also called after an error, so that the transport can send the close code that fits the error. Then it may ignore the
    /// arguments.
    fn poll_close(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) -> Poll<Result<(), SocketError>>;

    /// Bytes that the transport's buffers take and hold, without the small buffers that every transport has.
    fn buffer_bytes(&mut self) -> usize {
        0
    }

    /// The close code and reason the peer sent, once [`poll_receive`](Self::poll_receive) has returned `None`.
    fn peer_close(&self) -> Option<(u16, &str)> {
        None
    }
}

/// So functions that take a transport take one that is boxed already as it is.
impl<T: Transport> From<T> for Box<dyn Transport> {
    fn from(transport: T) -> Self {
        Box::new(transport)
    }
}
