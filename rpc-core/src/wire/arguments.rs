//! Arguments of a call: a count, and as many slots one behind the other.

use std::ops::Range;

use super::{
    CallId,
    varint::{put_varint, sized_at, varint_at},
    write::{put_id, put_path, put_sized},
};
use crate::{buffer::small_bytes::SmallBytes, error::Violation, path::Path, wire::read::FrameReader};

/// Begins a list of arguments, with a count of zero.
#[inline]
pub(crate) fn begin(payload: &mut Vec<u8>) {
    payload.push(0);
}

/// Counts one more argument. The count is a single byte: there are at most [`SLOTS_MAX`] arguments.
#[inline]
pub(crate) fn count_one(payload: &mut [u8]) {
    payload[0] += 1;
}

/// The number of arguments counted so far.
pub(crate) fn counted(payload: &[u8]) -> u8 {
    payload[0]
}

/// The offset of the first argument.
pub(crate) fn first(payload: &[u8]) -> usize {
    varint_at(payload, 0).map_or(payload.len(), |(_, first)| first)
}

/// The number of arguments, if all are inline, well formed, and no bytes follow them.
pub(crate) fn all_inline(payload: &[u8]) -> Option<usize> {
    let (count, first) = varint_at(payload, 0)?;
    let count = usize::try_from(count).ok().filter(|count| *count <= SLOTS_MAX)?;
    let mut at = first;
    for _ in 0..count {
        at = inline_value(payload, at)?.end;
    }
    (at == payload.len()).then_some(count)
}

/// The range of the value of the inline slot at `at`; the slot ends where its value ends.
#[inline]
pub(crate) fn inline_value(payload: &[u8], at: usize) -> Option<Range<usize>> {
    if *payload.get(at)? != 0 {
        return None;
    }
    sized_at(payload, at + 1)
}

/// Appends an inline slot whose value `encode` writes.
pub(crate) fn put_inline<E>(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.push(0);
    put_sized(out, encode).map(drop).inspect_err(|_| out.truncate(out.len() - 1))
}

/// Appends an inline slot whose value is `head` and `following` more bytes, which the caller appends.
pub(crate) fn put_inline_head(out: &mut Vec<u8>, head: &[u8], following: usize) {
    out.push(0);
    put_varint(out, (head.len() + following) as u64);
    out.extend_from_slice(head);
}

/// Appends a slot that refers to the part at `path` of the result of `base`.
pub(crate) fn put_reference(out: &mut Vec<u8>, base: CallId, path: &Path, as_some: bool) {
    out.push(if as_some { 2 } else { 1 });
    put_id(out, base);
    put_path(out, path);
}

/// Begins a tuple of `count` slots.
pub(crate) fn put_tuple(out: &mut Vec<u8>, count: usize) {
    out.push(3);
    put_varint(out, count as u64);
}

/// Reads packed items, one behind the other, of a frame that was checked.
#[derive(Debug, Default)]
pub(crate) struct ItemReader {
    bytes: SmallBytes,
    at: usize,
}

impl ItemReader {
    pub(crate) fn new(bytes: SmallBytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// The range of the next item in [`bytes`](Self::bytes).
    pub(crate) fn next_range(&mut self) -> Option<Range<usize>> {
        let item = sized_at(&self.bytes, self.at)?;
        self.at = item.end;
        Some(item)
    }

    pub(crate) fn bytes(&self) -> &SmallBytes {
        &self.bytes
    }

    /// The items that were not read.
    pub(crate) fn into_rest(self) -> SmallBytes {
        self.bytes.part(self.at..self.bytes.len())
    }
}

/// One received argument, of a call or of a step of a program; `R` is what it may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot<R> {
    Inline(SmallBytes),
    Reference(R),
    Tuple(Vec<Slot<R>>),
}

impl<R> Slot<R> {
    /// Number of slots: this one and its parts.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Inline(_) | Self::Reference(_) => 1,
            Self::Tuple(parts) => 1 + parts.len(),
        }
    }

    /// Replaces each reference by what `each` makes of it.
    pub(crate) fn try_map<S, E>(self, each: &mut impl FnMut(R) -> Result<S, E>) -> Result<Slot<S>, E> {
        Ok(match self {
            Self::Inline(bytes) => Slot::Inline(bytes),
            Self::Reference(reference) => Slot::Reference(each(reference)?),
            Self::Tuple(parts) => {
                Slot::Tuple(parts.into_iter().map(|part| part.try_map(each)).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// A slot that refers to a part of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) base: CallId,
    pub(crate) path: Path,
    pub(crate) as_some: bool,
}

/// The most slots that a call or a tuple may have; the macro accepts no more arguments.
pub(crate) const SLOTS_MAX: usize = 64;

/// A call's arguments.
pub(crate) struct ArgumentList {
    pub(crate) slots: Vec<Slot<Reference>>,
}

impl ArgumentList {
    pub(crate) fn parse(payload: impl Into<SmallBytes>) -> Result<Self, Violation> {
        let mut reader = FrameReader::new(payload);
        let count = reader.length()?;
        if count > SLOTS_MAX {
            return Err(reader.malformed("too many arguments"));
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            slots.push(reader.slot(true, &mut FrameReader::reference)?);
        }
        if reader.at != reader.message.len() {
            return Err(reader.malformed("bytes after the last argument"));
        }
        Ok(Self { slots })
    }
}

impl FrameReader {
    /// Reads one argument. `reference` reads a reference; its flag says whether the value is passed as `Some`.
    pub(super) fn slot<R>(
        &mut self,
        tuple_allowed: bool,
        reference: &mut impl FnMut(&mut Self, bool) -> Result<R, Violation>,
    ) -> Result<Slot<R>, Violation> {
        Ok(match self.byte()? {
            0 => Slot::Inline(self.bytes()?),
            tag @ (1 | 2) => Slot::Reference(reference(self, tag == 2)?),
            3 if tuple_allowed => {
                let count = self.length()?;
                if count > SLOTS_MAX {
                    return Err(self.malformed("too many slots in a tuple"));
                }
                Slot::Tuple((0..count).map(|_| self.slot(false, reference)).collect::<Result<_, _>>()?)
            }
            _ => return Err(self.malformed("an unknown argument slot")),
        })
    }

    fn reference(&mut self, as_some: bool) -> Result<Reference, Violation> {
        Ok(Reference { base: self.id()?, path: self.path()?, as_some })
    }
}
