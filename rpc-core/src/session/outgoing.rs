//! The one way out: frames packed into batches, large payloads cut into chunks between them, and items of streams.
//!
//! Every frame is written by [`Batch::put`] and leaves by [`Outgoing::pop_message`], which is where messages and
//! frames can be counted. The objects and streams of the session are here because frames introduce objects and open
//! streams: an object is introduced, and a stream is open, from the message on that carries such a frame.
//!
//! Frames are encoded where they are made and keep their order. Each message carries a batch of small frames and at
//! most one chunk, so that a large payload never holds up small ones for longer than one chunk takes.

use std::collections::VecDeque;

use self::batch::Batch;
use super::{
    long::{Long, Pinned},
    objects::Objects,
    streams::Streams,
};
use crate::{
    buffer::{
        message::{Message, Out},
        small_bytes::SmallBytes,
    },
    limits::MESSAGE_BYTES,
    time::Time,
    wire::{
        BATCH_BYTES, CHUNK_BYTES, CHUNK_HEAD_BYTES, CallId, Frame, INLINE_BYTES_MAX, Payload, Return, plain,
        write,
    },
};

pub(super) mod batch;
pub(crate) mod items;

/// Streams fill a message up to this length. The chunk that is added last may be up to twice as long.
const STREAM_BYTES: usize = 32 << 10;

pub(crate) struct Outgoing {
    /// Objects are introduced by the frames that name them.
    pub(crate) objects: Objects,
    /// Streams are opened by the frames that name them.
    pub(crate) streams: Streams,
    full: VecDeque<Batch>,
    open: Batch,
    /// The number of Returns in all batches.
    returns: usize,
    large: VecDeque<Large>,
    pinned: Pinned,
    /// The number of arguments in `large`.
    arguments_in_chunks: usize,
    /// Calls whose last chunk of arguments has left, until they are taken.
    arguments_sent: Vec<CallId>,
    /// The number of messages handed out. With the length of `full` added, it is the position of the open batch.
    popped: usize,
    queued_bytes: usize,
    sent_bytes: usize,
    /// Whether streams come before large payloads in a message; alternates.
    streams_first: bool,
}

struct Large {
    id: CallId,
    of_return: bool,
    /// The batch whose frame announces it; chunks come in that message or later.
    announced_in: usize,
    payload: Long,
}

impl Outgoing {
    pub(crate) fn new(objects: Objects, streams: Streams) -> Self {
        Self {
            objects,
            streams,
            full: VecDeque::new(),
            open: Batch::default(),
            returns: 0,
            large: VecDeque::new(),
            pinned: Pinned::default(),
            arguments_in_chunks: 0,
            arguments_sent: Vec::new(),
            popped: 0,
            queued_bytes: 0,
            sent_bytes: 0,
            streams_first: false,
        }
    }

    /// Tells the peer which objects it may release, if a message leaves anyway or they have waited for long enough.
    pub(crate) fn push_object_releases(&mut self, now: Time) {
        let message_leaves = !self.is_empty();
        for frame in self.objects.take_releases(now, message_leaves) {
            self.put_frame(&frame);
        }
    }

    /// Appends the frame that `write` writes.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Message)) {
        self.extend_open(|open| open.put(write));
    }

    /// Appends a frame.
    pub(crate) fn put_frame(&mut self, frame: &Frame) {
        self.put(|out| write::put_frame(out, frame));
    }

    /// Appends a Return.
    pub(crate) fn put_return(&mut self, answer: &Return) {
        self.count_return();
        self.put(|out| write::put_return(out, answer));
    }

    /// Appends a plain Return, whose value is short enough to be inline.
    pub(crate) fn put_value(&mut self, id: CallId, payload: &SmallBytes) {
        self.count_return();
        self.put(|out| plain::put_plain_value(out, id, payload));
    }

    fn count_return(&mut self) {
        self.returns += 1;
        self.open.returns += 1;
    }

    /// Appends frames that were written beside the open batch.
    pub(super) fn append(&mut self, batch: Batch) {
        self.extend_open(|open| open.append(batch));
    }

    fn extend_open(&mut self, extend: impl FnOnce(&mut Batch)) {
        let before = self.open.len();
        extend(&mut self.open);
        self.queued_bytes += self.open.len() - before;
        if self.open.len() >= BATCH_BYTES {
            let batch = self.take_open();
            self.full.push_back(batch);
        }
    }

    /// The number of Returns that wait to be sent.
    pub(crate) fn returns(&self) -> usize {
        self.returns
    }

    /// The payload as its frame carries it. A large payload is queued to follow in chunks, once the frame is appended.
    /// `beside` is the length of the frame's other parts that are not bounded.
    pub(crate) fn payload(
        &mut self,
        id: CallId,
        of_return: bool,
        bytes: SmallBytes,
        beside: usize,
    ) -> Payload {
        if bytes.len() + beside <= INLINE_BYTES_MAX || bytes.is_empty() {
            return Payload::Inline(bytes);
        }
        let total = bytes.len();
        self.queued_bytes += total;
        let announced_in = self.position();
        self.arguments_in_chunks += usize::from(!of_return);
        self.large.push_back(Large { id, of_return, announced_in, payload: bytes.into() });
        Payload::Chunked { total }
    }

    /// Takes the open batch; the next one starts with room for a little more than this one needed.
    fn take_open(&mut self) -> Batch {
        let room = (self.open.copied_bytes() + 1).next_power_of_two().min(BATCH_BYTES);
        std::mem::replace(&mut self.open, Batch::with_capacity(room))
    }

    /// The number of the message that frames appended now belong to.
    pub(crate) fn position(&self) -> usize {
        self.popped + self.full.len()
    }

    /// The number of the message that is being handed out.
    pub(super) fn position_of_message(&self) -> usize {
        self.popped
    }

    /// The number of the open batch, if that or another waits behind the message that is being handed out.
    pub(super) fn position_behind_message(&self) -> Option<usize> {
        let is_last = self.full.is_empty() && self.open.is_empty();
        (!is_last).then_some(self.popped + 1 + self.full.len())
    }

    /// Bytes that wait to be sent, without those of streams, which wait for credit as well.
    pub(crate) fn bytes(&self) -> usize {
        self.queued_bytes
    }

    /// All bytes that wait to be sent.
    pub(crate) fn all_bytes(&self) -> usize {
        self.queued_bytes + self.streams.queued_bytes()
    }

    /// The memory of everything that waits to be sent; long payloads count whole until their last chunk has left.
    pub(crate) fn memory(&self) -> usize {
        self.all_bytes() + self.pinned.bytes() + self.streams.pinned_bytes()
    }

    /// Takes note that the socket still has `waiting` of the bytes that were handed out.
    pub(crate) fn flushed(&mut self, waiting: usize) {
        self.pinned.flushed(self.sent_bytes, waiting);
        self.streams.flushed(self.sent_bytes, waiting);
    }

    /// The number of calls whose arguments are leaving in chunks.
    pub(crate) fn arguments_in_chunks(&self) -> usize {
        self.arguments_in_chunks
    }

    /// Takes the calls whose last chunk of arguments has left since the last time.
    pub(crate) fn take_arguments_sent(&mut self) -> Vec<CallId> {
        std::mem::take(&mut self.arguments_sent)
    }

    /// Puts a frame before all others. Called only while nothing was sent.
    pub(crate) fn put_first(&mut self, frame: &Frame) {
        // Written as a message, as all frames are: the code is compiled for one kind of output.
        let mut message = Message::default();
        write::put_frame(&mut message, frame);
        debug_assert_eq!(message.len(), message.bytes().len(), "no first frame has a long byte string");
        self.queued_bytes += message.len();
        self.full.front_mut().unwrap_or(&mut self.open).put_first(message.bytes());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.has_only_streams() && self.streams.is_silent()
    }

    /// Whether only streams have frames to send.
    pub(crate) fn has_only_streams(&self) -> bool {
        self.full.is_empty() && self.open.is_empty() && self.large.is_empty()
    }

    /// Bytes that were handed out or are in batches.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent_bytes + self.open.len() + self.full.iter().map(|batch| batch.len()).sum::<usize>()
    }

    /// The next message. With `large`, items of streams and one chunk ride along.
    pub(crate) fn pop_message(&mut self, large: bool) -> Option<Message> {
        for frame in self.streams.take_control() {
            self.put_frame(&frame);
        }
        let sends_large = large && !(self.large.is_empty() && self.streams.are_quiet());
        if self.full.is_empty() && self.open.is_empty() && !sends_large {
            return None;
        }
        let mut batch = match self.full.pop_front() {
            Some(batch) => batch,
            // An empty open batch stays where it is, with its capacity.
            None if self.open.is_empty() => Batch::default(),
            None => self.take_open(),
        };
        self.returns -= batch.returns;
        self.queued_bytes -= batch.len();
        if sends_large {
            self.streams_first = !self.streams_first;
            if self.streams_first {
                self.append_streams(&mut batch, STREAM_BYTES);
            }
            // A batch that is long enough already, because of a large frame, gets no chunk.
            if batch.len() <= 2 * BATCH_BYTES {
                self.append_chunk(&mut batch);
            }
            if !self.streams_first {
                self.append_streams(&mut batch, STREAM_BYTES);
            }
        }
        if batch.is_empty() {
            return None;
        }
        self.popped += 1;
        self.sent_bytes = self.sent_bytes.saturating_add(batch.len());
        Some(batch.into_message())
    }

    /// Adds a chunk of the payload that has waited longest, among those whose frame has left or is in this message.
    fn append_chunk(&mut self, batch: &mut Batch) {
        let Some(index) = self.large.iter().position(|large| large.announced_in <= self.popped) else {
            return;
        };
        let Some(mut large) = self.large.remove(index) else { return };
        // A batch that ends with a long payload leaves less room.
        let room = MESSAGE_BYTES.saturating_sub(batch.len() + CHUNK_HEAD_BYTES).max(1);
        let chunk = large.payload.cut(CHUNK_BYTES.min(room));
        self.queued_bytes -= chunk.len();
        self.pinned.cut(chunk.len());
        batch.put(|out| {
            write::put_chunk_head(out.bytes(), large.id, large.of_return, chunk.len());
            chunk.put(out);
        });
        if large.payload.left() > 0 {
            return self.large.push_back(large);
        }
        self.pinned.ended(&large.payload);
        if !large.of_return {
            self.arguments_in_chunks -= 1;
            self.arguments_sent.push(large.id);
        }
    }
}
