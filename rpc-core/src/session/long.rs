//! Long payloads on their way out: arguments, results and items of streams are cut into chunks here.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::buffer::{
    message::{Message, Out},
    small_bytes::SmallBytes,
};

/// A payload that leaves in chunks.
#[derive(Debug)]
pub(crate) struct Long {
    /// Copied into the message; the rest is not copied.
    head: SmallBytes,
    rest: Bytes,
    /// The length of the payload.
    whole: usize,
}

/// The bytes of one chunk.
pub(crate) struct Chunk {
    head: SmallBytes,
    rest: Bytes,
}

impl Long {
    pub(crate) fn new(head: SmallBytes, rest: Bytes) -> Self {
        let whole = head.len() + rest.len();
        Self { head, rest, whole }
    }

    /// Bytes that have not been cut off yet.
    pub(crate) fn left(&self) -> usize {
        self.head.len() + self.rest.len()
    }

    /// Cuts off the next `length` bytes, or fewer if fewer are left.
    pub(crate) fn cut(&mut self, length: usize) -> Chunk {
        let of_head = length.min(self.head.len());
        let following = self.head.part(of_head..self.head.len());
        let mut head = std::mem::replace(&mut self.head, following);
        if !self.head.is_empty() {
            head = head.part(0..of_head);
        }
        let of_rest = (length - of_head).min(self.rest.len());
        Chunk { head, rest: self.rest.split_to(of_rest) }
    }
}

impl From<SmallBytes> for Long {
    fn from(bytes: SmallBytes) -> Self {
        let (head, rest) = bytes.pieces();
        Self::new(SmallBytes::copy_from_slice(head), rest.cloned().unwrap_or_default())
    }
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.rest.len()
    }

    /// Writes the chunk behind its head.
    pub(crate) fn put(&self, message: &mut Message) {
        message.bytes().extend_from_slice(&self.head);
        message.put_long(&self.rest);
    }
}

/// Counts the memory of long payloads whose bytes are sent already. An allocation is freed as a whole, once the socket has
/// written the last chunk of it.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    bytes: usize,
    /// Bytes of payloads that ended since the last look.
    ended: usize,
    /// Payloads that ended before: the bytes the session had handed out by then, and the bytes they pin.
    leaving: VecDeque<(usize, usize)>,
}

impl Pinned {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts a chunk of `length` bytes that was cut off a payload.
    pub(crate) fn cut(&mut self, length: usize) {
        self.bytes += length;
    }

    /// Takes note that nothing more will be cut off a payload.
    pub(crate) fn ended(&mut self, long: &Long) {
        self.ended += long.whole - long.left();
    }

    /// Frees payloads that have left the socket: of `sent` bytes that the session handed out, it still has the last `waiting`.
    #[inline]
    pub(crate) fn flushed(&mut self, sent: usize, waiting: usize) {
        if self.bytes > 0 {
            self.let_go(sent, waiting);
        }
    }

    fn let_go(&mut self, sent: usize, waiting: usize) {
        if self.ended > 0 {
            self.leaving.push_back((sent, std::mem::take(&mut self.ended)));
        }
        while let Some((at, pinned)) = self.leaving.front().copied()
            && at.saturating_add(waiting) <= sent
        {
            self.bytes -= pinned;
            self.leaving.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(long: &mut Long, length: usize) -> Vec<u8> {
        let mut message = Message::default();
        let chunk = long.cut(length);
        chunk.put(&mut message);
        let bytes = message.into_bytes();
        assert_eq!(bytes.len(), chunk.len());
        bytes
    }

    #[test]
    fn a_payload_is_cut_in_its_head_and_behind_it() {
        let head = SmallBytes::from(vec![1; 5]);
        for length in 1..9 {
            let mut long = Long::new(head.clone(), Bytes::from_static(&[2, 3, 4]));
            let mut whole = Vec::new();
            while long.left() > 0 {
                let before = long.left();
                let bytes = cut(&mut long, length);
                assert_eq!(bytes.len(), length.min(before));
                whole.extend(bytes);
            }
            assert_eq!((whole, long.whole), (vec![1, 1, 1, 1, 1, 2, 3, 4], 8), "{length}");
        }
    }

    #[test]
    fn memory_is_pinned_until_the_socket_lets_go_of_the_last_chunk() {
        let mut pinned = Pinned::default();
        let [mut first, mut second] = [100, 60].map(|length| Long::from(SmallBytes::from(vec![0; length])));
        for long in [&mut first, &mut second] {
            cut(long, 50);
            pinned.cut(50);
        }
        assert_eq!(pinned.bytes(), 100);
        cut(&mut first, 50);
        pinned.cut(50);
        pinned.ended(&first);
        pinned.flushed(150, 150);
        // Given up, with ten bytes that were never sent.
        pinned.ended(&second);
        pinned.flushed(200, 60);
        assert_eq!(pinned.bytes(), 150);
        pinned.flushed(200, 50);
        assert_eq!(pinned.bytes(), 50);
        pinned.flushed(200, 0);
        assert_eq!(pinned.bytes(), 0);
    }
}
