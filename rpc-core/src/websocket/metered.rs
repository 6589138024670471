//! The byte stream below the codec, with a [`Meter`] on its inbound side.
//!
//! tungstenite knows only `io::Error`. So when the meter finds a violation, the read fails and the reason is parked
//! here, where the socket picks it up as soon as the codec returns the failure.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{buffers::BufferSizing, meter::Meter};
use crate::{Limits, error::SocketError};

pub(super) struct Metered<IO> {
    io: IO,
    pub(super) meter: Meter,
    pub(super) sizing: BufferSizing,
    /// When a ping was sent, until anything arrives.
    pub(super) pinged: Option<Instant>,
    violation: Option<SocketError>,
    write_blocked: bool,
    /// When a link that had been full took bytes again: the peer reads, though it may have nothing to say.
    taken: Option<Instant>,
}

impl<IO> Metered<IO> {
    /// Wraps `io` after its handshake; `already_read` are bytes of the first frames that came with it.
    pub(super) fn new(io: IO, limits: &Limits, already_read: &[u8]) -> Self {
        let now = Instant::now();
        let mut meter = Meter::new(limits);
        let violation = meter.observe(now, already_read).err();
        Self {
            io,
            meter,
            sizing: BufferSizing::new(now),
            pinged: None,
            violation,
            write_blocked: false,
            taken: None,
        }
    }

    /// Why a read failed, if the meter failed it.
    pub(super) fn violation(&self) -> Option<&SocketError> {
        self.violation.as_ref()
    }

    /// Whether the last write found the link full, so that the codec still holds bytes.
    pub(super) fn is_write_blocked(&self) -> bool {
        self.write_blocked
    }

    /// When the peer last sent something, or took something off a full link.
    pub(super) fn last_sign_of_life(&self) -> Instant {
        self.taken.map_or(self.sizing.last_read(), |taken| taken.max(self.sizing.last_read()))
    }

    /// The stream itself, past the meter.
    pub(super) fn io(&mut self) -> &mut IO {
        &mut self.io
    }
}

impl<IO: AsyncRead + Unpin> Metered<IO> {
    fn poll_bytes<'a>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'a mut ReadBuf<'_>,
    ) -> Poll<io::Result<&'a [u8]>> {
        let filled = buffer.filled().len();
        // A peer that sends without pause would never let a read end with a message, and so never let the codec be
        // rebuilt. While the link is full it could not be rebuilt anyway.
        if self.sizing.wants_rebuild() && !self.write_blocked {
            let space = buffer.initialize_unfilled_to(self.meter.bytes_to_boundary().min(buffer.remaining()));
            let mut short = ReadBuf::new(space);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut short))?;
            let read = short.filled().len();
            buffer.advance(read);
        } else {
            ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        }
        Poll::Ready(Ok(&buffer.filled()[filled..]))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Metered<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.violation.is_some() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let offered = buffer.remaining();
        let bytes = ready!(this.poll_bytes(cx, buffer))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let now = Instant::now();
        this.pinged = None;
        this.sizing.observe_read(now, offered, bytes.len());
        if let Err(violation) = this.meter.observe(now, bytes) {
            this.violation = Some(violation);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        if self.write_blocked && matches!(result, Poll::Ready(Ok(1..))) {
            self.pinged = None;
            self.taken = Some(Instant::now());
        }
        self.write_blocked = result.is_pending();
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
