//! The decoder: reads values from bytes, within a budget.

use std::{borrow::Cow, fmt, str::Utf8Error};

use bincode::{
    config::Configuration,
    de::{
        BorrowDecode, BorrowDecoder, Decode, DecoderImpl,
        read::{BorrowReader, Reader},
    },
    error::DecodeError as BincodeDecodeError,
};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use crate::error::DecodeError;

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

/// The part of the payload that is not decoded yet.
pub(super) struct Unread<'de>(pub(super) &'de [u8]);

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

/// The payload and the rest of its budget.
pub(super) struct Source<'de> {
    pub(super) decoder: DecoderImpl<Unread<'de>, Configuration, ()>,
    pub(super) memory_left: usize,
    pub(super) zero_sized_left: usize,
    pub(super) depth_max: usize,
}

impl<'de> Source<'de> {
    #[inline(always)]
    fn primitive<T: Decode<()>>(&mut self) -> Result<T, Rejected> {
        T::decode(&mut self.decoder).map_err(Rejected::from)
    }

    /// Reads a length, and that number of bytes. Not inlined, so that the decoders of all types with strings stay small.
    #[inline(never)]
    fn slice(&mut self) -> Result<&'de [u8], Rejected> {
        BorrowDecode::borrow_decode(&mut self.decoder).map_err(Rejected::from)
    }

    #[inline(always)]
    pub(super) fn unread(&mut self) -> usize {
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
pub(super) struct Guard<'a, 'de> {
    pub(super) source: &'a mut Source<'de>,
    pub(super) depth_left: usize,
    /// Bytes already charged for the place where the value will lie. A larger value lies elsewhere and is charged.
    pub(super) room: usize,
}

impl<'a, 'de> Guard<'a, 'de> {
    /// Enters a value of type `T` that holds others.
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

    /// The string is checked after it was copied: on aligned words, the check is several times as fast for a short string.
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
    pub(crate) left: usize,
    /// The number of elements that the collection is told to reserve: never more than there were bytes left at the start.
    hint: usize,
    /// The number of elements charged in advance, at `unit` bytes each: the collection may have reserved room for `hint` of them.
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

/// [`DecodeError`] as a serde error. A type of its own, so that the public type does not promise to be a serde error. In a box,
/// so that a `Result` is hardly longer than its value, which is moved through many of them.
#[derive(Debug)]
pub(super) struct Rejected(pub(super) Box<DecodeError>);

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

    #[cold]
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(format!("invalid type: {}, expected {expected}", shown(&unexpected)))
    }

    #[cold]
    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(format!("invalid value: {}, expected {expected}", shown(&unexpected)))
    }
}

/// A value that a type refused. serde's own text prints floating point numbers too, for which programs that print none would get
/// 20 KB of code.
fn shown(unexpected: &Unexpected<'_>) -> Cow<'static, str> {
    match *unexpected {
        Unexpected::Bool(value) => format!("boolean `{value}`").into(),
        Unexpected::Unsigned(value) => format!("integer `{value}`").into(),
        Unexpected::Signed(value) => format!("integer `{value}`").into(),
        Unexpected::Char(value) => format!("character `{value}`").into(),
        Unexpected::Str(value) => format!("string {value:?}").into(),
        Unexpected::Other(value) => value.to_owned().into(),
        Unexpected::Float(_) => "a floating point number".into(),
        Unexpected::Bytes(_) => "byte array".into(),
        Unexpected::Unit => "unit value".into(),
        Unexpected::Option => "Option value".into(),
        Unexpected::NewtypeStruct => "newtype struct".into(),
        Unexpected::Seq => "sequence".into(),
        Unexpected::Map => "map".into(),
        Unexpected::Enum => "enum".into(),
        Unexpected::UnitVariant => "unit variant".into(),
        Unexpected::NewtypeVariant => "newtype variant".into(),
        Unexpected::TupleVariant => "tuple variant".into(),
        Unexpected::StructVariant => "struct variant".into(),
    }
}
