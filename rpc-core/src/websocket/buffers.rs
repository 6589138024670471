//! Decides how large a socket's buffers should be, from the reads and writes it sees.
//!
//! tungstenite allocates its read buffer when it is built and fills it with zeros before every read, so a large one
//! costs an idle socket its memory and a busy one its time. The sizes are a ladder:
//!
//! ```text
//!  512 B ──4 reads──► 2 KiB ──4 full reads──► 4 KiB ──4 full reads──► 16 KiB ──4 full reads──► 64 KiB
//!    ▲ start           ▲           ◄──256 small reads──   ◄──256 small reads──    ◄──256 small reads──
//!    └──5 s silence────┴────────────5 s without a large read──────────────────────────────┘
//! ```
//!
//! [`Metered`](super::metered::Metered) reports the traffic; the socket asks for the wanted sizes when it can rebuild
//! its codec. A write buffer that a long message made large is given back when no other long message has followed for a while.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::MESSAGE_BYTES;

/// Read buffer sizes, smallest first.
const READ_BYTES: [usize; 5] = [512, 2 << 10, 4 << 10, 16 << 10, 64 << 10];
/// The rung of new sockets, and of sockets on which nothing arrives. Too small for traffic: messages that the codec has handed
/// on still occupy the buffer.
const IDLE: usize = 0;
/// The rung for small messages. Filling twice as many bytes with zeros would take a fortieth of the time of a call.
const AWAKE: usize = 1;
/// Full reads that prove the buffer too small.
const FULL_READS: u32 = 4;
/// Reads after which the count of full reads starts anew.
const WINDOW_READS: u32 = 64;
/// Reads in a row after which an idle socket's buffer grows to the rung for small messages.
const WAKING_READS: u32 = 4;
/// Reads in a row that would have fitted the next smaller buffer, after which it is chosen.
const SMALL_READS: u32 = 256;
/// After this long without traffic that needs it, a large buffer is given back.
pub(super) const QUIET: Duration = Duration::from_secs(5);
/// A write buffer that has held a longer message shrinks after [`QUIET`].
const WRITE_BYTES_KEPT: usize = 16 << 10;

pub(super) struct BufferSizing {
    rung: usize,
    wanted: usize,
    reads: u32,
    full_reads: u32,
    small_reads: u32,
    last_read: Instant,
    last_large_read: Instant,
    /// When the last message went out that made the write buffer large.
    large_write: Option<Instant>,
}

impl BufferSizing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rung: IDLE,
            wanted: IDLE,
            reads: 0,
            full_reads: 0,
            small_reads: 0,
            last_read: now,
            last_large_read: now,
            large_write: None,
        }
    }

    /// When bytes last arrived, or the socket was made.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Takes note of a read that was offered space for `offered` bytes and got `taken`.
    pub(super) fn observe_read(&mut self, now: Instant, offered: usize, taken: usize) {
        if now.saturating_duration_since(self.last_read) >= QUIET || self.reads == WINDOW_READS {
            self.reads = 0;
            self.full_reads = 0;
        }
        self.last_read = now;
        // The new size is decided. Until the rebuild, reads end where messages do and say nothing about the traffic.
        if self.wants_rebuild() {
            return;
        }
        self.reads += 1;
        // The codec offers less than its buffer while messages that it handed on occupy the rest: no sign of too small a buffer.
        if taken == offered && offered >= READ_BYTES[self.rung] / 2 {
            self.full_reads += 1;
        }
        let smaller = READ_BYTES[self.rung.saturating_sub(1)];
        if taken > smaller || self.rung <= AWAKE {
            self.small_reads = 0;
        } else {
            self.small_reads += 1;
        }
        if taken > smaller {
            self.last_large_read = now;
        }
        self.wanted = self.rung_after_read();
    }

    fn rung_after_read(&self) -> usize {
        if self.rung == IDLE {
            return if self.reads >= WAKING_READS { AWAKE } else { IDLE };
        }
        if self.full_reads >= FULL_READS {
            return (self.rung + 1).min(READ_BYTES.len() - 1);
        }
        if self.small_reads >= SMALL_READS { self.rung - 1 } else { self.rung }
    }

    /// Takes note of a message of `bytes` that is to be written.
    pub(super) fn observe_write(&mut self, bytes: usize) {
        if bytes > WRITE_BYTES_KEPT {
            self.large_write = Some(Instant::now());
        }
    }

    /// When [`give_back`](Self::give_back) has something to do next; `None` if only new traffic can change that.
    pub(super) fn quiet_deadline(&self) -> Option<Instant> {
        let read = match self.rung {
            // The new size is decided.
            _ if self.wants_rebuild() => None,
            IDLE => None,
            AWAKE => Some(self.last_read),
            _ => Some(self.last_large_read),
        };
        [read, self.large_write].into_iter().flatten().min().map(|since| since + QUIET)
    }

    /// Chooses small buffers if the traffic of the last [`QUIET`] needed no large ones. Returns whether the write buffer is to
    /// shrink, which needs no rebuild.
    #[must_use]
    pub(super) fn give_back(&mut self, now: Instant) -> bool {
        let is_quiet = |since: Instant| now.saturating_duration_since(since) >= QUIET;
        if is_quiet(self.last_read) {
            self.wanted = IDLE;
        } else if is_quiet(self.last_large_read) {
            self.wanted = self.rung.min(AWAKE);
        }
        self.large_write.take_if(|since| is_quiet(*since)).is_some()
    }

    /// Whether the codec should be rebuilt as soon as possible.
    pub(super) fn wants_rebuild(&self) -> bool {
        self.wanted != self.rung
    }

    /// The read buffer's size.
    pub(super) fn read_bytes(&self) -> usize {
        READ_BYTES[self.rung]
    }

    /// Memory of the buffers beyond that for small messages: the read buffer, the same again for messages that wait to be handed
    /// on, and the write buffer if a long message was written.
    pub(super) fn bytes(&self) -> usize {
        let read = 2 * (READ_BYTES[self.rung.max(AWAKE)] - READ_BYTES[AWAKE]);
        let written = if self.large_write.is_some() { MESSAGE_BYTES } else { 0 };
        read + written
    }

    /// Takes note that the codec is about to be rebuilt with the wanted sizes; returns the read buffer's size.
    pub(super) fn rebuild(&mut self) -> usize {
        self.rung = self.wanted;
        self.reads = 0;
        self.full_reads = 0;
        self.small_reads = 0;
        self.read_bytes()
    }
}

#[cfg(test)]
mod tests;
