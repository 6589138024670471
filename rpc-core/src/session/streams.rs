//! The streams of a session, sent and received.
//!
//! ```text
//! sent      Open ──end queued──▶ Ending ──StreamEnd sent──▶ forgotten
//!             └──the peer's Stop──▶ StreamEnd at once ─────▶ forgotten
//! received  Open ──nobody reads it: Stop──▶ Stopped
//!             └────────────┴──StreamEnd──▶ forgotten
//! ```
//! A sender sends as far as it has credit; a receiver grants credit for the bytes its reader has taken. So at most a *window*
//! of a stream is on its way or waits to be read, and a reader that stops stops the producer, at no cost to anything else.
//!
//! A window grows while it limits its reader: to twice the bytes read during a round trip, as far as
//! `stream_window_bytes_max` and, for all streams together, `stream_buffer_bytes_max` allow. Beside calls, where the round
//! trip is short, it becomes narrower again (`pace.rs`). An item longer than its window is let in when its reader waits for
//! it and the rest of the shared buffer has room for it.
//!
//! Each sent stream has a short queue, whose producer is told how much it may add. Streams that have something to send take
//! turns.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use self::{
    received::{Entry, UnreadEnd},
    sent::Outlet,
};
use crate::{
    error::StopReason,
    id_map::IdMap,
    limits::Limits,
    session::long::Pinned,
    time::Time,
    value::{
        inlet::Inlet,
        object::Home,
        stream::{Piece, StreamSlot},
    },
    wire::{Frame, Offer, StreamId},
};

mod pace;
mod received;
pub(super) mod sent;

/// The number of streams that may be open before the peer has said how many it takes.
pub(crate) const INITIAL_STREAMS: usize = 64;

pub(crate) struct Streams {
    pub(super) limits: Arc<Limits>,
    home: Arc<dyn Home>,
    /// The limits that the peer has offered; `None` before.
    peer: Option<Offer>,
    pub(super) outlets: FxHashMap<StreamId, Outlet>,
    next: StreamId,
    /// The streams that can send, in the order of their turns.
    pub(super) turns: VecDeque<StreamId>,
    /// Bytes of all streams that wait to be sent.
    pub(super) queued: u64,
    /// The streams whose producers may go on when less waits to be sent.
    pub(super) held_back: Vec<StreamId>,
    inlets: IdMap<StreamId, Entry>,
    last_received: StreamId,
    /// The received streams that are over for the peer and not read to the end.
    unread_ends: IdMap<StreamId, UnreadEnd>,
    /// The bytes that `unread_ends` take.
    unread_ends_bytes: u64,
    /// Bytes of streams that are not over which have arrived and were not read yet.
    arrived: u64,
    /// The limit that leaves no memory for more items.
    short_of: Option<&'static str>,
    /// The rest of the shared buffer, `stream_buffer_bytes_max`.
    unreserved: u64,
    /// The streams that wait for room in the shared buffer for an item, in the order in which they get it.
    short_of_buffer: VecDeque<StreamId>,
    /// When to look next for streams that nobody reads.
    stall_due: Option<Time>,
    /// When a call or a result came last that brought no streams or objects.
    last_call: Option<Time>,
    /// The memory of long items that are on their way.
    pub(super) pinned: Pinned,
    /// Frames for the next message.
    control: Vec<Frame>,
    pub(super) events: VecDeque<StreamEvent>,
}

/// An event of a stream that the driver must act on.
pub(crate) enum StreamEvent {
    /// A stream of this side was opened: the driver starts its producer.
    Opened { stream: StreamId, slot: Arc<StreamSlot> },
    /// The producer of a stream may add items of this number of bytes.
    Room { stream: StreamId, bytes: i64 },
    /// The items of a stream are not wanted any more.
    Stopped { stream: StreamId, reason: StopReason },
    /// A piece for the reader of a stream of the peer.
    Arrived { inlet: Arc<Inlet>, piece: Piece },
    /// The driver must call `awaited` when the reader waits for more.
    Awaited { inlet: Arc<Inlet> },
}

impl Streams {
    pub(crate) fn new(limits: Arc<Limits>, home: Arc<dyn Home>) -> Self {
        Self {
            home,
            peer: None,
            outlets: FxHashMap::default(),
            next: StreamId(1),
            turns: VecDeque::new(),
            queued: 0,
            held_back: Vec::new(),
            inlets: IdMap::default(),
            last_received: StreamId(0),
            unread_ends: IdMap::default(),
            unread_ends_bytes: 0,
            arrived: 0,
            short_of: None,
            unreserved: limits.stream_buffer_bytes_max as u64,
            short_of_buffer: VecDeque::new(),
            stall_due: None,
            last_call: None,
            pinned: Pinned::default(),
            control: Vec::new(),
            events: VecDeque::new(),
            limits,
        }
    }

    /// Applies the limits that the peer has offered: waiting streams get their first credit.
    pub(crate) fn heard(&mut self, offer: Offer) {
        self.peer = Some(offer);
        let mut waiting: Vec<StreamId> = self.outlets.keys().copied().collect();
        waiting.sort_unstable();
        for stream in waiting {
            if let Some(flow) = self.outlets.get(&stream).map(|outlet| outlet.flow) {
                let credit = self.first_credit(flow);
                self.outlets.entry(stream).and_modify(|outlet| outlet.credit = credit);
            }
            self.make_room(stream);
            self.take_turn(stream);
        }
    }

    // ---- outputs and figures ----

    pub(crate) fn pop_event(&mut self) -> Option<StreamEvent> {
        self.events.pop_front()
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn take_control(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.control)
    }

    /// Whether streams have nothing that can be sent.
    pub(crate) fn is_silent(&self) -> bool {
        self.control.is_empty() && self.turns.is_empty()
    }

    /// Whether no stream can send items, and no producer waits for other streams' items to leave.
    pub(crate) fn are_quiet(&self) -> bool {
        self.turns.is_empty() && self.held_back.is_empty()
    }

    /// Whether a graceful close need not wait for streams any longer. With `cuts_streams` it waits only for sent streams whose
    /// producers have ended.
    pub(crate) fn may_close(&self, cuts_streams: bool) -> bool {
        match cuts_streams {
            true => !self.outlets.values().any(|outlet| outlet.ended),
            false => self.outlets.is_empty() && self.inlets.is_empty(),
        }
    }

    pub(crate) fn sent(&self) -> usize {
        self.outlets.len()
    }

    pub(crate) fn received(&self) -> usize {
        self.inlets.len()
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        usize::try_from(self.queued).unwrap_or(usize::MAX)
    }

    /// Bytes that long items pin beyond those that wait to be sent.
    pub(crate) fn pinned_bytes(&self) -> usize {
        self.pinned.bytes()
    }

    /// Frees items that have left the socket: of `sent` bytes that the session handed out, it still has `waiting`.
    pub(crate) fn flushed(&mut self, sent: usize, waiting: usize) {
        self.pinned.flushed(sent, waiting);
    }

    /// Bytes that have arrived and wait to be read, summed over all streams.
    pub(crate) fn unread_bytes(&self) -> usize {
        let unread = self.inlets.values().map(Entry::unread).sum::<u64>() + self.unread_ends_bytes;
        usize::try_from(unread).unwrap_or(usize::MAX)
    }

    /// Bytes that have arrived and were not read, from running counts.
    pub(crate) fn arrived_bytes(&self) -> usize {
        usize::try_from(self.arrived + self.unread_ends_bytes).unwrap_or(usize::MAX)
    }

    /// Sets the limit that leaves no memory for more items.
    pub(crate) fn short_of(&mut self, limit: Option<&'static str>) {
        self.short_of = limit;
    }

    /// Takes out all streams when the session is over: their readers and producers must be told.
    pub(crate) fn abandon(&mut self) -> (Vec<Arc<Inlet>>, Vec<StreamId>) {
        self.turns.clear();
        self.queued = 0;
        self.unread_ends.clear();
        self.unread_ends_bytes = 0;
        self.arrived = 0;
        let inlets = self.inlets.drain().filter(|(_, entry)| !entry.stopped);
        let inlets = inlets.map(|(_, entry)| entry.inlet).collect();
        (inlets, self.outlets.drain().map(|(stream, _)| stream).collect())
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.may_close(false)
            && self.is_silent()
            && self.queued == 0
            && self.events.is_empty()
            && self.short_of_buffer.is_empty()
            && self.unread_ends.is_empty()
            && self.unreserved == self.limits.stream_buffer_bytes_max as u64
    }

    /// Checks that every byte is accounted for, and that nothing waits beyond the windows and the reserved bytes.
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn check_books(&self) {
        use self::sent::{QUEUE_BYTES, Queued};
        use crate::wire::ITEM_CHUNK_BYTES;

        let mut taken = 0;
        for (stream, entry) in &self.inlets {
            let Entry { credit, window, unread, stopped, .. } = *entry;
            taken += window.saturating_sub(self.first_window());
            taken += entry.reserved.as_ref().map_or(0, |reserved| reserved.bytes);
            let open = entry.open();
            assert!(stopped || credit <= open, "stream {}: {credit} of {open} may come", stream.0);
            let one_item = 2 * (ITEM_CHUNK_BYTES as u64);
            assert!(unread <= window + one_item, "stream {}: {unread} of {window} wait", stream.0);
            let widest = self.limits.stream_window_bytes_max.max(self.limits.stream_window_bytes) as u64;
            assert!(window <= widest, "stream {}: its window is {window}", stream.0);
        }
        taken += self.unread_ends.values().map(|unread| unread.reserved).sum::<u64>();
        assert_eq!(taken + self.unreserved, self.limits.stream_buffer_bytes_max as u64, "the shared buffer");
        let mut queued = 0;
        for (stream, outlet) in &self.outlets {
            let left = |queued: &Queued| match queued {
                Queued::Whole(piece) => piece.charge(),
                Queued::Rest(item) => item.left() as u64,
            };
            assert_eq!(
                outlet.queued,
                outlet.queue.iter().map(left).sum::<u64>(),
                "queue of stream {}",
                stream.0
            );
            let last = outlet.queue.back().map_or(0, left);
            assert!(outlet.queued <= QUEUE_BYTES.unsigned_abs() + last, "queue of stream {}", stream.0);
            assert!(
                outlet.in_turns || self.peer.is_none() || !outlet.can_send(),
                "stream {} waits",
                stream.0
            );
            queued += outlet.queued;
        }
        assert_eq!(queued, self.queued, "what is queued of all streams");
        assert!(self.short_of_buffer.len() <= self.inlets.len());
        let arrived: u64 = self.inlets.values().map(|entry| entry.arrived).sum();
        assert_eq!(arrived, self.arrived, "what has arrived and was not read");
        let over: u64 = self.unread_ends.values().map(|unread| unread.bytes).sum();
        assert_eq!(self.unread_ends_bytes, over, "what is over and unread");
    }

    /// The window of a received stream, and its unread bytes.
    #[cfg(test)]
    pub(crate) fn window(&self, stream: StreamId) -> Option<(u64, u64)> {
        self.inlets.get(&stream).map(|entry| (entry.window, entry.unread))
    }

    /// The credit of a sent stream.
    #[cfg(test)]
    pub(crate) fn credit_of(&self, stream: StreamId) -> Option<i64> {
        self.outlets.get(&stream).map(|outlet| outlet.credit)
    }
}
