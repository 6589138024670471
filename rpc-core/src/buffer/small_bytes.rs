//! Byte strings for encoded values, most of which are short.

use std::{
    cell::Cell,
    fmt,
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

/// The most bytes that are stored inside the value itself.
const INLINE: usize = 46;
/// A scratch buffer with more bytes than this becomes the value itself, instead of being copied out of.
const SCRATCH_BYTES: usize = 4 << 10;
/// A scratch buffer of at least this length is shrunk before it becomes a value.
const SHRUNK_BYTES: usize = 128 << 10;

/// A byte string that is shared if it is long and copied if it is short. A short one costs no allocation, and no reference
/// count that threads would pass back and forth.
#[derive(Clone)]
pub(crate) struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { length: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
    Joined(Arc<Joined>),
}

/// A value whose last part is a byte string that was not copied.
struct Joined {
    head: Vec<u8>,
    tail: Bytes,
    /// Head and tail in one piece, copied when first needed.
    whole: OnceLock<Bytes>,
}

impl Joined {
    fn whole(&self) -> &Bytes {
        self.whole.get_or_init(|| [&self.head[..], &self.tail].concat().into())
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl SmallBytes {
    pub(crate) fn copy_from_slice(slice: &[u8]) -> Self {
        Self::inline(slice).unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(slice))))
    }

    /// A value of two parts. The second part is copied only if somebody reads the value as one slice.
    pub(crate) fn joined(head: &[u8], tail: Bytes) -> Self {
        Self(Repr::Joined(Arc::new(Joined { head: head.to_vec(), tail, whole: OnceLock::new() })))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { length, .. } => usize::from(*length),
            Repr::Shared(bytes) => bytes.len(),
            Repr::Joined(joined) => joined.head.len() + joined.tail.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part that is copied when the value is sent, and the part that is not.
    pub(crate) fn pieces(&self) -> (&[u8], Option<&Bytes>) {
        match &self.0 {
            Repr::Inline { .. } => (self, None),
            Repr::Shared(bytes) => (&[], Some(bytes)),
            Repr::Joined(joined) => (&joined.head, Some(&joined.tail)),
        }
    }

    /// A part of these bytes; a long one shares them.
    ///
    /// # Panics
    /// If the range is out of bounds.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self::inline(&self[range.clone()]).unwrap_or_else(|| match &self.0 {
            // A part of an inline value fits inline.
            Repr::Inline { .. } => Self::default(),
            Repr::Shared(bytes) => Self(Repr::Shared(bytes.slice(range))),
            Repr::Joined(joined) => Self(Repr::Shared(joined.whole().slice(range))),
        })
    }

    /// The bytes that `encode` appends to an empty buffer.
    pub(crate) fn encode<E>(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut scratch = Self::scratch();
        encode(&mut scratch)?;
        Ok(Self::from_scratch(scratch))
    }

    /// An empty buffer to encode into, with room from its last use. [`from_scratch`](Self::from_scratch) gives it back. A second
    /// one taken before that, as by a `Serialize` that makes calls, is a new buffer.
    pub(crate) fn scratch() -> Vec<u8> {
        let mut scratch = SCRATCH.take();
        scratch.clear();
        scratch
    }

    pub(crate) fn from_scratch(mut scratch: Vec<u8>) -> Self {
        if scratch.len() > SCRATCH_BYTES {
            // The buffer grew by doubling and may live long. At this length, shrinking gives pages back without a copy.
            if scratch.len() >= SHRUNK_BYTES {
                scratch.shrink_to_fit();
            }
            return Self(Repr::Shared(scratch.into()));
        }
        let bytes = Self::copy_from_slice(&scratch);
        SCRATCH.set(scratch);
        bytes
    }

    fn inline(slice: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..slice.len())?.copy_from_slice(slice);
        Some(Self(Repr::Inline { length: u8::try_from(slice.len()).ok()?, bytes }))
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { length, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(length)]),
            Repr::Shared(bytes) => bytes,
            Repr::Joined(joined) => joined.whole().clone(),
        }
    }

    /// Copies the bytes out of the message that they share, if they are fewer than `worth_keeping`: they would keep all of it
    /// in memory.
    pub(crate) fn leave_message(&mut self, worth_keeping: usize) {
        if let Repr::Shared(bytes) = &mut self.0
            && bytes.len() < worth_keeping
        {
            *bytes = Bytes::copy_from_slice(bytes);
        }
    }
}

impl Default for SmallBytes {
    fn default() -> Self {
        Self(Repr::Inline { length: 0, bytes: [0; INLINE] })
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Repr::Shared(bytes) => bytes,
            Repr::Joined(joined) => joined.whole(),
        }
    }
}

impl From<Bytes> for SmallBytes {
    fn from(bytes: Bytes) -> Self {
        Self::inline(&bytes).unwrap_or(Self(Repr::Shared(bytes)))
    }
}

impl From<Vec<u8>> for SmallBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::inline(&bytes).unwrap_or_else(|| Self(Repr::Shared(bytes.into())))
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SmallBytes {}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Bytes::copy_from_slice(self), f)
    }
}

#[cfg(test)]
mod tests;
