//! Encoded values, most of which are short.

use std::{
    cell::Cell,
    fmt,
    ops::{Deref, Range},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

/// What lies inside the value itself.
const INLINE: usize = 46;
/// A buffer that has grown beyond this is given away with what was encoded into it, not copied out of.
const SCRATCH_BYTES: usize = 4 << 10;
/// A longer one keeps no room for more.
const SHRUNK_BYTES: usize = 128 << 10;

/// Bytes that are shared when they are many and copied when they are few: a short value costs no allocation, and no
/// count of references that threads would pass back and forth.
#[derive(Clone)]
pub(crate) struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { length: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
    Joined(Arc<Joined>),
}

/// A value that ends with a byte string that was not copied.
struct Joined {
    head: Vec<u8>,
    tail: Bytes,
    /// Both, copied for who wants them in one piece.
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

    /// One value of two parts, the second of which is not copied as long as nobody looks at the value as a slice.
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

    /// What is copied when it is sent, and what is not.
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
            // A part of what fits inside fits inside.
            Repr::Inline { .. } => Self::default(),
            Repr::Shared(bytes) => Self(Repr::Shared(bytes.slice(range))),
            Repr::Joined(joined) => Self(Repr::Shared(joined.whole().slice(range))),
        })
    }

    /// What `encode` appends to an empty buffer.
    pub(crate) fn encode<E>(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut scratch = Self::scratch();
        encode(&mut scratch)?;
        Ok(Self::from_scratch(scratch))
    }

    /// An empty buffer to encode into, with room from its last use; given back by [`from_scratch`](Self::from_scratch).
    /// Who takes one while another is out, as a `Serialize` that makes calls does, gets a new one.
    pub(crate) fn scratch() -> Vec<u8> {
        let mut scratch = SCRATCH.take();
        scratch.clear();
        scratch
    }

    pub(crate) fn from_scratch(mut scratch: Vec<u8>) -> Self {
        if scratch.len() > SCRATCH_BYTES {
            // It grew by doubling, and is kept for long. So long a buffer gives back its pages without being copied.
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

    /// Lets go of the message that a part of it would keep whole, if that is much longer than the part.
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
