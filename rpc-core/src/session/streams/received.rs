//! The streams that this side receives: credit, windows, and the buffer that all share.

use std::{sync::Arc, time::Duration};

use super::{INITIAL_STREAMS, StreamEvent, Streams, pace::Pace};
use crate::{
    buffer::{small_bytes::SmallBytes, spares::Spares},
    error::Violation,
    id_map::IdMap,
    session::assembly::Partial,
    time::Time,
    value::{
        encoded::{Capabilities, Capability, Encoded},
        inlet::Inlet,
        stream::{Ending, Piece, StreamContent, StreamSlot},
    },
    wire::{
        CREDIT_MAX, Failure, Flow, Frame, ITEM_CHUNK_BYTES, ITEM_OVERHEAD, Items, LargeItem, Reached,
        StreamId, items_charge,
    },
};

/// The bytes that a stream that is over is charged beside its unread bytes.
const END_BYTES: u64 = 512;
/// How long after the last call or result a stream counts as beside calls.
const CALLS_RECENT: Duration = Duration::from_millis(20);

/// A stream that this side receives.
pub(super) struct Entry {
    pub(super) inlet: Arc<Inlet>,
    pub(super) flow: Flow,
    /// Whether nobody reads the stream any more.
    pub(super) stopped: bool,
    /// The bytes that the peer may still send; below zero after an item that took more than there was.
    pub(super) credit: i64,
    /// The bytes that may be on their way or wait to be read.
    pub(super) window: u64,
    /// The bytes that have arrived and were not read yet, without those of an item with reserved room.
    pub(super) unread: u64,
    /// All bytes that have arrived and were not read yet.
    pub(super) arrived: u64,
    /// Room for an item longer than the window.
    pub(super) reserved: Option<Reserved>,
    pub(super) assembling: Option<Assembling>,
    /// Whether the reader waits for the rest of the item in `assembling`.
    pub(super) awaited: bool,
    pub(super) pace: Pace,
}

/// The unread rest of a stream that is over.
pub(super) struct UnreadEnd {
    pub(super) bytes: u64,
    /// Bytes reserved of the shared buffer.
    pub(super) reserved: u64,
}

/// Room that is reserved for an item until it is read.
pub(super) struct Reserved {
    /// Bytes reserved of the shared buffer.
    pub(super) bytes: u64,
    /// Unread bytes before the item, which are reported as read before it.
    pub(super) ahead: u64,
    /// The bytes that the item is charged.
    pub(super) charge: u64,
}

pub(super) struct Assembling {
    pub(super) item: Partial,
    pub(super) capabilities: Capabilities,
    pub(super) charge: u64,
    /// Whether room for the item is reserved in the shared buffer.
    pub(super) reserved: bool,
}

impl Streams {
    /// The window that a stream opens with.
    pub(super) fn first_window(&self) -> u64 {
        (self.limits.stream_window_bytes as u64).clamp(1, CREDIT_MAX)
    }

    pub(crate) fn streams_max(&self) -> usize {
        self.limits.streams_max.max(INITIAL_STREAMS)
    }

    /// Takes note of a call or result of the peer.
    #[inline]
    pub(crate) fn saw_call(&mut self, now: Time) {
        self.last_call = Some(now);
    }

    pub(crate) fn is_beside_calls(&self, now: Time) -> bool {
        self.last_call.is_some_and(|last| last.until(now) < CALLS_RECENT)
    }

    /// Takes a stream that the peer opens. The stream is stopped at once while too many bytes of ended streams wait to be read:
    /// those streams no longer count as open.
    pub(crate) fn receive(
        &mut self,
        stream: StreamId,
        flow: Flow,
    ) -> Result<Result<Capability, Failure>, Violation> {
        if stream <= self.last_received {
            return Err(Violation::StreamReused(stream.0));
        }
        if self.inlets.len() >= self.streams_max() {
            return Err(Violation::Limit("streams_max"));
        }
        self.last_received = stream;
        let window = match flow {
            Flow::Window => self.first_window(),
            Flow::OneByOne => 1,
        };
        let inlet = Arc::new(Inlet::new(stream, window / 4));
        let reader = Inlet::reader(&inlet, Arc::clone(&self.home));
        self.inlets.insert(
            stream,
            Entry {
                inlet,
                flow,
                stopped: false,
                credit: i64::try_from(window).unwrap_or(i64::MAX),
                window,
                unread: 0,
                arrived: 0,
                reserved: None,
                assembling: None,
                awaited: false,
                pace: Pace::new(window),
            },
        );
        let each = self.first_window() + ITEM_CHUNK_BYTES as u64;
        if self.unread_ends_bytes > (self.streams_max() as u64).saturating_mul(each) {
            self.dropped(stream, None);
            return Ok(Err(Reached::at("streams_max", self.streams_max()).into()));
        }
        Ok(Ok(Capability::Stream(StreamSlot::new(StreamContent::Arrived(reader), flow))))
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
        if let Some(limit) = self.short_of {
            self.refuse(stream, Failure::exhausted(limit));
            return Ok(());
        }
        entry.unread += charge;
        entry.arrived += charge;
        self.arrived += charge;
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
        if charge <= entry.window {
            entry.pace.begins(charge);
        }
        let (capabilities, failure) = match capabilities {
            Ok(capabilities) => (capabilities, self.short_of.map(Failure::exhausted)),
            Err(failure) => (None, Some(failure)),
        };
        if !entry.stopped {
            entry.unread += head;
            entry.arrived += head;
            self.arrived += head;
        }
        entry.assembling = Some(Assembling {
            item: Partial::new(total, !entry.stopped),
            capabilities,
            charge,
            reserved: false,
        });
        if entry.needs_reader() {
            self.events.push_back(StreamEvent::Awaited { inlet: Arc::clone(&entry.inlet) });
        }
        if let Some(failure) = failure {
            self.refuse(stream, failure);
        }
        Ok(())
    }

    pub(crate) fn item_chunk(
        &mut self,
        now: Time,
        stream: StreamId,
        bytes: &[u8],
        spares: &mut Spares,
    ) -> Result<(), Violation> {
        if let Some(limit) = self.short_of {
            self.refuse(stream, Failure::exhausted(limit));
        }
        let entry = entry(&mut self.inlets, stream)?;
        let charge = bytes.len() as u64;
        entry.take_credit(now, stream, charge, bytes.len() <= ITEM_CHUNK_BYTES)?;
        let Some(assembling) = &mut entry.assembling else { return Err(Violation::StreamOrder(stream.0)) };
        // Chunks of a stopped stream are counted off.
        if !assembling.item.take(now, bytes, spares) {
            return Err(Violation::StreamOrder(stream.0));
        }
        let (is_complete, is_reserved) = (assembling.item.is_complete(), assembling.reserved);
        let complete = if is_complete { entry.assembling.take() } else { None };
        if entry.stopped {
            return Ok(());
        }
        entry.arrived += charge;
        self.arrived += charge;
        if !is_reserved {
            entry.unread += charge;
        }
        if let Some(Assembling { item, capabilities, .. }) = complete
            && let Some(bytes) = item.into_bytes(spares)
        {
            let item = Encoded { bytes, capabilities };
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
            self.arrived -= entry.arrived;
            let grown = entry.window.saturating_sub(self.first_window());
            self.give_back(entry.reserved.map_or(0, |reserved| reserved.bytes) + grown);
            self.short_of_buffer.retain(|waiting| *waiting != stream);
        }
        Ok(())
    }

    /// Hands the reader the end of a stream, behind `bytes` unread bytes.
    fn ends(&mut self, inlet: Arc<Inlet>, bytes: u64, reserved: u64, ending: Ending) {
        let error = if let Ending::Error(error) = &ending { error.size() as u64 } else { 0 };
        let bytes = bytes + error + END_BYTES;
        self.unread_ends.insert(inlet.stream, UnreadEnd { bytes, reserved });
        self.unread_ends_bytes += bytes;
        self.events.push_back(StreamEvent::Arrived { inlet, piece: Piece::End(ending) });
    }

    /// Takes note that the reader has taken `bytes` bytes; grants credit for them.
    pub(crate) fn consumed(&mut self, now: Time, stream: StreamId, bytes: u64) {
        if let Some(unread) = self.unread_ends.get_mut(&stream) {
            let read = bytes.min(unread.bytes);
            let freed = bytes.min(unread.reserved);
            unread.bytes -= read;
            unread.reserved -= freed;
            self.unread_ends_bytes -= read;
            return self.give_back(freed);
        }
        let (for_items, first_window) = (self.room_for_items(), self.first_window());
        let beside_calls = self.is_beside_calls(now);
        let Some(entry) = self.inlets.get_mut(&stream).filter(|entry| !entry.stopped) else { return };
        let read = bytes.min(entry.arrived);
        entry.arrived -= read;
        self.arrived -= read;
        let freed = entry.read(bytes);
        if entry.flow == Flow::Window
            && let Some(window) = entry.pace.window(now, bytes, entry.window, beside_calls)
        {
            let most = (self.limits.stream_window_bytes_max as u64).min(CREDIT_MAX);
            // Windows leave room in the shared buffer for the longest item.
            let left = self.unreserved.saturating_sub(for_items);
            let more = window.min(most).saturating_sub(entry.window).min(left);
            let less = entry.shrink_to(window.max(first_window));
            entry.window += more;
            self.unreserved = self.unreserved + less - more;
            entry.inlet.report_at(entry.window / 4);
            if less > 0 && entry.needs_reader() {
                self.events.push_back(StreamEvent::Awaited { inlet: Arc::clone(&entry.inlet) });
            }
        }
        entry.grant(now, stream, &mut self.control);
        self.give_back(freed);
        // The reader reports from another thread: its report may have crossed the question whether it waits.
        self.reserve(now, stream);
    }

    /// Takes note that the reader has taken `bytes` bytes and waits for more.
    pub(crate) fn awaited(&mut self, now: Time, stream: StreamId, bytes: u64) {
        if let Some(entry) = self.inlets.get_mut(&stream) {
            entry.awaited = true;
        }
        self.consumed(now, stream, bytes);
    }

    /// Reserves room for an item longer than its stream's window, if it is the stream's turn and the shared buffer has room.
    fn reserve(&mut self, now: Time, stream: StreamId) {
        let is_first = self.short_of_buffer.front().is_none_or(|first| *first == stream);
        let is_short = if is_first { !self.reserved_or_needless(now, stream) } else { self.waits(stream) };
        if is_short && !self.short_of_buffer.contains(&stream) {
            self.short_of_buffer.push_back(stream);
        }
    }

    /// Whether the reader of a stream waits for an item that has no reserved room.
    fn waits(&mut self, stream: StreamId) -> bool {
        let Some(entry) = self.inlets.get_mut(&stream) else { return false };
        entry.awaited &= entry.assembling.is_some();
        entry.awaited && !entry.stopped && entry.reserved.is_none()
    }

    /// Reserves room for the item that a stream's reader waits for. False if the shared buffer has none.
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
        // The arrived part of this item counts against the reserved room, no longer against the window.
        entry.unread = entry.unread.saturating_sub(assembling.arrived());
        entry.reserved = Some(Reserved { bytes, ahead: entry.unread, charge });
        entry.grant(now, stream, &mut self.control);
        true
    }

    /// The part of the shared buffer that growing windows leave free: the length of the longest item that may come.
    fn room_for_items(&self) -> u64 {
        let longest = self.limits.payload_bytes_max.saturating_add(ITEM_OVERHEAD);
        longest.min(self.limits.stream_buffer_bytes_max) as u64
    }

    fn give_back(&mut self, bytes: u64) {
        self.unreserved += bytes;
    }

    /// Reserves free room of the shared buffer for items that wait for it, in order.
    pub(crate) fn share_buffer(&mut self, now: Time) {
        while let Some(first) = self.short_of_buffer.front().copied()
            && self.reserved_or_needless(now, first)
        {
            self.short_of_buffer.pop_front();
        }
    }

    /// Stops a stream that nobody reads any more, or forgets one that was read to its end.
    pub(crate) fn dropped(&mut self, stream: StreamId, reason: Option<String>) {
        if let Some(unread) = self.unread_ends.remove(&stream) {
            self.unread_ends_bytes -= unread.bytes;
            self.give_back(unread.reserved);
        }
        let first_window = self.first_window();
        let Some(entry) = self.inlets.get_mut(&stream).filter(|entry| !entry.stopped) else { return };
        entry.stopped = true;
        if let Some(assembling) = &mut entry.assembling {
            assembling.item.forget();
            assembling.capabilities = None;
        }
        let grown = entry.window.saturating_sub(first_window);
        entry.window -= grown;
        let freed = entry.reserved.take().map_or(0, |reserved| reserved.bytes) + grown;
        entry.unread = 0;
        self.arrived -= std::mem::take(&mut entry.arrived);
        self.give_back(freed);
        self.control.push(Frame::Stop { stream, reason });
    }

    /// Ends a stream with an item that this side cannot take; the reader and the peer learn why.
    fn refuse(&mut self, stream: StreamId, failure: Failure) {
        let Some(entry) = self.inlets.get(&stream).filter(|entry| !entry.stopped) else { return };
        let (inlet, bytes) = (Arc::clone(&entry.inlet), entry.unread());
        self.dropped(stream, Some(failure.to_string()));
        self.ends(inlet, bytes, 0, Ending::Failed(failure));
    }
}

impl Entry {
    /// Takes the credit of arriving bytes. They must be within the credit; one item or a short chunk (`may_owe`) may exceed it
    /// while there is any.
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

    /// The bytes that have arrived and were not read yet, reserved room included.
    pub(super) fn unread(&self) -> u64 {
        let reserved = match (&self.reserved, &self.assembling) {
            (None, _) => 0,
            (Some(_), Some(assembling)) if assembling.reserved => assembling.arrived(),
            (Some(reserved), _) => reserved.charge,
        };
        self.unread + reserved
    }

    /// Counts bytes that were read. Returns the bytes of the shared buffer that this frees.
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

    /// The bytes that may be on their way: as many as the window has room for, and the rest of an item with reserved room.
    pub(super) fn open(&self) -> i64 {
        let rest = match &self.assembling {
            Some(assembling) if assembling.reserved => assembling.item.rest(),
            Some(_) | None => 0,
        };
        let open = (self.window.saturating_sub(self.unread) + rest as u64).min(CREDIT_MAX);
        i64::try_from(open).unwrap_or(i64::MAX)
    }

    /// Whether the arriving item may stall: it is longer than three quarters of the window, and its reader reports reads only in
    /// quarters. Then the reader must be asked.
    fn needs_reader(&self) -> bool {
        let charge = self.assembling.as_ref().map_or(0, |item| item.charge);
        charge > self.window - self.window / 4 && !self.stopped
    }

    /// Makes the window narrower and returns by how much. Credit that the peer has already is not taken back. At most a quarter
    /// at once: the reader may have read up to a quarter of the old window without reporting it, and that must not fill the new
    /// one.
    fn shrink_to(&mut self, window: u64) -> u64 {
        let unused = u64::try_from(self.open().saturating_sub(self.credit)).unwrap_or(0);
        let less = self.window.saturating_sub(window).min(unused).min(self.window / 4);
        self.window -= less;
        less
    }

    /// Grants the peer credit for the free room, if that is worth a frame.
    fn grant(&mut self, now: Time, stream: StreamId, control: &mut Vec<Frame>) {
        let open = self.open();
        let Ok(more) = u64::try_from(open.saturating_sub(self.credit)) else { return };
        // Half an item cannot be read: if it has used up its credit, the rest of the window is granted in small pieces.
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
    /// The charge of the part of the item that has arrived.
    fn arrived(&self) -> u64 {
        self.charge - self.item.rest() as u64
    }
}

fn entry(inlets: &mut IdMap<StreamId, Entry>, stream: StreamId) -> Result<&mut Entry, Violation> {
    inlets.get_mut(&stream).ok_or(Violation::UnknownStream(stream.0))
}
