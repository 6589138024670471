//! The streams of a session: those this side sends, and those it receives.
//!
//! ```text
//! sent      Open ──end queued──▶ Ending ──StreamEnd sent──▶ forgotten
//!             └──the peer's Stop──▶ StreamEnd at once ─────▶ forgotten
//! received  Open ──nobody reads it: Stop──▶ Stopped
//!             └────────────┴──StreamEnd──▶ forgotten
//! ```
//! A sender may send what it has credit for; a receiver grants what its reader has taken. So at most a *window* of a stream
//! is ever on its way or waits to be read, and a reader that stops stops the producer, at no cost to anything else. A
//! window grows while its reader is limited by it: to twice what was read during a round trip, as far as
//! `stream_window_bytes_max` and, for all streams together, `stream_buffer_bytes_max` allow. An item longer than its
//! window is let in when its reader waits for it and the rest of that buffer has room for it.
//!
//! What is to be sent waits in a queue a stream, which is short: its producer is told how much it may add. Streams that
//! have something to send take turns.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use super::{calls::pass_settled, exhausted, outgoing::Outgoing};
use crate::{
    error::{StopReason, Violation},
    limits::Limits,
    object::{Capabilities, Capability, Encoded, Home},
    small_bytes::SmallBytes,
    stream::{Ending, Inlet, Piece, StreamSlot},
    time::Time,
    wire::{
        self, CHUNK_BYTES, CREDIT_MAX, Failure, Frame, ITEM_CHUNK_BYTES, ITEM_OVERHEAD, Items, LargeItem,
        Offer, StreamEnd, StreamId, items_charge,
    },
};

/// Streams that may be open before the peer has said how many it takes.
pub(crate) const INITIAL_STREAMS: usize = 64;
/// What may wait to be sent of one stream, apart from the last item.
const QUEUE_BYTES: i64 = 128 << 10;
/// What a stream that is over takes beside what of it was not read.
const END_BYTES: u64 = 512;
/// Shorter round trips are not told apart from the time that the sides take to react.
const ROUND_TRIP_MIN: Duration = Duration::from_micros(200);
/// How fast a stream is read is not told from less: what piled up is read in bursts.
const READING_MIN: Duration = Duration::from_millis(2);
/// An id stays below 2^53 so that a peer written in JavaScript can hold it; nobody gets so far.
const STREAM_ID_MAX: i64 = (1 << 53) - 1;

pub(crate) struct Streams {
    limits: Arc<Limits>,
    home: Arc<dyn Home>,
    /// What the peer takes, once it has said so.
    peer: Option<Offer>,
    outlets: FxHashMap<StreamId, Outlet>,
    next: StreamId,
    /// Those that can send, in the order of their turns.
    turns: VecDeque<StreamId>,
    /// What waits to be sent of all streams.
    queued: u64,
    /// Producers that may go on when less waits.
    held_back: Vec<StreamId>,
    inlets: FxHashMap<StreamId, Entry>,
    last_received: StreamId,
    /// Over for the peer, and not read to the end.
    unread_ends: FxHashMap<StreamId, UnreadEnd>,
    /// What they take.
    unread_ends_bytes: u64,
    /// What is left of `stream_buffer_bytes_max`.
    unreserved: u64,
    /// Streams whose next item is longer than that.
    short_of_buffer: VecDeque<StreamId>,
    /// Goes out with the next message.
    control: Vec<Frame>,
    events: VecDeque<StreamEvent>,
}

/// What the driver has to act on.
pub(crate) enum StreamEvent {
    /// A stream of this side was opened: its producer is to start.
    Opened { stream: StreamId, slot: Arc<StreamSlot> },
    /// Its producer may add items that take so much.
    Room { stream: StreamId, bytes: i64 },
    /// Its items are not wanted any more.
    Stopped { stream: StreamId, reason: StopReason },
    /// For the reader of a stream of the peer.
    Arrived { inlet: Arc<Inlet>, piece: Piece },
    /// `awaited` is due when the reader waits for more.
    Awaited { inlet: Arc<Inlet> },
}

/// A stream that this side sends.
struct Outlet {
    /// The message whose frame opens it; items come in that message or later.
    opened_in: usize,
    /// What may be sent; below zero after an item that took more than there was.
    credit: i64,
    /// What the producer may still add.
    allowed: i64,
    queue: VecDeque<Queued>,
    queued: u64,
    in_turns: bool,
    /// Its producer may go on when less waits.
    held_back: bool,
    /// Its end is queued.
    ended: bool,
}

enum Queued {
    Whole(Piece),
    /// What is left of an item of which a part was sent.
    Rest(SmallBytes, bytes::Bytes),
}

/// A stream that this side receives.
struct Entry {
    inlet: Arc<Inlet>,
    /// Nobody reads it any more.
    stopped: bool,
    /// What the peer may still send; below zero after an item that took more than there was.
    credit: i64,
    /// What may be on its way or wait to be read.
    window: u64,
    /// What has arrived and was not read yet, apart from what is reserved.
    unread: u64,
    /// For an item longer than the window.
    reserved: Option<Reserved>,
    assembling: Option<Assembling>,
    /// The reader waits for the rest of it.
    awaited: bool,
    pace: Pace,
}

/// What is left of a stream that is over.
struct UnreadEnd {
    bytes: u64,
    /// Of the shared buffer.
    reserved: u64,
}

/// What was reserved for an item until it is read.
struct Reserved {
    /// Of the shared buffer.
    bytes: u64,
    /// What was read before the item and is told before it.
    ahead: u64,
    /// What the item takes.
    charge: u64,
}

struct Assembling {
    total: usize,
    bytes: Vec<u8>,
    capabilities: Capabilities,
    charge: u64,
    /// The shared buffer has room for it.
    reserved: bool,
}

/// How fast a stream is read, and how long its round trip is.
struct Pace {
    received: u64,
    granted: u64,
    /// When more than this has arrived, credit that was granted then has been used.
    probe: Option<(u64, Time)>,
    round_trip: Option<Duration>,
    /// What was read since then.
    since: Time,
    read: u64,
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
            inlets: FxHashMap::default(),
            last_received: StreamId(0),
            unread_ends: FxHashMap::default(),
            unread_ends_bytes: 0,
            unreserved: limits.stream_buffer_bytes_max as u64,
            short_of_buffer: VecDeque::new(),
            control: Vec::new(),
            events: VecDeque::new(),
            limits,
        }
    }

    /// The peer said what it takes.
    pub(crate) fn heard(&mut self, offer: Offer) {
        self.peer = Some(offer);
        let window = i64::try_from(offer.stream_window_bytes.min(CREDIT_MAX)).unwrap_or(i64::MAX);
        let mut waiting: Vec<StreamId> = self.outlets.keys().copied().collect();
        waiting.sort_unstable();
        for stream in waiting {
            if let Some(outlet) = self.outlets.get_mut(&stream) {
                outlet.credit = window;
            }
            self.make_room(stream);
            self.take_turn(stream);
        }
    }

    // ---- streams of this side ----

    /// Whether so many more can be opened.
    pub(crate) fn has_room_for(&self, count: usize) -> bool {
        let peer_takes = self.peer.map_or(INITIAL_STREAMS, |peer| {
            usize::try_from(peer.streams_max).unwrap_or(usize::MAX).max(INITIAL_STREAMS)
        });
        // Stopped ones are open for the peer until it reads that they ended, which a call may be written before.
        let ending = self.control.iter().filter(|frame| matches!(frame, Frame::StreamEnd { .. })).count();
        self.outlets.len().saturating_add(ending).saturating_add(count) <= peer_takes
    }

    /// Opens a stream with the message of that number.
    pub(crate) fn open(&mut self, slot: Arc<StreamSlot>, opened_in: usize) -> StreamId {
        let stream = self.next;
        self.next = StreamId((stream.0 + 1).min(STREAM_ID_MAX));
        let window = self.peer.map_or(0, |peer| peer.stream_window_bytes.min(CREDIT_MAX));
        self.outlets.insert(
            stream,
            Outlet {
                opened_in,
                credit: i64::try_from(window).unwrap_or(i64::MAX),
                allowed: 0,
                queue: VecDeque::new(),
                queued: 0,
                in_turns: false,
                held_back: false,
                ended: false,
            },
        );
        self.events.push_back(StreamEvent::Opened { stream, slot });
        self.make_room(stream);
        stream
    }

    /// Its producer has more, or its end.
    pub(crate) fn send(&mut self, stream: StreamId, piece: Piece) {
        let payload_bytes_max = self.peer.map_or(u64::MAX, |peer| peer.payload_bytes_max);
        let Some(outlet) = self.outlets.get_mut(&stream).filter(|outlet| !outlet.ended) else { return };
        let piece = match piece {
            Piece::Large { head, item } if (head.len() + item.len()) as u64 > payload_bytes_max => {
                let reason = "an item is longer than the peer's `payload_bytes_max`";
                self.events.push_back(StreamEvent::Stopped { stream, reason: StopReason::refused(reason) });
                Piece::End(Ending::Failed(exhausted("payload_bytes_max")))
            }
            piece => piece,
        };
        outlet.ended = matches!(piece, Piece::End(_));
        let charge = piece.charge();
        outlet.allowed -= i64::try_from(charge).unwrap_or(i64::MAX);
        outlet.queued += charge;
        self.queued += charge;
        outlet.queue.push_back(Queued::Whole(piece));
        self.take_turn(stream);
    }

    /// Tells the producer how much it may add, if that has become worth its while.
    fn make_room(&mut self, stream: StreamId) {
        let Some(outlet) = self.outlets.get_mut(&stream).filter(|outlet| !outlet.ended) else { return };
        let queued = i64::try_from(outlet.queued).unwrap_or(i64::MAX);
        let more = outlet.credit.min(QUEUE_BYTES) - queued - outlet.allowed;
        if more < 1 || (more < QUEUE_BYTES / 2 && !outlet.queue.is_empty()) || outlet.allowed + more < 1 {
            return;
        }
        // Nothing that a peer does not take piles up without end, however many streams it lets open.
        if self.queued > self.limits.outgoing_bytes_max as u64 {
            if !std::mem::replace(&mut outlet.held_back, true) {
                self.held_back.push(stream);
            }
            return;
        }
        outlet.allowed += more;
        self.events.push_back(StreamEvent::Room { stream, bytes: more });
    }

    fn take_turn(&mut self, stream: StreamId) {
        let Some(outlet) = self.outlets.get_mut(&stream) else { return };
        if self.peer.is_some() && !outlet.in_turns && outlet.can_send() {
            outlet.in_turns = true;
            self.turns.push_back(stream);
        }
    }

    /// The peer takes more of a stream.
    pub(crate) fn credit(&mut self, stream: StreamId, bytes: u64) -> Result<(), Violation> {
        if stream >= self.next {
            return Err(Violation::UnknownStream(stream.0));
        }
        // Ended meanwhile.
        let Some(outlet) = self.outlets.get_mut(&stream) else { return Ok(()) };
        let credit = i64::try_from(bytes).ok().and_then(|bytes| outlet.credit.checked_add(bytes));
        outlet.credit = credit
            .filter(|credit| u64::try_from(*credit).is_ok_and(|credit| credit <= CREDIT_MAX) || *credit < 0)
            .ok_or(Violation::CreditOverflow(stream.0))?;
        self.make_room(stream);
        self.take_turn(stream);
        Ok(())
    }

    /// The peer wants no more of a stream. It is told that this was heard.
    pub(crate) fn stop(&mut self, stream: StreamId, reason: Option<String>) -> Result<(), Violation> {
        if stream >= self.next {
            return Err(Violation::UnknownStream(stream.0));
        }
        if self.forget(stream) {
            self.control.push(Frame::StreamEnd { stream, end: StreamEnd::Stopped });
            let reason = reason.map_or(StopReason::NotWanted, |reason| StopReason::Refused { reason });
            self.events.push_back(StreamEvent::Stopped { stream, reason });
        }
        Ok(())
    }

    fn forget(&mut self, stream: StreamId) -> bool {
        let Some(outlet) = self.outlets.remove(&stream) else { return false };
        self.queued -= outlet.queued;
        if outlet.in_turns {
            self.turns.retain(|turn| *turn != stream);
        }
        true
    }

    // ---- streams of the peer ----

    fn streams_max(&self) -> usize {
        self.limits.streams_max.max(INITIAL_STREAMS)
    }

    /// The peer opens a stream. It is stopped at once while too much waits to be read of streams that are over: those
    /// count no longer as open.
    pub(crate) fn receive(&mut self, stream: StreamId) -> Result<Result<Capability, Failure>, Violation> {
        if stream <= self.last_received {
            return Err(Violation::StreamReused(stream.0));
        }
        if self.inlets.len() >= self.streams_max() {
            return Err(Violation::Limit("streams_max"));
        }
        self.last_received = stream;
        let window = self.limits.stream_window_bytes as u64;
        let inlet = Arc::new(Inlet::new(stream, window / 4));
        let reader = Inlet::reader(&inlet, Arc::clone(&self.home));
        self.inlets.insert(
            stream,
            Entry {
                inlet,
                stopped: false,
                credit: i64::try_from(window).unwrap_or(i64::MAX),
                window,
                unread: 0,
                reserved: None,
                assembling: None,
                awaited: false,
                pace: Pace {
                    received: 0,
                    granted: window,
                    probe: None,
                    round_trip: None,
                    since: Time::ZERO,
                    read: 0,
                },
            },
        );
        if self.unread_ends_bytes
            > (self.streams_max() as u64).saturating_mul(window + ITEM_CHUNK_BYTES as u64)
        {
            self.dropped(stream, None);
            return Ok(Err(exhausted("streams_max")));
        }
        Ok(Ok(Capability::Stream(StreamSlot::arrived(reader))))
    }

    pub(crate) fn items(
        &mut self,
        now: Time,
        items: Items,
        capabilities: Result<Capabilities, Failure>,
    ) -> Result<(), Violation> {
        let Items { stream, objects, count, bytes } = items;
        let entry = entry(&mut self.inlets, stream)?;
        if entry.assembling.is_some() {
            return Err(Violation::StreamOrder(stream.0));
        }
        let charge = items_charge(count, bytes.len(), objects.len());
        entry.take_credit(now, stream, charge, count == 1)?;
        if entry.stopped {
            return Ok(());
        }
        let capabilities = match capabilities {
            Ok(capabilities) => capabilities,
            Err(failure) => {
                self.refuse(stream, failure);
                return Ok(());
            }
        };
        entry.unread += charge;
        let piece = Piece::Items { count, items: Encoded { bytes, capabilities } };
        self.events.push_back(StreamEvent::Arrived { inlet: Arc::clone(&entry.inlet), piece });
        Ok(())
    }

    pub(crate) fn large_item(
        &mut self,
        now: Time,
        item: LargeItem,
        capabilities: Result<Capabilities, Failure>,
    ) -> Result<(), Violation> {
        let LargeItem { stream, objects, total } = item;
        if total > self.limits.payload_bytes_max {
            return Err(Violation::Limit("payload_bytes_max"));
        }
        let entry = entry(&mut self.inlets, stream)?;
        if entry.assembling.is_some() {
            return Err(Violation::StreamOrder(stream.0));
        }
        let head = items_charge(1, 0, objects.len());
        entry.take_credit(now, stream, head, true)?;
        let charge = head + total as u64;
        let (capabilities, failure) = match capabilities {
            Ok(capabilities) => (capabilities, None),
            Err(failure) => (None, Some(failure)),
        };
        if !entry.stopped {
            entry.unread += head;
        }
        entry.assembling =
            Some(Assembling { total, bytes: Vec::new(), capabilities, charge, reserved: false });
        // Its reader may keep to itself that it has read a quarter of the window.
        if charge > entry.window - entry.window / 4 && !entry.stopped {
            self.events.push_back(StreamEvent::Awaited { inlet: Arc::clone(&entry.inlet) });
        }
        if let Some(failure) = failure {
            self.refuse(stream, failure);
        }
        Ok(())
    }

    pub(crate) fn item_chunk(&mut self, now: Time, stream: StreamId, bytes: &[u8]) -> Result<(), Violation> {
        let entry = entry(&mut self.inlets, stream)?;
        let charge = bytes.len() as u64;
        entry.take_credit(now, stream, charge, bytes.len() <= ITEM_CHUNK_BYTES)?;
        let Some(assembling) = &mut entry.assembling else { return Err(Violation::StreamOrder(stream.0)) };
        // Of a stopped stream they are counted off.
        if bytes.len() > assembling.total {
            return Err(Violation::StreamOrder(stream.0));
        }
        if entry.stopped {
            assembling.total -= bytes.len();
            if assembling.total == 0 {
                entry.assembling = None;
            }
            return Ok(());
        }
        if bytes.len() > assembling.total - assembling.bytes.len() {
            return Err(Violation::StreamOrder(stream.0));
        }
        assembling.append(bytes);
        if !assembling.reserved {
            entry.unread += charge;
        }
        if assembling.bytes.len() == assembling.total
            && let Some(Assembling { bytes, capabilities, .. }) = entry.assembling.take()
        {
            let item = Encoded { bytes: bytes.into(), capabilities };
            let piece = Piece::Large { head: SmallBytes::default(), item };
            self.events.push_back(StreamEvent::Arrived { inlet: Arc::clone(&entry.inlet), piece });
        }
        entry.grant(now, stream, &mut self.control);
        Ok(())
    }

    pub(crate) fn missed(&mut self, stream: StreamId, count: u64) -> Result<(), Violation> {
        let entry = entry(&mut self.inlets, stream)?;
        if !entry.stopped {
            let piece = Piece::Missed(count);
            self.events.push_back(StreamEvent::Arrived { inlet: Arc::clone(&entry.inlet), piece });
        }
        Ok(())
    }

    pub(crate) fn ended(&mut self, stream: StreamId, ending: Ending) -> Result<(), Violation> {
        let entry = entry(&mut self.inlets, stream)?;
        if matches!(ending, Ending::Complete) && entry.assembling.is_some() {
            return Err(Violation::StreamOrder(stream.0));
        }
        let inlet = Arc::clone(&entry.inlet);
        if !entry.stopped {
            let bytes = entry.unread() - entry.assembling.as_ref().map_or(0, Assembling::arrived);
            let reserved = entry.reserved.take_if(|reserved| reserved.charge <= bytes);
            self.ends(inlet, bytes, reserved.map_or(0, |reserved| reserved.bytes), ending);
        }
        if let Some(entry) = self.inlets.remove(&stream) {
            let grown = entry.window.saturating_sub(self.limits.stream_window_bytes as u64);
            self.give_back(entry.reserved.map_or(0, |reserved| reserved.bytes) + grown);
            self.short_of_buffer.retain(|waiting| *waiting != stream);
        }
        Ok(())
    }

    /// The end is for the reader to read, with so much before it.
    fn ends(&mut self, inlet: Arc<Inlet>, bytes: u64, reserved: u64, ending: Ending) {
        let error = if let Ending::Error(error) = &ending { error.size() as u64 } else { 0 };
        let bytes = bytes + error + END_BYTES;
        self.unread_ends.insert(inlet.stream, UnreadEnd { bytes, reserved });
        self.unread_ends_bytes += bytes;
        self.events.push_back(StreamEvent::Arrived { inlet, piece: Piece::End(ending) });
    }

    /// The reader has taken so much.
    pub(crate) fn consumed(&mut self, now: Time, stream: StreamId, bytes: u64) {
        if let Some(unread) = self.unread_ends.get_mut(&stream) {
            let read = bytes.min(unread.bytes);
            let freed = bytes.min(unread.reserved);
            unread.bytes -= read;
            unread.reserved -= freed;
            self.unread_ends_bytes -= read;
            return self.give_back(freed);
        }
        let for_items = self.room_for_items();
        let Some(entry) = self.inlets.get_mut(&stream).filter(|entry| !entry.stopped) else { return };
        let freed = entry.read(bytes);
        if let Some(window) = entry.pace.wider(now, bytes, entry.window) {
            let most = self.limits.stream_window_bytes_max as u64;
            // Windows shrink only when their streams end. What they leave lets the longest item in.
            let left = self.unreserved.saturating_sub(for_items);
            let more = window.min(most).saturating_sub(entry.window).min(left);
            entry.window += more;
            self.unreserved -= more;
            entry.inlet.report_at(entry.window / 4);
        }
        entry.grant(now, stream, &mut self.control);
        self.give_back(freed);
        // What was told on another thread may have crossed with the question whether it waits.
        self.reserve(now, stream);
    }

    /// The reader has taken so much and waits for more.
    pub(crate) fn awaited(&mut self, now: Time, stream: StreamId, bytes: u64) {
        if let Some(entry) = self.inlets.get_mut(&stream) {
            entry.awaited = true;
        }
        self.consumed(now, stream, bytes);
    }

    /// Lets an item in that is longer than its stream's window, when it is its turn and the shared buffer has room.
    fn reserve(&mut self, now: Time, stream: StreamId) {
        let is_first = self.short_of_buffer.front().is_none_or(|first| *first == stream);
        let is_short = if is_first { !self.reserved_or_needless(now, stream) } else { self.waits(stream) };
        if is_short && !self.short_of_buffer.contains(&stream) {
            self.short_of_buffer.push_back(stream);
        }
    }

    /// Whether its reader waits for an item that nothing is reserved for.
    fn waits(&mut self, stream: StreamId) -> bool {
        let Some(entry) = self.inlets.get_mut(&stream) else { return false };
        entry.awaited &= entry.assembling.is_some();
        entry.awaited && !entry.stopped && entry.reserved.is_none()
    }

    /// False if the shared buffer has no room.
    fn reserved_or_needless(&mut self, now: Time, stream: StreamId) -> bool {
        if !self.waits(stream) {
            return true;
        }
        let for_items = self.room_for_items();
        let Some(entry) = self.inlets.get_mut(&stream) else { return true };
        let Some(assembling) = &mut entry.assembling else { return true };
        let charge = assembling.charge;
        if self.unreserved < charge.min(for_items) {
            return false;
        }
        entry.awaited = false;
        assembling.reserved = true;
        let bytes = charge.min(self.unreserved);
        self.unreserved -= bytes;
        // All that waits to be read is what has come of this item.
        entry.unread = entry.unread.saturating_sub(assembling.arrived());
        entry.reserved = Some(Reserved { bytes, ahead: entry.unread, charge });
        entry.grant(now, stream, &mut self.control);
        true
    }

    /// What windows do not take of the shared buffer, however much they grow: the longest item that may come.
    fn room_for_items(&self) -> u64 {
        let longest = self.limits.payload_bytes_max.saturating_add(ITEM_OVERHEAD);
        longest.min(self.limits.stream_buffer_bytes_max) as u64
    }

    fn give_back(&mut self, bytes: u64) {
        self.unreserved += bytes;
    }

    /// Items that waited for the shared buffer get what has become free.
    pub(crate) fn share_buffer(&mut self, now: Time) {
        while let Some(first) = self.short_of_buffer.front().copied()
            && self.reserved_or_needless(now, first)
        {
            self.short_of_buffer.pop_front();
        }
    }

    /// Nobody reads it any more, or it was read to its end.
    pub(crate) fn dropped(&mut self, stream: StreamId, reason: Option<String>) {
        if let Some(unread) = self.unread_ends.remove(&stream) {
            self.unread_ends_bytes -= unread.bytes;
            self.give_back(unread.reserved);
        }
        let Some(entry) = self.inlets.get_mut(&stream).filter(|entry| !entry.stopped) else { return };
        entry.stopped = true;
        if let Some(assembling) = &mut entry.assembling {
            assembling.total -= assembling.bytes.len();
            assembling.bytes = Vec::new();
            assembling.capabilities = None;
        }
        let grown = entry.window.saturating_sub(self.limits.stream_window_bytes as u64);
        entry.window -= grown;
        let freed = entry.reserved.take().map_or(0, |reserved| reserved.bytes) + grown;
        entry.unread = 0;
        self.give_back(freed);
        self.short_of_buffer.retain(|waiting| *waiting != stream);
        self.control.push(Frame::Stop { stream, reason });
    }

    /// This side cannot take an item: the stream ends here, and both learn why.
    fn refuse(&mut self, stream: StreamId, failure: Failure) {
        let Some(entry) = self.inlets.get(&stream).filter(|entry| !entry.stopped) else { return };
        let (inlet, bytes) = (Arc::clone(&entry.inlet), entry.unread());
        self.dropped(stream, Some(failure.to_string()));
        self.ends(inlet, bytes, 0, Ending::Failed(failure));
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

    /// Whether something can be sent.
    pub(crate) fn is_silent(&self) -> bool {
        self.control.is_empty() && self.turns.is_empty()
    }

    /// Whether the session may end without losing more of them than it has to.
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

    /// What waits to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        usize::try_from(self.queued).unwrap_or(usize::MAX)
    }

    /// What has arrived and waits to be read.
    pub(crate) fn unread_bytes(&self) -> usize {
        let unread = self.inlets.values().map(Entry::unread).sum::<u64>() + self.unread_ends_bytes;
        usize::try_from(unread).unwrap_or(usize::MAX)
    }

    /// The session is over: whom to tell.
    pub(crate) fn abandon(&mut self) -> (Vec<Arc<Inlet>>, Vec<StreamId>) {
        self.turns.clear();
        self.queued = 0;
        self.unread_ends.clear();
        self.unread_ends_bytes = 0;
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

    /// That every byte is accounted for, and that nothing waits beyond the windows and what is reserved.
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn check_books(&self) {
        let mut taken = 0;
        for (stream, entry) in &self.inlets {
            let Entry { credit, window, unread, stopped, .. } = *entry;
            taken += window.saturating_sub(self.limits.stream_window_bytes as u64);
            taken += entry.reserved.as_ref().map_or(0, |reserved| reserved.bytes);
            let open = i64::try_from(window.saturating_sub(unread)).expect("windows are small");
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
                Queued::Rest(head, rest) => (head.len() + rest.len()) as u64,
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
        let over: u64 = self.unread_ends.values().map(|unread| unread.bytes).sum();
        assert_eq!(self.unread_ends_bytes, over, "what is over and unread");
    }

    /// The window of a received stream, and what is unread of it.
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

impl Outgoing {
    /// Adds what streams have to send, in turns, until the message has so many bytes.
    pub(super) fn append_streams(&mut self, message: &mut Vec<u8>, bytes: usize) {
        let mut not_open = 0;
        while message.len() < bytes
            && not_open < self.streams.turns.len()
            && let Some(stream) = self.streams.turns.pop_front()
        {
            let position = self.position_of_message();
            let behind = self.position_behind_message();
            let Some(outlet) = self.streams.outlets.get_mut(&stream) else { continue };
            if outlet.opened_in > position {
                self.streams.turns.push_back(stream);
                not_open += 1;
                continue;
            }
            outlet.in_turns = false;
            let Some(queued) = outlet.queue.pop_front() else { continue };
            match behind.filter(|_| queued.opens_streams()) {
                // Streams open in the order of their ids: behind those of calls that are written and wait.
                Some(last) => {
                    outlet.opened_in = last;
                    let mut frames = Vec::new();
                    self.append_queued(&mut frames, stream, queued, last);
                    self.append(|out| out.extend_from_slice(&frames));
                }
                None => self.append_queued(message, stream, queued, position),
            }
            self.streams.make_room(stream);
            self.streams.take_turn(stream);
        }
        if self.streams.queued < self.streams.limits.outgoing_bytes_max as u64 / 2 {
            for stream in std::mem::take(&mut self.streams.held_back) {
                if let Some(outlet) = self.streams.outlets.get_mut(&stream) {
                    outlet.held_back = false;
                }
                self.streams.make_room(stream);
            }
        }
    }

    /// Writes what is next of a stream to the message of that number.
    fn append_queued(&mut self, message: &mut Vec<u8>, stream: StreamId, queued: Queued, position: usize) {
        match queued {
            Queued::Whole(Piece::Items { count, items }) => {
                let table = items.capabilities.as_deref().unwrap_or_default();
                let charge = items_charge(count, items.len(), table.len());
                match pass_settled(table, self, position) {
                    Ok(passed) => {
                        wire::put_items(message, stream, &passed, count, &items.bytes);
                        self.streams.was_sent(stream, charge);
                    }
                    Err(failure) => self.break_off(message, stream, failure),
                }
            }
            Queued::Whole(Piece::Large { head, item }) => {
                let table = item.capabilities.as_deref().unwrap_or_default();
                let charge = items_charge(1, 0, table.len());
                match pass_settled(table, self, position) {
                    Ok(passed) => {
                        wire::put_large_item(message, stream, &passed, head.len() + item.len());
                        self.streams.was_sent(stream, charge);
                        self.append_item_chunk(message, stream, head, item.bytes.into_bytes());
                    }
                    Err(failure) => self.break_off(message, stream, failure),
                }
            }
            Queued::Rest(head, rest) => self.append_item_chunk(message, stream, head, rest),
            Queued::Whole(Piece::Missed(count)) => wire::put_frame(message, &Frame::Missed { stream, count }),
            Queued::Whole(Piece::End(ending)) => {
                let end = self.end_to_wire(ending, position);
                self.streams.forget(stream);
                wire::put_frame(message, &Frame::StreamEnd { stream, end });
            }
        }
    }

    fn append_item_chunk(
        &mut self,
        message: &mut Vec<u8>,
        stream: StreamId,
        mut head: SmallBytes,
        mut rest: bytes::Bytes,
    ) {
        let Some(outlet) = self.streams.outlets.get_mut(&stream) else { return };
        let within = usize::try_from(outlet.credit).unwrap_or(0);
        // With the last of the credit used for its announcement, the item itself waits for more.
        if within > 0 {
            let length = (head.len() + rest.len()).min(CHUNK_BYTES).min(within.max(ITEM_CHUNK_BYTES));
            let chunk = rest.split_to(length.saturating_sub(head.len()).min(rest.len()));
            message.reserve_exact(length + wire::CHUNK_HEAD_BYTES);
            wire::put_item_chunk(message, stream, &[&head, &chunk]);
            self.streams.was_sent(stream, (head.len() + chunk.len()) as u64);
            head = SmallBytes::default();
        }
        if (!rest.is_empty() || !head.is_empty())
            && let Some(outlet) = self.streams.outlets.get_mut(&stream)
        {
            outlet.queue.push_front(Queued::Rest(head, rest));
        }
    }

    /// What it was to send next cannot be.
    fn break_off(&mut self, message: &mut Vec<u8>, stream: StreamId, failure: Failure) {
        self.streams.forget(stream);
        let reason = StopReason::Refused { reason: failure.to_string() };
        self.streams.events.push_back(StreamEvent::Stopped { stream, reason });
        wire::put_frame(message, &Frame::StreamEnd { stream, end: StreamEnd::Failed(failure) });
    }

    fn end_to_wire(&mut self, ending: Ending, position: usize) -> StreamEnd {
        match ending {
            Ending::Complete => StreamEnd::Complete,
            Ending::Error(Encoded { bytes, .. }) if bytes.len() > ITEM_CHUNK_BYTES => {
                StreamEnd::Failed(exhausted("payload_bytes_max"))
            }
            Ending::Error(Encoded { bytes, capabilities }) => {
                let table = capabilities.as_deref().unwrap_or_default();
                match pass_settled(table, self, position) {
                    Ok(objects) => StreamEnd::Error { objects, bytes },
                    Err(failure) => StreamEnd::Failed(failure),
                }
            }
            Ending::Abandoned => StreamEnd::Abandoned,
            Ending::Stopped => StreamEnd::Stopped,
            Ending::Failed(failure) => StreamEnd::Failed(failure),
            Ending::Disconnected(reason) => {
                StreamEnd::Failed(Failure::Unreachable { reason: reason.to_string() })
            }
        }
    }
}

impl Streams {
    fn was_sent(&mut self, stream: StreamId, charge: u64) {
        if let Some(outlet) = self.outlets.get_mut(&stream) {
            outlet.credit -= i64::try_from(charge).unwrap_or(i64::MAX);
            outlet.queued -= charge;
            self.queued -= charge;
        }
    }
}

impl Queued {
    fn opens_streams(&self) -> bool {
        let table = match self {
            Self::Whole(Piece::Items { items: encoded, .. } | Piece::Large { item: encoded, .. })
            | Self::Whole(Piece::End(Ending::Error(encoded))) => encoded.capabilities.as_deref(),
            Self::Whole(Piece::Missed(_) | Piece::End(_)) | Self::Rest(..) => None,
        };
        table.unwrap_or_default().iter().any(|object| matches!(object, Capability::Stream(_)))
    }
}

impl Outlet {
    fn can_send(&self) -> bool {
        match self.queue.front() {
            None => false,
            Some(Queued::Whole(Piece::End(_) | Piece::Missed(_))) => true,
            Some(_) => self.credit > 0,
        }
    }
}

impl Entry {
    /// What arrives was sent within its credit, or is one item or a short chunk and was sent while there was any.
    fn take_credit(
        &mut self,
        now: Time,
        stream: StreamId,
        charge: u64,
        may_owe: bool,
    ) -> Result<(), Violation> {
        let charge = i64::try_from(charge).unwrap_or(i64::MAX);
        if self.credit <= 0 || (charge > self.credit && !may_owe) {
            return Err(Violation::CreditExceeded(stream.0));
        }
        self.credit = self.credit.saturating_sub(charge);
        self.pace.arrived(now, charge.unsigned_abs());
        Ok(())
    }

    /// What has arrived and was not read yet.
    fn unread(&self) -> u64 {
        let reserved = match (&self.reserved, &self.assembling) {
            (None, _) => 0,
            (Some(_), Some(assembling)) if assembling.reserved => assembling.arrived(),
            (Some(reserved), _) => reserved.charge,
        };
        self.unread + reserved
    }

    /// So much was read. Gives back what was reserved for it.
    fn read(&mut self, bytes: u64) -> u64 {
        let Some(reserved) = &mut self.reserved else {
            self.unread = self.unread.saturating_sub(bytes);
            return 0;
        };
        let ahead = bytes.min(reserved.ahead);
        let item = (bytes - ahead).min(reserved.charge);
        reserved.ahead -= ahead;
        reserved.charge -= item;
        self.unread = self.unread.saturating_sub(bytes - item);
        if reserved.charge > 0 {
            return 0;
        }
        self.reserved.take().map_or(0, |reserved| reserved.bytes)
    }

    /// Lets the peer send what the window has room for, if that is worth a frame.
    fn grant(&mut self, now: Time, stream: StreamId, control: &mut Vec<Frame>) {
        let open = i64::try_from(self.window.saturating_sub(self.unread)).unwrap_or(i64::MAX);
        let Ok(more) = u64::try_from(open.saturating_sub(self.credit)) else { return };
        // Half an item that has used up its credit cannot be read; little by little the rest of the window lets it in.
        let is_stuck = self.assembling.is_some() && self.credit <= 0;
        if more == 0 || (more < self.window / 4 && !is_stuck) {
            return;
        }
        self.credit = open;
        self.pace.granting(now, more);
        control.push(Frame::Credit { stream, bytes: more });
    }
}

impl Assembling {
    /// What has come of it, as it is charged.
    fn arrived(&self) -> u64 {
        self.charge - (self.total - self.bytes.len()) as u64
    }

    /// Memory is taken as bytes arrive, never because a length was announced; but once a quarter has come, the rest is
    /// believed.
    fn append(&mut self, bytes: &[u8]) {
        let length = self.bytes.len() + bytes.len();
        if length > self.bytes.capacity() {
            let room = if length >= self.total / 4 { self.total } else { (2 * length).min(self.total) };
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Pace {
    fn arrived(&mut self, now: Time, bytes: u64) {
        self.received += bytes;
        if let Some((mark, at)) = self.probe
            && self.received > mark
        {
            self.probe = None;
            let sample = at.until(now);
            self.round_trip = Some(self.round_trip.map_or(sample, |shortest| shortest.min(sample)));
        }
    }

    fn granting(&mut self, now: Time, bytes: u64) {
        // What the peer may owe can arrive without the credit that is granted now.
        let owed = (ITEM_CHUNK_BYTES + wire::ITEM_OVERHEAD) as u64;
        self.probe.get_or_insert((self.granted + owed, now));
        self.granted += bytes;
    }

    /// So much more was read; gives the window that the stream could use, if that is more than it has.
    fn wider(&mut self, now: Time, bytes: u64, window: u64) -> Option<u64> {
        self.read += bytes;
        let round_trip = self.round_trip?.max(ROUND_TRIP_MIN);
        let taken = self.since.until(now);
        if taken < round_trip.max(READING_MIN) {
            return None;
        }
        let read = std::mem::take(&mut self.read);
        self.since = now;
        let wanted = 2 * u128::from(read) * round_trip.as_micros() / taken.as_micros().max(1);
        // Twice at once is as fast as a round trip tells.
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).min(2 * window);
        (wanted > window).then_some(wanted)
    }
}

fn entry(inlets: &mut FxHashMap<StreamId, Entry>, stream: StreamId) -> Result<&mut Entry, Violation> {
    inlets.get_mut(&stream).ok_or(Violation::UnknownStream(stream.0))
}
