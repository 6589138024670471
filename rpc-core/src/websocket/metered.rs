//! The byte stream below the codec, with a [`Meter`] on its inbound side and an [`Outbox`] on the other.
//!
//! tungstenite knows only `io::Error`. So when the meter finds a violation, the read fails and the reason is stored here. The
//! socket picks it up as soon as the codec returns the failure.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{buffers::BufferSizing, meter::Meter, outbox::Outbox};
use crate::{buffer::message::MessageRef, error::SocketError, limits::Limits};

/// Bytes that collect before they are written without a flush. Larger values make the two sides take turns. While more bytes
/// wait, neither messages nor frames of the codec are added.
pub(super) const WRITE_TARGET_BYTES: usize = 4 << 10;
/// The target while long messages follow each other: waking the reader for each message costs more than writing it.
pub(super) const BULK_TARGET_BYTES: usize = 512 << 10;
/// The length from which on a message is long.
const BULK_BYTES: usize = 32 << 10;

pub(super) struct Metered<IO> {
    io: IO,
    pub(super) meter: Meter,
    pub(super) sizing: BufferSizing,
    pub(super) outbox: Outbox,
    /// When a ping was sent, if nothing has arrived since.
    pub(super) pinged: Option<Instant>,
    violation: Option<SocketError>,
    write_blocked: bool,
    /// The last message was long.
    is_bulk: bool,
    /// When a full link last took bytes again: the peer reads, though it may send nothing.
    taken: Option<Instant>,
}

impl<IO> Metered<IO> {
    /// Wraps `io` after its handshake; `already_read` are bytes of the first frames that came with it.
    pub(super) fn new(io: IO, role: Role, limits: &Limits, already_read: &[u8]) -> Self {
        let now = Instant::now();
        let mut meter = Meter::new(limits);
        let violation = meter.observe(now, already_read).err();
        Self {
            io,
            meter,
            sizing: BufferSizing::new(now),
            outbox: Outbox::new(role),
            pinged: None,
            violation,
            write_blocked: false,
            is_bulk: false,
            taken: None,
        }
    }

    /// Why a read failed, if the meter failed it.
    pub(super) fn violation(&self) -> Option<&SocketError> {
        self.violation.as_ref()
    }

    /// Whether the last write found the link full, so that bytes are left.
    pub(super) fn is_write_blocked(&self) -> bool {
        self.write_blocked
    }

    /// Whether enough bytes wait to be written without a flush.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.len() >= if self.is_bulk { BULK_TARGET_BYTES } else { WRITE_TARGET_BYTES }
    }

    /// Adds a message to the bytes that wait to be written.
    pub(super) fn push(&mut self, message: MessageRef<'_>) {
        self.is_bulk = message.len() >= BULK_BYTES;
        self.sizing.observe_write(message.len());
        self.outbox.push(message);
    }

    /// Frees buffers that the traffic has not needed for a while.
    pub(super) fn give_back(&mut self, now: Instant) {
        if self.sizing.give_back(now) {
            self.outbox.shrink();
        }
    }

    /// When the peer last sent bytes, or took bytes off a full link.
    pub(super) fn last_sign_of_life(&self) -> Instant {
        self.taken.map_or(self.sizing.last_read(), |taken| taken.max(self.sizing.last_read()))
    }

    /// The byte stream itself, past the meter.
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

impl<IO: AsyncWrite + Unpin> Metered<IO> {
    /// Writes all waiting bytes.
    pub(super) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { outbox, io, write_blocked, pinged, taken, .. } = self;
        let written = outbox.poll_write(io, cx, || {
            if std::mem::take(write_blocked) {
                *pinged = None;
                *taken = Some(Instant::now());
            }
        });
        self.write_blocked = written.is_pending();
        written
    }
}

/// Takes the codec's frames. They are queued behind the messages, and always whole, so that no message comes between halves.
impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_full() {
            ready!(this.poll_write_out(cx))?;
        }
        this.outbox.push_frames(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_out(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
