//! Values to payload bytes: a serde serializer of our own above bincode's primitives.
//!
//! bincode's own serializer writes what it is told, and some types tell it what no reader can follow: values nested deeper
//! than the decoder goes, a field left out of some values, a length that is not that of what comes. Each is an error here,
//! before anything is sent.

use std::fmt;

use bincode::{
    config::{self, Configuration},
    enc::{Encode, EncoderImpl, write::Writer},
    error::EncodeError as BincodeEncodeError,
};
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::error::EncodeError;

/// Appends the encoded value, nested at most so deep, to `out`. After an error `out` is what it was before.
#[inline]
pub(crate) fn encode_within<T: Serialize + ?Sized>(
    value: &T,
    depth_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = out.len();
    let mut target = Target { encoder: EncoderImpl::new(Appender(out), config::standard()), depth_max };
    let written = value.serialize(Encoding { target: &mut target, depth_left: depth_max });
    written.map_err(|Unencodable(error)| {
        out.truncate(before);
        *error
    })
}

/// How many bytes [`encode_within`] would append, without keeping them.
pub(crate) fn encoded_len<T: Serialize + ?Sized>(value: &T, depth_max: usize) -> Result<usize, EncodeError> {
    let mut length = 0;
    let mut target =
        Target { encoder: EncoderImpl::new(Counter(&mut length), config::standard()), depth_max };
    let written = value.serialize(Encoding { target: &mut target, depth_left: depth_max });
    written.map_err(|Unencodable(error)| *error)?;
    Ok(length)
}

struct Appender<'a>(&'a mut Vec<u8>);

impl Writer for Appender<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), BincodeEncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

struct Counter<'a>(&'a mut usize);

impl Writer for Counter<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), BincodeEncodeError> {
        *self.0 += bytes.len();
        Ok(())
    }
}

/// Where a value goes.
struct Target<W: Writer> {
    encoder: EncoderImpl<W, Configuration>,
    depth_max: usize,
}

impl<W: Writer> Target<W> {
    #[inline(always)]
    fn put<T: Encode>(&mut self, value: T) -> Result<(), Unencodable> {
        value.encode(&mut self.encoder).map_err(Unencodable::from)
    }

    #[inline(always)]
    fn length(&mut self, length: Option<usize>) -> Result<usize, Unencodable> {
        let length = length.ok_or_else(Unencodable::unknown_length)?;
        self.put(length as u64)?;
        Ok(length)
    }
}

/// Serializes one value, at one level of nesting.
struct Encoding<'a, W: Writer> {
    target: &'a mut Target<W>,
    depth_left: usize,
}

impl<'a, W: Writer> Encoding<'a, W> {
    /// Enters a value that holds others: the same that the decoder counts as a level.
    #[inline(always)]
    fn enter(self) -> Result<Self, Unencodable> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { target: self.target, depth_left }),
            None => Err(Unencodable::too_deep(self.target.depth_max)),
        }
    }

    /// A variant's number; its content follows.
    #[inline(always)]
    fn variant(self, index: u32) -> Result<Self, Unencodable> {
        let entered = self.enter()?;
        entered.target.put(index)?;
        Ok(entered)
    }

    #[inline(always)]
    fn parts(self, left: usize) -> Parts<'a, W> {
        Parts { target: self.target, depth_left: self.depth_left, left }
    }
}

macro_rules! primitives {
    ($($serialize:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $serialize(self, value: $type) -> Result<(), Unencodable> {
            self.target.put(value)
        }
    )*};
}

impl<'a, W: Writer> Serializer for Encoding<'a, W> {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Parts<'a, W>;
    type SerializeTuple = Parts<'a, W>;
    type SerializeTupleStruct = Parts<'a, W>;
    type SerializeTupleVariant = Parts<'a, W>;
    type SerializeMap = Parts<'a, W>;
    type SerializeStruct = Parts<'a, W>;
    type SerializeStructVariant = Parts<'a, W>;

    primitives! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
        serialize_i128 i128;
        serialize_u8 u8;
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_u128 u128;
        serialize_f32 f32;
        serialize_f64 f64;
        serialize_char char;
        serialize_str &str;
        serialize_bytes &[u8];
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Unencodable> {
        self.enter()?.target.put(0_u8)
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unencodable> {
        let inside = self.enter()?;
        inside.target.put(super::SOME)?;
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
    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'a, W>, Unencodable> {
        let entered = self.enter()?;
        let length = entered.target.length(length)?;
        Ok(entered.parts(length))
    }

    #[inline(always)]
    fn serialize_tuple(self, length: usize) -> Result<Parts<'a, W>, Unencodable> {
        Ok(self.enter()?.parts(length))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, W>, Unencodable> {
        self.serialize_tuple(length)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        length: usize,
    ) -> Result<Parts<'a, W>, Unencodable> {
        Ok(self.variant(index)?.parts(length))
    }

    #[inline(always)]
    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'a, W>, Unencodable> {
        self.serialize_seq(length)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, W>, Unencodable> {
        self.serialize_tuple(length)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'a, W>, Unencodable> {
        self.serialize_tuple_variant(name, index, variant, length)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a value that holds others, and how many are still to come.
struct Parts<'a, W: Writer> {
    target: &'a mut Target<W>,
    depth_left: usize,
    left: usize,
}

impl<W: Writer> Parts<'_, W> {
    #[inline(always)]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        value.serialize(Encoding { target: self.target, depth_left: self.depth_left })
    }

    #[inline(always)]
    fn counted<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        // Too many make it wrap, which the end sees as well.
        self.left = self.left.wrapping_sub(1);
        self.part(value)
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
        impl<W: Writer> $trait for Parts<'_, W> {
            type Ok = ();
            type Error = Unencodable;

            #[inline(always)]
            fn $serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
                self.counted(value)
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
        impl<W: Writer> $trait for Parts<'_, W> {
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

impl<W: Writer> SerializeMap for Parts<'_, W> {
    type Ok = ();
    type Error = Unencodable;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unencodable> {
        self.counted(key)
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

/// [`EncodeError`] as a serde error. Apart from it, so that the public type does not promise to be one, and in a box, so
/// that a result is one word.
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

impl From<BincodeEncodeError> for Unencodable {
    #[cold]
    fn from(error: BincodeEncodeError) -> Self {
        EncodeError::Invalid(error.to_string()).into()
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
