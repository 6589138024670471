//! The reference for walks over encoded values: encodes only the part of a typed value that a path points at.
//!
//! The part is found by running the value's own `Serialize` with a serializer that follows the path and skips everything
//! else. The bytes are those that [`codec::encode`] makes of the part.
//!
//! How a step matches what serde serialises:
//!
//! | step | matches |
//! |---|---|
//! | `Field(n)` | the n-th field of a struct, tuple, array or tuple struct; `Field(0)` of a newtype struct |
//! | `Index(n)` | the n-th element of a sequence |
//! | `Some` | the value of an `Option` that is there |
//! | `Variant(i)`, then `Field(n)` | the n-th field of an enum's variant, if it is the i-th |
//!
//! - `Box`, `Rc`, `Arc` and `#[serde(transparent)]` are invisible to serde and take no step.
//! - A field that is skipped because of its value (`skip_serializing_if`) keeps its ordinal: it counts as a miss, and the
//!   fields after it do not move up. A field that is never serialised (`#[serde(skip)]`) has no ordinal.
//! - Maps are not selectable: their order is not part of the value.
//! - A variant is not a value, so a path cannot end with `Variant`.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::{
    codec,
    error::EncodeError,
    path::{Path, Step},
};

/// Why a path selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SelectError {
    /// The path fits the type, but the value has nothing there: `None`, another variant, past the end.
    #[error("the value has nothing there")]
    Missed,
    /// The path does not fit the type.
    #[error("{path} leads nowhere: {found} has no such part")]
    NotThere {
        /// The steps up to and including the one that does not fit.
        path: Path,
        /// What the last of them was applied to.
        found: &'static str,
    },
    /// The part was found and cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Appends the encoded part of `value` at `path` to `out`. After an error `out` is what it was before.
pub(super) fn select<T: Serialize + ?Sized>(
    value: &T,
    path: &[Step],
    depth_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), SelectError> {
    if path.is_empty() {
        return Ok(codec::encode_within(value, depth_max, out)?);
    }
    let mut search = Search { out, depth_max, found: false };
    let result = value.serialize(Follower { search: &mut search, path });
    if search.found {
        // The error that ended the traversal early may have been replaced on its way up; the mark was not.
        return Ok(());
    }
    match result {
        // Serialised without a serializer call that could have matched or refused.
        Ok(()) | Err(Stop::Missed | Stop::Found) => Err(SelectError::Missed),
        Err(Stop::NotThere { left, found }) => {
            let walked = path.len().saturating_sub(left).saturating_add(1).min(path.len());
            Err(SelectError::NotThere { path: Path(path[..walked].to_vec()), found })
        }
        Err(Stop::Encode(error)) => Err(SelectError::Encode(error)),
    }
}

struct Search<'a> {
    out: &'a mut Vec<u8>,
    depth_max: usize,
    found: bool,
}

/// Ends the traversal. An error to serde, so that the rest of a sequence is not visited.
#[derive(Debug)]
enum Stop {
    Found,
    Missed,
    NotThere {
        /// Steps not taken, the one that does not fit included.
        left: usize,
        found: &'static str,
    },
    Encode(EncodeError),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Encode(error) => error.fmt(f),
            Stop::Found | Stop::Missed | Stop::NotThere { .. } => f.write_str("the selection ended"),
        }
    }
}

impl std::error::Error for Stop {}

impl serde::ser::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Stop::Encode(EncodeError::Invalid(message.to_string()))
    }
}

/// The serializer of one value on the path. `path` is what is left to walk and never empty.
struct Follower<'a, 'o> {
    search: &'a mut Search<'o>,
    path: &'a [Step],
}

impl<'a, 'o> Follower<'a, 'o> {
    #[inline]
    fn enter<T: Serialize + ?Sized>(self, part: &T, rest: &[Step]) -> Result<(), Stop> {
        if rest.is_empty() {
            codec::encode_within(part, self.search.depth_max, self.search.out).map_err(Stop::Encode)?;
            self.search.found = true;
            return Err(Stop::Found);
        }
        part.serialize(Follower { search: self.search, path: rest })
    }

    #[cold]
    fn refuse<T>(self, found: &'static str) -> Result<T, Stop> {
        Err(Stop::NotThere { left: self.path.len(), found })
    }

    #[inline]
    fn fields(self, found: &'static str) -> Result<Parts<'a, 'o>, Stop> {
        match *self.path {
            [Step::Field(ordinal), ..] => Ok(Parts { follower: self, skip: ordinal, found }),
            _ => self.refuse(found),
        }
    }

    /// Takes the `Variant` step, and the `Field` step that must follow it.
    #[inline]
    fn variant(self, index: u32, found: &'static str) -> Result<Parts<'a, 'o>, Stop> {
        match *self.path {
            [Step::Variant(wanted), ..] if wanted != index => Err(Stop::Missed),
            [Step::Variant(_), ref rest @ ..] if !rest.is_empty() => {
                Follower { search: self.search, path: rest }.fields(found)
            }
            _ => self.refuse("an enum"),
        }
    }
}

macro_rules! no_parts {
    ($($serialize:ident $type:ty, $found:literal;)*) => {$(
        fn $serialize(self, _: $type) -> Result<(), Stop> {
            self.refuse($found)
        }
    )*};
}

impl<'a, 'o> Serializer for Follower<'a, 'o> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Parts<'a, 'o>;
    type SerializeTuple = Parts<'a, 'o>;
    type SerializeTupleStruct = Parts<'a, 'o>;
    type SerializeTupleVariant = Parts<'a, 'o>;
    type SerializeMap = Never;
    type SerializeStruct = Parts<'a, 'o>;
    type SerializeStructVariant = Parts<'a, 'o>;

    no_parts! {
        serialize_bool bool, "a bool";
        serialize_i8 i8, "an integer";
        serialize_i16 i16, "an integer";
        serialize_i32 i32, "an integer";
        serialize_i64 i64, "an integer";
        serialize_i128 i128, "an integer";
        serialize_u8 u8, "an integer";
        serialize_u16 u16, "an integer";
        serialize_u32 u32, "an integer";
        serialize_u64 u64, "an integer";
        serialize_u128 u128, "an integer";
        serialize_f32 f32, "a float";
        serialize_f64 f64, "a float";
        serialize_char char, "a character";
        serialize_str &str, "a string";
        serialize_bytes &[u8], "a byte buffer";
        serialize_unit_struct &'static str, "a unit struct";
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        self.refuse("a unit")
    }

    fn serialize_none(self) -> Result<(), Stop> {
        match self.path {
            [Step::Some, ..] => Err(Stop::Missed),
            _ => self.refuse("an option"),
        }
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        match self.path {
            [Step::Some, rest @ ..] => self.enter(value, rest),
            _ => self.refuse("an option"),
        }
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        match self.path {
            [Step::Field(0), rest @ ..] => self.enter(value, rest),
            _ => self.refuse("a newtype struct"),
        }
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), Stop> {
        self.variant(index, "a unit variant")?.finish()
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        let mut fields = self.variant(index, "a newtype variant")?;
        fields.offer(value)?;
        fields.finish()
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Parts<'a, 'o>, Stop> {
        match *self.path {
            [Step::Index(index), ..] if len.is_some_and(|len| len <= index as usize) => Err(Stop::Missed),
            [Step::Index(index), ..] => Ok(Parts { follower: self, skip: index, found: "a sequence" }),
            _ => self.refuse("a sequence"),
        }
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Parts<'a, 'o>, Stop> {
        self.fields("a tuple")
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'a, 'o>, Stop> {
        self.fields("a tuple struct")
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'a, 'o>, Stop> {
        self.variant(index, "a tuple variant")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Never, Stop> {
        self.refuse("a map")
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Parts<'a, 'o>, Stop> {
        self.fields("a struct")
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Parts<'a, 'o>, Stop> {
        self.variant(index, "a struct variant")
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _value: &T) -> Result<(), Stop> {
        self.refuse("a string")
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a compound or the elements of a sequence, the selected one being `skip` further on.
struct Parts<'a, 'o> {
    /// Its path begins with the `Field` or `Index` step that is being taken.
    follower: Follower<'a, 'o>,
    skip: u32,
    found: &'static str,
}

impl Parts<'_, '_> {
    #[inline]
    fn offer<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Stop> {
        let Some(skip) = self.skip.checked_sub(1) else {
            let Follower { ref mut search, path } = self.follower;
            return Follower { search, path }.enter(part, &path[1..]);
        };
        self.skip = skip;
        Ok(())
    }

    /// A field that this value does not have, in the place of one that others have.
    fn offer_absent(&mut self) -> Result<(), Stop> {
        self.skip = self.skip.checked_sub(1).ok_or(Stop::Missed)?;
        Ok(())
    }

    /// The end was reached without the selected part.
    fn finish(self) -> Result<(), Stop> {
        match self.follower.path {
            [Step::Index(_), ..] => Err(Stop::Missed),
            _ => self.follower.refuse(self.found),
        }
    }
}

macro_rules! parts {
    ($($compound:ident $method:ident;)*) => {$(
        impl $compound for Parts<'_, '_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Stop> {
                self.offer(part)
            }

            fn end(self) -> Result<(), Stop> {
                self.finish()
            }
        }
    )*};
}

macro_rules! named_parts {
    ($($compound:ident)*) => {$(
        impl $compound for Parts<'_, '_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, part: &T) -> Result<(), Stop> {
                self.offer(part)
            }

            fn skip_field(&mut self, _: &'static str) -> Result<(), Stop> {
                self.offer_absent()
            }

            fn end(self) -> Result<(), Stop> {
                self.finish()
            }
        }
    )*};
}

parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

named_parts! { SerializeStruct SerializeStructVariant }

/// The fields of a map, which are never visited.
enum Never {}

impl SerializeMap for Never {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Stop> {
        match *self {}
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Stop> {
        match *self {}
    }

    fn end(self) -> Result<(), Stop> {
        match self {}
    }
}
