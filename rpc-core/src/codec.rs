//! The codec: values to payload bytes and back. Only this folder names bincode; `codec/decode.rs` guards its decoder.
//!
//! The format is bincode's `standard()` configuration. Encoding (`codec/encode.rs`) writes it straight into the caller's
//! buffer; tests compare the bytes with bincode's own.
//! Decoding drives bincode's borrowed primitives (integers, floats, characters, slices) from a serde deserializer of our own,
//! because bincode's trusts every length it reads. No payload can make [`decode`] panic, overflow the stack, loop or allocate
//! without bound: a [`DecodeBudget`] bounds its cost.
//!
//! The whole format (golden vectors in the tests pin it):
//!
//! | value | bytes |
//! |---|---|
//! | `u8`, `i8` | one byte |
//! | other unsigned integers, lengths, variant indices | varint: below 251 one byte; else 251, 252, 253 or 254 and 2, 4, 8 or 16 bytes, little-endian |
//! | other signed integers | zigzag, then as unsigned |
//! | `f32`, `f64` | 4 or 8 bytes, little-endian |
//! | `bool`, option tag | one byte, 0 or 1 |
//! | `char` | its UTF-8 bytes |
//! | string, bytes | length, then the bytes |
//! | sequence, map | length, then the elements, or each key and its value |
//! | tuple, array, struct | the fields; no names, no count |
//! | newtype struct | the field; nothing around it |
//! | enum | variant index, then the variant's fields |
//! | unit, unit struct | nothing |

use std::{any::Any, cell::Cell, ops::Range};

use bincode::{
    config::{self},
    de::DecoderImpl,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    buffer::{message::LONG_BYTES, small_bytes::SmallBytes},
    codec::decode::{Guard, Rejected, Source, Unread},
    error::{DecodeError, EncodeError},
    limits::{DECODE_DEPTH_MAX, Limits},
};

pub(crate) use encode::{encode_up_to, encode_within};

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod walk;

/// The memory that every payload may take, whatever its length, so that a short one may hold a value with many defaults.
const ALLOWANCE_BYTES: usize = 4 << 10;
/// The memory that each client and stream beside a payload may take.
const OBJECT_BYTES: usize = 256;

/// The shortest payload whose decoded memory is counted.
pub(crate) const COUNTED_BYTES_MIN: usize = 64;

thread_local! {
    /// The memory of the values decoded on this thread since the last [`forget_decoded`], without the bytes that they copied.
    static DECODED: Cell<usize> = const { Cell::new(0) };
}

/// The memory of the values decoded on this thread since the last call, without the bytes that they copied. Resets the count.
pub(crate) fn forget_decoded() -> usize {
    DECODED.take()
}

/// Appends the encoded value to `out`. After an error, `out` is unchanged.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_within(value, DECODE_DEPTH_MAX, out)
}

/// The most that decoding one payload may cost.
///
/// - Depth: every option, sequence, tuple, map, struct, newtype and enum entered is a level.
/// - Memory: `factor` × the payload's length, plus a small allowance. An element of a sequence or map is charged the
///   size of its value, and a value too large to lie inside the one around it (it is in a `Box`) its own. Strings and
///   byte buffers are copies of payload bytes and free. What collections add (spare capacity, buckets, tree nodes)
///   is not seen; it is at most a small multiple. A collection may ask for space for all its elements before the first
///   is charged; serde's own limit for that, 1 MiB, is the most by which one payload exceeds its budget.
/// - Zero-sized elements cost no memory but time, so they are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodeBudget {
    pub(crate) depth_max: usize,
    pub(crate) factor: usize,
    pub(crate) zero_sized_max: usize,
}

impl From<&Limits> for DecodeBudget {
    fn from(limits: &Limits) -> Self {
        Self {
            depth_max: limits.decode_depth_max,
            factor: limits.decode_budget_factor,
            zero_sized_max: limits.decode_zero_sized_max,
        }
    }
}

/// Decodes one value that fills `bytes` exactly, within `budget`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], budget: DecodeBudget) -> Result<T, DecodeError> {
    decode_beside(0, bytes, budget)
}

/// Decodes a value beside a table of `objects` clients and streams. Each raises the budget: it takes a byte or two in the
/// payload, and much more as a value.
#[inline(always)]
pub(crate) fn decode_beside<T: DeserializeOwned>(
    objects: usize,
    bytes: &[u8],
    budget: DecodeBudget,
) -> Result<T, DecodeError> {
    let allowance = ALLOWANCE_BYTES.saturating_add(objects.saturating_mul(OBJECT_BYTES));
    let memory = budget.factor.saturating_mul(bytes.len()).saturating_add(allowance);
    let mut source = Source {
        decoder: DecoderImpl::new(Unread(bytes), config::standard(), ()),
        memory_left: memory,
        zero_sized_left: budget.zero_sized_max,
        depth_max: budget.depth_max,
    };
    let guard = Guard { source: &mut source, depth_left: budget.depth_max, room: size_of::<T>() };
    let value = T::deserialize(guard).map_err(|Rejected(error)| *error)?;
    if bytes.len() >= COUNTED_BYTES_MIN {
        DECODED.set(DECODED.get().saturating_add(memory - source.memory_left));
    }
    match source.unread() {
        0 => Ok(value),
        trailing => Err(DecodeError::Trailing(trailing)),
    }
}

/// If the value is a long byte string: the head that the codec writes before it, and the bytes, which need no encoding.
pub(crate) fn long_byte_string<T: 'static>(value: &T) -> Option<(Vec<u8>, Bytes)> {
    let bytes = (value as &dyn Any).downcast_ref::<Bytes>().filter(|bytes| bytes.len() >= LONG_BYTES)?;
    let mut head = Vec::with_capacity(10);
    encode(&(bytes.len() as u64), &mut head).ok()?;
    Some((head, bytes.clone()))
}

/// The byte string that fills a range exactly, without decoding it byte by byte. It shares the bytes if it has at least
/// `shared_min`, and copies them otherwise.
pub(crate) fn byte_string(
    bytes: &SmallBytes,
    range: Range<usize>,
    shared_min: usize,
) -> Result<Bytes, DecodeError> {
    let budget = DecodeBudget { depth_max: 1, factor: 0, zero_sized_max: 0 };
    let head = &bytes[range.clone()];
    let head_length = match head.first() {
        None => return Err(DecodeError::Truncated),
        Some(0..=250) => 1,
        Some(251) => 3,
        Some(252) => 5,
        Some(_) => 9,
    };
    let length = decode::<u64>(head.get(..head_length).ok_or(DecodeError::Truncated)?, budget)?;
    let start = range.start + head_length;
    match usize::try_from(length).ok().and_then(|length| start.checked_add(length)) {
        Some(end) if end == range.end && end - start >= shared_min => Ok(bytes.part(start..end).into_bytes()),
        Some(end) if end == range.end => Ok(Bytes::copy_from_slice(&bytes[start..end])),
        Some(end) if end < range.end => Err(DecodeError::Trailing(range.end - end)),
        _ => Err(DecodeError::Truncated),
    }
}

#[cfg(test)]
mod tests; // codec/tests.rs: editing tests does not rebuild the library
