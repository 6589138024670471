//! The JSON forms of values, decided here once for the schemas, for TypeScript and for every text protocol.
//!
//! | value | JSON |
//! |---|---|
//! | `bool`, `String` | a boolean, a string |
//! | integers up to 32 bits | a number |
//! | `i64`, `u64`, `i128`, `u128` | a number up to ±(2⁵³ − 1), exact in JavaScript; beyond, a string of decimal digits |
//! | `f32`, `f64` | a number; `"NaN"`, `"Infinity"` and `"-Infinity"` for values that JSON has no number for |
//! | `char` | a string of one character |
//! | bytes (`Bytes`, not `Vec<u8>`, which is a list) | a string: base64 of the standard alphabet, padded |
//! | `()`, a unit struct | `null` |
//! | `Option<T>` | `null` or the value; if the value itself may be `null`, `null` or a list with that one value |
//! | `Vec<T>`, sets and other collections, arrays, tuples, tuple structs | a list |
//! | a map with keys that are strings in JSON, integers, booleans or variants without content | an object, in order; integers and booleans as text |
//! | any other map | a list of `[key, value]` lists |
//! | a newtype struct | the value in it |
//! | a struct | an object with serde's names; senders may leave out a field with `#[serde(default)]` |
//! | an enum | externally tagged, as serde does by default: `"Name"`, or `{"Name": content}` |
//! | a type with a text form (UUIDs, IP addresses, times, URLs) | its form in human-readable formats, mostly a string |
//! | an object, a stream | a reference, whose form the protocol defines; no data |
//! | an unknown type | any JSON |
//!
//! The functions here decide the cases that depend on definitions, so that all outputs agree.

use crate::description::{Content, Description, Shape, Type};

/// The JSON form of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The map is an object.
    Object,
    /// The map is a list of pairs.
    Pairs,
}

/// The JSON form of a map with keys of this type.
pub fn keys(description: &Description, key: &Type) -> Keys {
    let is_text = match seen(description, key) {
        Seen::Type(ty) => matches!(
            ty,
            Type::String
                | Type::Char
                | Type::Bool
                | Type::Bytes
                | Type::I8
                | Type::I16
                | Type::I32
                | Type::I64
                | Type::I128
                | Type::U8
                | Type::U16
                | Type::U32
                | Type::U64
                | Type::U128
        ),
        Seen::Shape(Shape::Enum(variants)) => variants.iter().all(|variant| variant.content == Content::Unit),
        Seen::Shape(_) => false,
    };
    if is_text { Keys::Object } else { Keys::Pairs }
}

/// Whether `null` is one of the type's values. Then an `Option` of the type wraps a value in a list.
pub fn may_be_null(description: &Description, ty: &Type) -> bool {
    match seen(description, ty) {
        Seen::Type(ty) => matches!(ty, Type::Unit | Type::Option(_) | Type::Unknown(_)),
        Seen::Shape(shape) => matches!(shape, Shape::Unit | Shape::Opaque { .. } | Shape::Unknown(_)),
    }
}

/// The type that decides the JSON form of another type, after names, newtypes and custom forms are resolved.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A type without a name.
    Type(&'a Type),
    /// The shape of a named type other than a newtype.
    Shape(&'a Shape),
}

/// The maximum depth of nested newtypes; a deeper type counts as one that contains itself.
const NEWTYPES_MAX: usize = 256;

/// Resolves names, newtypes and custom forms.
pub fn seen<'a>(description: &'a Description, mut ty: &'a Type) -> Seen<'a> {
    // A newtype can contain itself only through another kind of type, but a damaged description may say otherwise.
    for _ in 0..NEWTYPES_MAX {
        let Type::Ref(name) = ty else { return Seen::Type(ty) };
        let Some(definition) = description.definition(name) else { return Seen::Type(ty) };
        match (&definition.json, &definition.shape) {
            (Some(json), _) => ty = json,
            (None, Shape::Newtype(inner) | Shape::Opaque { reads: Some(inner) }) => ty = inner,
            (None, shape) => return Seen::Shape(shape),
        }
    }
    Seen::Type(ty)
}

/// Whether a type contains itself through newtypes alone: then it has no values and no JSON form.
pub fn is_endless(description: &Description, ty: &Type) -> bool {
    matches!(seen(description, ty), Seen::Type(Type::Ref(name)) if description.definition(name).is_some())
}
