//! Values to payload bytes and back: the only module that names bincode, and the guard around its decoder.
//!
//! The format is bincode's `standard()` configuration. Encoding (`codec/encode.rs`) writes it straight into the caller's
//! buffer; tests hold it against bincode's own.
//! Decoding drives bincode's borrowed primitives (integers, floats, characters, slices) from a serde deserializer of
//! our own, because bincode's trusts every length it reads. Nothing in a payload can make [`decode`] panic, overflow
//! the stack, loop or allocate without bound: what a payload may cost is a [`DecodeBudget`].
//!
//! What bincode's format is, in full (golden vectors in the tests pin it):
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

use std::{any::Any, cell::Cell, fmt, ops::Range, str::Utf8Error};

use bincode::{
    config::{self, Configuration},
    de::{
        BorrowDecode, BorrowDecoder, Decode, DecoderImpl,
        read::{BorrowReader, Reader},
    },
    error::DecodeError as BincodeDecodeError,
};
use bytes::Bytes;
use serde::{
    Serialize,
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
        VariantAccess, Visitor,
    },
};

use crate::{
    buffer::{message::LONG_BYTES, small_bytes::SmallBytes},
    error::{DecodeError, EncodeError},
    limits::{DECODE_DEPTH_MAX, Limits},
};

pub(crate) use encode::encode_within;

mod encode;
pub(crate) mod walk;

/// Memory every payload may take whatever its length, so that a short one may hold a value with many defaults.
const ALLOWANCE_BYTES: usize = 4 << 10;
/// The same for each client and stream beside it.
const OBJECT_BYTES: usize = 256;

/// What shorter payloads take is not counted.
pub(crate) const COUNTED_BYTES_MIN: usize = 64;

thread_local! {
    /// What values took that were decoded on this thread since somebody asked, beside the bytes that they copied.
    static DECODED: Cell<usize> = const { Cell::new(0) };
}

/// That, counted anew from here on.
pub(crate) fn forget_decoded() -> usize {
    DECODED.take()
}

/// The only byte of an encoded `None`.
const NONE: u8 = 0;
/// The byte before the value inside an encoded `Some`.
pub(crate) const SOME: u8 = 1;

/// Appends the encoded value to `out`. After an error `out` is what it was before.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_within(value, DECODE_DEPTH_MAX, out)
}

/// What decoding one payload may cost.
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

/// The same of a value beside a table of so many clients and streams: each is a byte or two in the payload, and much more
/// as a value.
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

/// If the value is a long byte string: what the codec writes before its bytes, and these, which need not be looked at.
pub(crate) fn long_byte_string<T: 'static>(value: &T) -> Option<(Vec<u8>, Bytes)> {
    let bytes = (value as &dyn Any).downcast_ref::<Bytes>().filter(|bytes| bytes.len() >= LONG_BYTES)?;
    let mut head = Vec::with_capacity(10);
    encode(&(bytes.len() as u64), &mut head).ok()?;
    Some((head, bytes.clone()))
}

/// The byte string that fills a range exactly, without looking at its bytes. It shares them if it is `shared_min` long.
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

/// The part of the payload that is not decoded yet.
struct Unread<'de>(&'de [u8]);

impl Reader for Unread<'_> {
    #[inline(always)]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), BincodeDecodeError> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }

    #[inline(always)]
    fn peek_read(&mut self, length: usize) -> Option<&[u8]> {
        self.0.get(..length)
    }

    #[inline(always)]
    fn consume(&mut self, length: usize) {
        self.0 = self.0.get(length..).unwrap_or_default();
    }
}

impl<'de> BorrowReader<'de> for Unread<'de> {
    #[inline(always)]
    fn take_bytes(&mut self, length: usize) -> Result<&'de [u8], BincodeDecodeError> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(BincodeDecodeError::UnexpectedEnd { additional: length - self.0.len() });
        };
        self.0 = rest;
        Ok(taken)
    }
}

/// The payload and what is left of its budget.
struct Source<'de> {
    decoder: DecoderImpl<Unread<'de>, Configuration, ()>,
    memory_left: usize,
    zero_sized_left: usize,
    depth_max: usize,
}

impl<'de> Source<'de> {
    #[inline(always)]
    fn primitive<T: Decode<()>>(&mut self) -> Result<T, Rejected> {
        T::decode(&mut self.decoder).map_err(Rejected::from)
    }

    /// A length, and so many bytes. Called by all types that have strings, which then stay small enough to be inlined.
    #[inline(never)]
    fn slice(&mut self) -> Result<&'de [u8], Rejected> {
        BorrowDecode::borrow_decode(&mut self.decoder).map_err(Rejected::from)
    }

    #[inline(always)]
    fn unread(&mut self) -> usize {
        self.decoder.borrow_reader().0.len()
    }

    #[inline(always)]
    fn charge(&mut self, bytes: usize) -> Result<(), Rejected> {
        self.memory_left = self.memory_left.checked_sub(bytes).ok_or_else(Rejected::over_budget)?;
        Ok(())
    }

    #[inline(always)]
    fn charge_zero_sized(&mut self, count: usize) -> Result<(), Rejected> {
        self.zero_sized_left = self.zero_sized_left.checked_sub(count).ok_or_else(Rejected::over_budget)?;
        Ok(())
    }
}

/// Deserializes one value from the source, at one level of nesting.
struct Guard<'a, 'de> {
    source: &'a mut Source<'de>,
    depth_left: usize,
    /// Bytes already paid for where the value will lie. A larger value lies elsewhere and is charged.
    room: usize,
}

impl<'a, 'de> Guard<'a, 'de> {
    /// Enters a value that holds others, `T` being its type.
    #[inline(always)]
    fn enter<T>(self) -> Result<Self, Rejected> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return Err(DecodeError::TooDeep(self.source.depth_max).into());
        };
        if size_of::<T>() > self.room {
            self.source.charge(size_of::<T>())?;
        }
        Ok(Guard { source: self.source, depth_left, room: size_of::<T>() })
    }

    #[inline(always)]
    fn fields(self, count: usize) -> Fields<'a, 'de> {
        Fields { source: self.source, depth_left: self.depth_left, left: count }
    }

    #[inline(always)]
    fn elements(self) -> Result<Elements<'a, 'de>, Rejected> {
        let left = self.source.primitive::<usize>()?;
        let hint = left.min(self.source.unread());
        Ok(Elements { source: self.source, depth_left: self.depth_left, left, hint, prepaid: 0, unit: 0 })
    }
}

macro_rules! primitives {
    ($($deserialize:ident $visit:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
            visitor.$visit(self.source.primitive::<$type>()?)
        }
    )*};
}

macro_rules! not_in_bincode {
    ($($deserialize:ident $what:literal;)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Rejected> {
            Err(Rejected::invalid(concat!("the type reads ", $what, ", which bincode does not carry")))
        }
    )*};
}

impl<'de> Deserializer<'de> for Guard<'_, 'de> {
    type Error = Rejected;

    primitives! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
        deserialize_char visit_char char;
    }

    // Owned strings and buffers are read as borrowed slices too: the slice proves that the bytes are there before
    // anything is allocated for them.

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_borrowed_str(str::from_utf8(self.source.slice()?)?)
    }

    /// Checked after it was copied: where words are aligned, that is several times as fast for a short string.
    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        let copy = self.source.slice()?.to_vec();
        visitor.visit_string(String::from_utf8(copy).map_err(|error| error.utf8_error())?)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_borrowed_bytes(self.source.slice()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        self.deserialize_bytes(visitor)
    }

    not_in_bincode! {
        deserialize_any "a value of any type";
        deserialize_ignored_any "and ignores a value of any type";
        deserialize_identifier "a field name";
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        let guard = self.enter::<V::Value>()?;
        match guard.source.primitive::<u8>()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(guard),
            other => Err(Rejected::invalid(format!("{other} where an option has 0 or 1"))),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        visitor.visit_newtype_struct(self.enter::<V::Value>()?)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_seq(self.enter::<V::Value>()?.elements()?)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_map(self.enter::<V::Value>()?.elements()?)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_seq(self.enter::<V::Value>()?.fields(len))
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        self.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        visitor.visit_enum(self.enter::<V::Value>()?)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'de> EnumAccess<'de> for Guard<'_, 'de> {
    type Error = Rejected;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Rejected> {
        let index = self.source.primitive::<u32>()?;
        let variant = seed.deserialize(IntoDeserializer::<Rejected>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Guard<'_, 'de> {
    type Error = Rejected;

    #[inline]
    fn unit_variant(self) -> Result<(), Rejected> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Rejected> {
        seed.deserialize(Guard { room: size_of::<S::Value>(), ..self })
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Rejected> {
        visitor.visit_seq(self.fields(len))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Rejected> {
        visitor.visit_seq(self.fields(fields.len()))
    }
}

/// The fields of a tuple, array, struct or variant. Their count comes from the type, so they cost nothing.
struct Fields<'a, 'de> {
    source: &'a mut Source<'de>,
    depth_left: usize,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Rejected;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Rejected> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let room = size_of::<S::Value>();
        seed.deserialize(Guard { source: self.source, depth_left: self.depth_left, room }).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a sequence or the entries of a map, whose count the payload claims.
struct Elements<'a, 'de> {
    source: &'a mut Source<'de>,
    depth_left: usize,
    left: usize,
    /// What the collection may be told to make room for: never more elements than bytes remained at the start.
    hint: usize,
    /// Elements charged in advance, and how much each: the collection may have made room for `hint` of them.
    prepaid: usize,
    unit: usize,
}

impl<'de> Elements<'_, 'de> {
    /// Counts the next element off; `None` at the end.
    #[inline(always)]
    fn next(&mut self, size: usize) -> Result<Option<()>, Rejected> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        if self.unit == 0 && size > 0 {
            self.prepay(size)?;
        }
        self.left = left;
        if size == 0 {
            self.source.charge_zero_sized(1)?;
        } else if self.prepaid > 0 {
            self.prepaid -= 1;
            self.source.charge(size.saturating_sub(self.unit))?;
        } else {
            self.source.charge(size)?;
        }
        Ok(Some(()))
    }

    #[inline]
    fn prepay(&mut self, size: usize) -> Result<(), Rejected> {
        self.unit = size;
        self.prepaid = self.hint;
        self.source.charge(self.hint.saturating_mul(size))
    }

    #[inline(always)]
    fn guard(&mut self, room: usize) -> Guard<'_, 'de> {
        Guard { source: self.source, depth_left: self.depth_left, room }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Rejected;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Rejected> {
        let size = size_of::<S::Value>();
        let Some(()) = self.next(size)? else { return Ok(None) };
        seed.deserialize(self.guard(size)).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.hint))
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Rejected;

    #[inline(always)]
    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, Rejected> {
        let Some(()) = self.next(size_of::<K::Value>() + size_of::<V::Value>())? else { return Ok(None) };
        let key = key.deserialize(self.guard(size_of::<K::Value>()))?;
        let value = value.deserialize(self.guard(size_of::<V::Value>()))?;
        Ok(Some((key, value)))
    }

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Rejected> {
        let size = size_of::<K::Value>();
        let Some(()) = self.next(size)? else { return Ok(None) };
        seed.deserialize(self.guard(size)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Rejected> {
        self.source.charge(size_of::<V::Value>())?;
        seed.deserialize(self.guard(size_of::<V::Value>()))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.hint))
    }
}

/// [`DecodeError`] as a serde error. Apart from it, so that the public type does not promise to be one, and in a box, so
/// that a result is hardly longer than its value, which is moved through many of them.
#[derive(Debug)]
struct Rejected(Box<DecodeError>);

impl Rejected {
    #[cold]
    fn over_budget() -> Self {
        DecodeError::OverBudget.into()
    }

    #[cold]
    fn invalid(what: impl Into<String>) -> Self {
        DecodeError::Invalid(what.into()).into()
    }
}

impl From<DecodeError> for Rejected {
    #[cold]
    fn from(error: DecodeError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Utf8Error> for Rejected {
    #[cold]
    fn from(error: Utf8Error) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<BincodeDecodeError> for Rejected {
    #[cold]
    fn from(error: BincodeDecodeError) -> Self {
        match error {
            BincodeDecodeError::UnexpectedEnd { .. } => DecodeError::Truncated.into(),
            BincodeDecodeError::InvalidBooleanValue(byte) => {
                Self::invalid(format!("{byte} where a bool has 0 or 1"))
            }
            BincodeDecodeError::InvalidCharEncoding(_) => Self::invalid("not a character"),
            BincodeDecodeError::InvalidIntegerType { expected, found } => {
                Self::invalid(format!("an integer of type {found:?} where {expected:?} is due"))
            }
            other => Self::invalid(other.to_string()),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Rejected {}

impl serde::de::Error for Rejected {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::invalid(message.to_string())
    }
}

#[cfg(test)]
mod tests; // codec/tests.rs: editing tests does not rebuild the library
