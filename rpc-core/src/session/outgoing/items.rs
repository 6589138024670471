//! Writes items of streams: streams take turns, and each sends as far as its reader gave credit.

use crate::{
    buffer::message::Out,
    error::StopReason,
    session::{
        long::Long,
        outgoing::{Outgoing, batch::Batch},
        streams::{StreamEvent, sent::Queued},
    },
    value::{
        encoded::Encoded,
        stream::{Ending, Piece},
    },
    wire::{CHUNK_BYTES, Failure, Frame, ITEM_CHUNK_BYTES, StreamEnd, StreamId, items_charge, write},
};

impl Outgoing {
    /// Adds queued pieces of streams, in turns, until the message has `bytes` bytes.
    pub(in crate::session) fn append_streams(&mut self, batch: &mut Batch, bytes: usize) {
        let mut not_open = 0;
        while batch.len() < bytes
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
                // Streams open in the order of their ids: an item that opens streams goes behind calls that are written
                // and wait.
                Some(last) => {
                    outlet.opened_in = last;
                    let mut frames = Batch::default();
                    self.append_queued(&mut frames, stream, queued, last);
                    self.append(frames);
                }
                None => self.append_queued(batch, stream, queued, position),
            }
            self.streams.make_room(stream);
            self.streams.take_turn(stream);
        }
        if self.streams.queued <= self.streams.limits.outgoing_bytes_max as u64 / 2 {
            for stream in std::mem::take(&mut self.streams.held_back) {
                if let Some(outlet) = self.streams.outlets.get_mut(&stream) {
                    outlet.held_back = false;
                }
                self.streams.make_room(stream);
            }
        }
    }

    /// Writes a queued piece of a stream to the message of that number.
    fn append_queued(&mut self, batch: &mut Batch, stream: StreamId, queued: Queued, position: usize) {
        match queued {
            Queued::Whole(Piece::Items { count, items }) => {
                let table = items.capabilities.as_deref().unwrap_or_default();
                let charge = items_charge(count, items.len(), table.len());
                match self.pass_settled(table, position) {
                    Ok(passed) => {
                        batch.put(|out| write::put_items(out.bytes(), stream, &passed, count, &items.bytes));
                        self.streams.was_sent(stream, charge);
                    }
                    Err(failure) => self.break_off(batch, stream, failure),
                }
            }
            Queued::Whole(Piece::Large { head, item }) => {
                let table = item.capabilities.as_deref().unwrap_or_default();
                let charge = items_charge(1, 0, table.len());
                match self.pass_settled(table, position) {
                    Ok(passed) => {
                        let total = head.len() + item.len();
                        batch.put(|out| write::put_large_item(out.bytes(), stream, &passed, total));
                        self.streams.was_sent(stream, charge);
                        self.append_item_chunk(batch, stream, Long::new(head, item.bytes.into_bytes()));
                    }
                    Err(failure) => self.break_off(batch, stream, failure),
                }
            }
            Queued::Rest(item) => self.append_item_chunk(batch, stream, item),
            Queued::Whole(Piece::Missed(count)) => batch.put_frame(&Frame::Missed { stream, count }),
            Queued::Whole(Piece::End(ending)) => {
                let end = self.end_to_wire(ending, position);
                self.streams.forget(stream);
                batch.put_frame(&Frame::StreamEnd { stream, end });
            }
        }
    }

    fn append_item_chunk(&mut self, batch: &mut Batch, stream: StreamId, mut item: Long) {
        let Some(outlet) = self.streams.outlets.get_mut(&stream) else { return };
        let within = usize::try_from(outlet.credit).unwrap_or(0);
        // If the announcement used up the credit, the item itself waits for more.
        if within > 0 {
            let chunk = item.cut(CHUNK_BYTES.min(within.max(ITEM_CHUNK_BYTES)));
            batch.put(|out| {
                write::put_item_chunk_head(out.bytes(), stream, chunk.len());
                chunk.put(out);
            });
            self.streams.was_sent(stream, chunk.len() as u64);
            self.streams.pinned.cut(chunk.len());
        }
        if item.left() == 0 {
            self.streams.pinned.ended(&item);
        } else if let Some(outlet) = self.streams.outlets.get_mut(&stream) {
            outlet.queue.push_front(Queued::Rest(item));
        }
    }

    /// Ends a stream whose next item cannot be sent.
    fn break_off(&mut self, batch: &mut Batch, stream: StreamId, failure: Failure) {
        self.streams.forget(stream);
        let reason = StopReason::Refused { reason: failure.to_string() };
        self.streams.events.push_back(StreamEvent::Stopped { stream, reason });
        batch.put_frame(&Frame::StreamEnd { stream, end: StreamEnd::Failed(failure) });
    }

    fn end_to_wire(&mut self, ending: Ending, position: usize) -> StreamEnd {
        match ending {
            Ending::Complete => StreamEnd::Complete,
            Ending::Error(Encoded { bytes, .. }) if bytes.len() > ITEM_CHUNK_BYTES => {
                StreamEnd::Failed(Failure::exhausted("payload_bytes_max"))
            }
            Ending::Error(Encoded { bytes, capabilities }) => {
                let table = capabilities.as_deref().unwrap_or_default();
                match self.pass_settled(table, position) {
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
