//! The encoder: a serde serializer that writes bincode's format; see the table in `codec.rs`.
//!
//! bincode's own serializer writes whatever it is told, also values that no reader can decode: nested deeper than the decoder
//! goes, with a field left out, or with a length that does not match the elements. The encoder rejects each of these before
//! anything is sent.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::error::EncodeError;

/// Appends the encoded value, nested at most `depth_max` deep, to `out`. After an error, `out` is unchanged.
#[inline]
pub(crate) fn encode_within<T: Serialize + ?Sized>(
    value: &T,
    depth_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    encode_up_to(value, depth_max, usize::MAX, out)
        .map_err(|error| error.unwrap_or_else(|| EncodeError::Invalid("it has no end".into())))
}

/// Like [`encode_within`], but gives up with `Err(None)` if the value takes more than about `bytes_max` bytes.
#[inline]
pub(crate) fn encode_up_to<T: Serialize + ?Sized>(
    value: &T,
    depth_max: usize,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Option<EncodeError>> {
    let before = out.len();
    let end_max = before.saturating_add(bytes_max);
    let mut target = Target { out: &mut *out, depth_max, end_max, is_full: false };
    let written = value.serialize(Encoding { target: &mut target, depth_left: depth_max });
    // A `Serialize` may have replaced the error on its way, or dropped it; `is_full` tells.
    let error = match written {
        _ if target.is_full => None,
        Ok(()) => return Ok(()),
        Err(Unencodable(error)) => Some(*error),
    };
    out.truncate(before);
    Err(error)
}

/// The number of elements that are written between two checks of `end_max`.
const UNSEEN_VALUES: usize = 64;
/// The length from which on a text or byte string is checked against `end_max` before it is written.
const UNSEEN_BYTES: usize = 1 << 10;

struct Target<'s> {
    out: &'s mut Vec<u8>,
    depth_max: usize,
    /// The length of `out` at which encoding gives up.
    end_max: usize,
    /// Whether encoding has given up at `end_max`.
    is_full: bool,
}

impl Target<'_> {
    /// Writes a varint: a small number is one byte; a longer one begins with a byte that tells its length.
    #[inline(always)]
    fn varint(&mut self, value: u64) {
        match u8::try_from(value) {
            Ok(byte @ 0..=250) => self.out.push(byte),
            Ok(_) | Err(_) => self.long_varint(value),
        }
    }

    fn long_varint(&mut self, value: u64) {
        if let Ok(short) = u16::try_from(value) {
            self.out.push(251);
            self.out.extend_from_slice(&short.to_le_bytes());
        } else if let Ok(word) = u32::try_from(value) {
            self.out.push(252);
            self.out.extend_from_slice(&word.to_le_bytes());
        } else {
            self.out.push(253);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn varint_128(&mut self, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.varint(value),
            Err(_) => {
                self.out.push(254);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// Writes a signed number in zigzag: small numbers of either sign become small unsigned numbers.
    #[inline(always)]
    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    #[inline(always)]
    fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }

    /// Writes a text or a byte string.
    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Unencodable> {
        if bytes.len() >= UNSEEN_BYTES {
            self.make_sure_of(bytes.len())?;
        }
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Fails if there is no room for this number of bytes.
    #[inline(always)]
    fn make_sure_of(&mut self, bytes: usize) -> Result<(), Unencodable> {
        match self.out.len().saturating_add(bytes) > self.end_max {
            true => Err(self.full()),
            false => Ok(()),
        }
    }

    #[cold]
    fn full(&mut self) -> Unencodable {
        self.is_full = true;
        EncodeError::Invalid("it is too long to be encoded here".into()).into()
    }
}

/// Serializes one value, at one level of nesting.
struct Encoding<'a, 's> {
    target: &'a mut Target<'s>,
    depth_left: usize,
}

impl<'a, 's> Encoding<'a, 's> {
    /// Enters a value that holds others. It counts as a level of nesting, as in the decoder.
    #[inline(always)]
    fn enter(self) -> Result<Self, Unencodable> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { target: self.target, depth_left }),
            None => Err(Unencodable::too_deep(self.target.depth_max)),
        }
    }

    /// Writes a variant's index; its content follows.
    #[inline(always)]
    fn variant(self, index: u32) -> Result<Self, Unencodable> {
        let entered = self.enter()?;
        entered.target.varint(index.into());
        Ok(entered)
    }

    #[inline(always)]
    fn parts(self, left: usize) -> Parts<'a, 's> {
        Parts { target: self.target, depth_left: self.depth_left, left }
    }
}

macro_rules! primitives {
    ($($serialize:ident $type:ty, $value:ident $target:ident => $put:expr;)*) => {$(
        #[inline(always)]
        fn $serialize(self, $value: $type) -> Result<(), Unencodable> {
            let $target = self.target;
            $put;
            Ok(())
        }
    )*};
}

impl<'a, 's> Serializer for Encoding<'a, 's> {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Parts<'a, 's>;
    type SerializeTuple = Parts<'a, 's>;
    type SerializeTupleStruct = Parts<'a, 's>;
    type SerializeTupleVariant = Parts<'a, 's>;
    type SerializeMap = Parts<'a, 's>;
    type SerializeStruct = Parts<'a, 's>;
    type SerializeStructVariant = Parts<'a, 's>;

    primitives! {
        serialize_bool bool, value target => target.out.push(value.into());
        serialize_i8 i8, value target => target.out.push(value.cast_unsigned());
        serialize_i16 i16, value target => target.zigzag(value.into());
        serialize_i32 i32, value target => target.zigzag(value.into());
        serialize_i64 i64, value target => target.zigzag(value);
        serialize_i128 i128, value target => target.varint_128(((value << 1) ^ (value >> 127)).cast_unsigned());
        serialize_u8 u8, value target => target.out.push(value);
        serialize_u16 u16, value target => target.varint(value.into());
        serialize_u32 u32, value target => target.varint(value.into());
        serialize_u64 u64, value target => target.varint(value);
        serialize_u128 u128, value target => target.varint_128(value);
        serialize_f32 f32, value target => target.out.extend_from_slice(&value.to_le_bytes());
        serialize_f64 f64, value target => target.out.extend_from_slice(&value.to_le_bytes());
        serialize_char char, value target => target.out.extend_from_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<(), Unencodable> {
        self.target.bytes(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unencodable> {
        self.target.bytes(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Unencodable> {
        self.enter()?.target.out.push(crate::codec::encode::NONE);
        Ok(())
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unencodable> {
        let inside = self.enter()?;
        inside.target.out.push(crate::codec::encode::SOME);
        value.serialize(inside)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Unencodable> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unencodable> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Unencodable> {
        self.variant(index).map(drop)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        value.serialize(self.enter()?)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        value.serialize(self.variant(index)?)
    }

    #[inline(always)]
    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'a, 's>, Unencodable> {
        let entered = self.enter()?;
        let length = length.ok_or_else(Unencodable::unknown_length)?;
        entered.target.length(length);
        Ok(entered.parts(length))
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<Parts<'a, 's>, Unencodable> {
        Ok(self.enter()?.parts(length))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, 's>, Unencodable> {
        self.serialize_tuple(length)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        length: usize,
    ) -> Result<Parts<'a, 's>, Unencodable> {
        Ok(self.variant(index)?.parts(length))
    }

    #[inline(always)]
    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'a, 's>, Unencodable> {
        self.serialize_seq(length)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, 's>, Unencodable> {
        self.serialize_tuple(length)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'a, 's>, Unencodable> {
        self.serialize_tuple_variant(name, index, variant, length)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a value that holds others, and how many are still to be written.
struct Parts<'a, 's> {
    target: &'a mut Target<'s>,
    depth_left: usize,
    left: usize,
}

impl Parts<'_, '_> {
    #[inline(always)]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        value.serialize(Encoding { target: self.target, depth_left: self.depth_left })
    }

    #[inline(always)]
    fn counted<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        // Too many parts make the count wrap, which `finish` notices as well.
        self.left = self.left.wrapping_sub(1);
        self.part(value)
    }

    /// Writes one element of a collection, which may have many.
    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        self.counted(value)?;
        match self.left.is_multiple_of(UNSEEN_VALUES) {
            true => self.target.make_sure_of(0),
            false => Ok(()),
        }
    }

    #[inline(always)]
    fn finish(self) -> Result<(), Unencodable> {
        if self.left != 0 {
            return Err(Unencodable::wrong_length());
        }
        Ok(())
    }
}

macro_rules! unnamed {
    ($($trait:ident $serialize:ident;)*) => {$(
        impl $trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Unencodable;

            #[inline(always)]
            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
                self.element(value)
            }

            #[inline(always)]
            fn end(self) -> Result<(), Unencodable> {
                self.finish()
            }
        }
    )*};
}

macro_rules! named {
    ($($trait:ident;)*) => {$(
        impl $trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Unencodable;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Unencodable> {
                self.counted(value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Unencodable> {
                Err(Unencodable::left_out(name))
            }

            #[inline(always)]
            fn end(self) -> Result<(), Unencodable> {
                self.finish()
            }
        }
    )*};
}

unnamed! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}
named! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = Unencodable;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unencodable> {
        self.element(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        self.part(value)
    }

    #[inline(always)]
    fn end(self) -> Result<(), Unencodable> {
        self.finish()
    }
}

/// [`EncodeError`] as a serde error. A type of its own, so that the public type does not promise to be a serde error. In a box,
/// so that a `Result` is one word.
#[derive(Debug)]
struct Unencodable(Box<EncodeError>);

impl Unencodable {
    #[cold]
    fn too_deep(depth_max: usize) -> Self {
        EncodeError::TooDeep(depth_max).into()
    }

    #[cold]
    fn left_out(field: &'static str) -> Self {
        EncodeError::LeftOut(field).into()
    }

    #[cold]
    fn wrong_length() -> Self {
        EncodeError::WrongLength.into()
    }

    #[cold]
    fn unknown_length() -> Self {
        EncodeError::UnknownLength.into()
    }
}

impl From<EncodeError> for Unencodable {
    #[cold]
    fn from(error: EncodeError) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unencodable {}

impl serde::ser::Error for Unencodable {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        EncodeError::Invalid(message.to_string()).into()
    }
}

/// The only byte of an encoded `None`.
const NONE: u8 = 0;
/// The byte before the value inside an encoded `Some`.
pub(crate) const SOME: u8 = 1;
