//! What the driver needs of a socket: whole messages in and out, polled.
//!
//! Two things implement it: the WebSocket sockets of `websocket.rs` and the in-memory pipe of `memory.rs`. The driver
//! is generic over it; no public type is.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::SocketError;

pub use crate::buffer::message::Message;

/// A duplex link that keeps message boundaries and order.
///
/// Every `poll_` function registers the waker of `cx` when it returns `Pending`; one task polls all of them.
pub trait Transport: Send + Unpin + 'static {
    /// The next message from the peer. `Ready(None)` means the peer closed in good order; after that, or after an
    /// error, it is not called again.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SocketError>>>;

    /// Whether one more message may be handed to [`send`](Self::send). Bounds what is buffered here.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Takes one message; only after `poll_ready` returned `Ready(Ok(()))`. May buffer until the next flush.
    fn send(&mut self, message: Message) -> Result<(), SocketError>;

    /// Pushes everything taken so far to the operating system.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>>;

    /// Says goodbye with a close code (RFC 6455, 7.4) and a short reason, flushes, and completes when the peer has
    /// answered or the link is gone. Called with the same arguments until it is ready.
    ///
    /// Also called after an error, so that what the link itself has to say about it is said; then the arguments may be
    /// ignored.
    fn poll_close(&mut self, cx: &mut Context<'_>, code: u16, reason: &str) -> Poll<Result<(), SocketError>>;

    /// What its buffers take and what waits in them, beside what they do for small messages.
    fn buffer_bytes(&mut self) -> usize {
        0
    }

    /// The close code and reason the peer sent, once [`poll_receive`](Self::poll_receive) has returned `None`.
    fn peer_close(&self) -> Option<(u16, &str)> {
        None
    }
}
