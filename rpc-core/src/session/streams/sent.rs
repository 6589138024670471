//! The streams that this side sends: a short queue for each, and turns.

use std::{collections::VecDeque, sync::Arc};

use super::{INITIAL_STREAMS, StreamEvent, Streams};
use crate::{
    error::{StopReason, Violation},
    session::long::Long,
    time::Time,
    value::{
        encoded::Capability,
        stream::{Ending, Piece, StreamSlot},
    },
    wire::{CREDIT_MAX, Failure, Flow, Frame, Reached, StreamEnd, StreamId, varint::ID_MAX},
};

/// The bytes of one stream that may wait to be sent, apart from the last item.
pub(super) const QUEUE_BYTES: i64 = 128 << 10;

/// A stream that this side sends.
pub(in crate::session) struct Outlet {
    /// The message whose frame opens it; items come in that message or later.
    pub(in crate::session) opened_in: usize,
    pub(super) flow: Flow,
    /// The bytes that may still be sent; below zero after an item that took more than there was.
    pub(in crate::session) credit: i64,
    /// The bytes that the producer may still add.
    pub(super) allowed: i64,
    pub(in crate::session) queue: VecDeque<Queued>,
    pub(super) queued: u64,
    pub(in crate::session) in_turns: bool,
    /// Whether the producer waits until all streams have less to send.
    pub(in crate::session) held_back: bool,
    /// Whether the stream's end is queued.
    pub(super) ended: bool,
    /// Looks for stalls in a row that found items and no credit, with no credit granted in between.
    pub(super) looks_stuck: u8,
}

pub(in crate::session) enum Queued {
    Whole(Piece),
    /// The rest of an item of which a part was sent.
    Rest(Long),
}

/// Looks for stalls in a row that a stream may not spend without credit; two looks are made in `stream_stall`.
const STALL_LOOKS: u8 = 3;

impl Streams {
    /// Whether `count` more streams can be opened: within the peer's `streams_max`, and within this side's own.
    pub(crate) fn has_room_for(&self, count: usize) -> bool {
        let peer_takes = self.peer.map_or(INITIAL_STREAMS, |peer| {
            usize::try_from(peer.streams_max).unwrap_or(usize::MAX).max(INITIAL_STREAMS)
        });
        let takes = peer_takes.min(self.streams_max());
        // A stopped stream still counts while its StreamEnd waits in `control`: a call written before it reaches the peer first.
        let ending = self.control.iter().filter(|frame| matches!(frame, Frame::StreamEnd { .. })).count();
        self.outlets.len().saturating_add(ending).saturating_add(count) <= takes
    }

    /// The credit that a stream opens with; none before the peer has offered its window.
    pub(super) fn first_credit(&self, flow: Flow) -> i64 {
        match (self.peer, flow) {
            (None, _) => 0,
            (Some(_), Flow::OneByOne) => 1,
            (Some(peer), Flow::Window) => {
                i64::try_from(peer.stream_window_bytes.clamp(1, CREDIT_MAX)).unwrap_or(i64::MAX)
            }
        }
    }

    /// Opens a stream with the message of that number.
    pub(crate) fn open(&mut self, slot: Arc<StreamSlot>, flow: Flow, opened_in: usize) -> StreamId {
        let stream = self.next;
        self.next = StreamId((stream.0 + 1).min(ID_MAX));
        self.outlets.insert(
            stream,
            Outlet {
                opened_in,
                credit: self.first_credit(flow),
                flow,
                allowed: 0,
                queue: VecDeque::new(),
                queued: 0,
                in_turns: false,
                held_back: false,
                ended: false,
                looks_stuck: 0,
            },
        );
        self.events.push_back(StreamEvent::Opened { stream, slot });
        self.make_room(stream);
        stream
    }

    /// Queues a piece that the producer has made: items, or the end.
    pub(crate) fn send(&mut self, stream: StreamId, piece: Piece) {
        let payload_bytes_max = self.peer.map_or(u64::MAX, |peer| peer.payload_bytes_max);
        let Some(outlet) = self.outlets.get_mut(&stream).filter(|outlet| !outlet.ended) else { return };
        let piece = match piece {
            Piece::Large { head, item } if (head.len() + item.len()) as u64 > payload_bytes_max => {
                let reason = "an item is longer than the peer's `payload_bytes_max`";
                self.events.push_back(StreamEvent::Stopped { stream, reason: StopReason::refused(reason) });
                let length = head.len() + item.len();
                let length_max = usize::try_from(payload_bytes_max).unwrap_or(usize::MAX);
                let reached = Reached::new("payload_bytes_max", length, length_max);
                Piece::End(Ending::Failed(Failure::exhausted_of_peer(reached)))
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

    /// Tells the producer how much it may add, if that is enough to be worth waking it.
    pub(in crate::session) fn make_room(&mut self, stream: StreamId) {
        let Some(outlet) = self.outlets.get_mut(&stream).filter(|outlet| !outlet.ended) else { return };
        let queued = i64::try_from(outlet.queued).unwrap_or(i64::MAX);
        let more = outlet.credit.min(QUEUE_BYTES) - queued - outlet.allowed;
        if more < 1 || (more < QUEUE_BYTES / 2 && !outlet.queue.is_empty()) || outlet.allowed + more < 1 {
            return;
        }
        // All streams share one bound: items that a peer does not take must not pile up, however many streams are open.
        if self.queued > self.limits.outgoing_bytes_max as u64 {
            if !std::mem::replace(&mut outlet.held_back, true) {
                self.held_back.push(stream);
            }
            return;
        }
        outlet.allowed += more;
        self.events.push_back(StreamEvent::Room { stream, bytes: more });
    }

    pub(in crate::session) fn take_turn(&mut self, stream: StreamId) {
        let Some(outlet) = self.outlets.get_mut(&stream) else { return };
        if self.peer.is_some() && !outlet.in_turns && outlet.can_send() {
            outlet.in_turns = true;
            self.turns.push_back(stream);
        }
    }

    /// Adds credit that the peer grants a stream.
    pub(crate) fn credit(&mut self, stream: StreamId, bytes: u64) -> Result<(), Violation> {
        if stream >= self.next {
            return Err(Violation::UnknownStream(stream.0));
        }
        // The stream may have ended meanwhile.
        let Some(outlet) = self.outlets.get_mut(&stream) else { return Ok(()) };
        let credit = i64::try_from(bytes).ok().and_then(|bytes| outlet.credit.checked_add(bytes));
        outlet.credit = credit
            .filter(|credit| u64::try_from(*credit).is_ok_and(|credit| credit <= CREDIT_MAX) || *credit < 0)
            .ok_or(Violation::CreditOverflow(stream.0))?;
        outlet.looks_stuck = 0;
        self.make_room(stream);
        self.take_turn(stream);
        Ok(())
    }

    /// Stops a stream of which the peer wants no more. A StreamEnd confirms that.
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

    /// Begins to look for streams that nobody reads, if items wait.
    pub(in crate::session) fn watch_stalls(&mut self, now: Time) {
        if self.queued > 0 && self.stall_due.is_none() {
            self.stall_due = Some(now + self.limits.stream_stall / 2);
        }
    }

    /// Looks for stalls from here on, because nobody could grant credit before.
    pub(in crate::session) fn restart_stalls(&mut self, now: Time) {
        self.stall_due = None;
        self.outlets.values_mut().for_each(|outlet| outlet.looks_stuck = 0);
        self.watch_stalls(now);
    }

    pub(in crate::session) fn timeout(&self) -> Option<Time> {
        self.stall_due
    }

    /// Ends streams whose items nobody has taken for `stream_stall`, or up to half as long again. Looks twice in that time.
    pub(in crate::session) fn expire(&mut self, now: Time) {
        if self.stall_due.is_none_or(|due| due > now) {
            return;
        }
        self.stall_due = None;
        let mut stalled = Vec::new();
        for (stream, outlet) in &mut self.outlets {
            let is_stuck = outlet.queued > 0 && !outlet.can_send();
            outlet.looks_stuck = if is_stuck { outlet.looks_stuck + 1 } else { 0 };
            if outlet.looks_stuck == STALL_LOOKS {
                stalled.push(*stream);
            }
        }
        stalled.sort_unstable();
        for stream in stalled {
            self.forget(stream);
            let failure = Failure::exhausted("stream_stall");
            let reason = StopReason::Refused { reason: failure.to_string() };
            self.events.push_back(StreamEvent::Stopped { stream, reason });
            self.control.push(Frame::StreamEnd { stream, end: StreamEnd::Failed(failure) });
        }
        self.watch_stalls(now);
    }

    pub(in crate::session) fn forget(&mut self, stream: StreamId) -> bool {
        let Some(outlet) = self.outlets.remove(&stream) else { return false };
        self.queued -= outlet.queued;
        if let Some(Queued::Rest(item)) = outlet.queue.front() {
            self.pinned.ended(item);
        }
        if outlet.in_turns {
            self.turns.retain(|turn| *turn != stream);
        }
        true
    }
}

impl Streams {
    pub(in crate::session) fn was_sent(&mut self, stream: StreamId, charge: u64) {
        if let Some(outlet) = self.outlets.get_mut(&stream) {
            outlet.credit -= i64::try_from(charge).unwrap_or(i64::MAX);
            outlet.queued -= charge;
            self.queued -= charge;
        }
    }
}

impl Queued {
    pub(in crate::session) fn opens_streams(&self) -> bool {
        let table = match self {
            Self::Whole(Piece::Items { items: encoded, .. } | Piece::Large { item: encoded, .. })
            | Self::Whole(Piece::End(Ending::Error(encoded))) => encoded.capabilities.as_deref(),
            Self::Whole(Piece::Missed(_) | Piece::End(_)) | Self::Rest(..) => None,
        };
        table.unwrap_or_default().iter().any(|object| matches!(object, Capability::Stream(_)))
    }
}

impl Outlet {
    pub(super) fn can_send(&self) -> bool {
        match self.queue.front() {
            None => false,
            Some(Queued::Whole(Piece::End(_) | Piece::Missed(_))) => true,
            Some(_) => self.credit > 0,
        }
    }
}
