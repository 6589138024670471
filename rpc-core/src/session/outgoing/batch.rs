//! A batch: the frames that one message will carry.

use crate::{
    buffer::message::{Message, Out},
    wire::{Frame, write},
};

/// The frames of one message. Every frame, of calls, answers, streams and chunks, is written by [`put`](Self::put).
#[derive(Default)]
pub(in crate::session) struct Batch {
    message: Message,
    /// The number of Returns among the frames.
    pub(super) returns: usize,
    #[cfg(test)]
    frames: usize,
}

impl Batch {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { message: Message::with_capacity(bytes), ..Self::default() }
    }

    /// Appends the frame that `write` writes.
    pub(in crate::session) fn put(&mut self, write: impl FnOnce(&mut Message)) {
        #[cfg(test)]
        (self.frames += 1);
        write(&mut self.message);
    }

    /// Appends a frame.
    pub(in crate::session) fn put_frame(&mut self, frame: &Frame) {
        self.put(|out| write::put_frame(out, frame));
    }

    /// Appends the frames of another batch.
    pub(super) fn append(&mut self, other: Self) {
        #[cfg(test)]
        (self.frames += other.frames);
        self.returns += other.returns;
        self.message.append(&other.message);
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.message.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.message.is_empty()
    }

    /// The length of the batch without byte strings that are not copied into it.
    pub(super) fn copied_bytes(&mut self) -> usize {
        self.message.bytes().len()
    }

    /// The message that carries the batch.
    pub(super) fn into_message(self) -> Message {
        #[cfg(test)]
        assert_eq!(self.frames, frames(&self.message), "frames that were not put");
        self.message
    }
}

/// The number of frames that the peer reads in a message.
#[cfg(test)]
fn frames(message: &Message) -> usize {
    let bytes = bytes::Bytes::from(message.clone().into_bytes());
    let mut reader = crate::wire::read::FrameReader::new(bytes);
    std::iter::from_fn(|| reader.next_frame().expect("this side's frames can be read")).count()
}
