//! How values look in JSON: decided here once, for the schemas, for TypeScript and for every text protocol.
//!
//! | value | JSON |
//! |---|---|
//! | `bool`, `String` | a boolean, a string |
//! | integers up to 32 bits | a number |
//! | `i64`, `u64`, `i128`, `u128` | a number up to ±(2⁵³ − 1), which JavaScript holds exactly; beyond, its decimal digits as a string |
//! | `f32`, `f64` | a number; `"NaN"`, `"Infinity"` and `"-Infinity"` for what is none |
//! | `char` | a string of one character |
//! | bytes (`Bytes`, not `Vec<u8>`, which is a list) | a string: base64 of the standard alphabet, padded |
//! | `()`, a unit struct | `null` |
//! | `Option<T>` | `null` or the value; where the value may be `null` itself, `null` or a list of the one value |
//! | `Vec<T>`, sets and other collections, arrays, tuples, tuple structs | a list |
//! | a map with keys that are strings in JSON, integers, booleans or variants without content | an object, in order; integers and booleans as text |
//! | any other map | a list of `[key, value]` lists |
//! | a newtype struct | what it wraps |
//! | a struct | an object with the names that serde uses; a field with `#[serde(default)]` may be left out when it is sent |
//! | an enum | externally tagged, as serde does by default: `"Name"`, or `{"Name": content}` |
//! | a type with a text form of its own (UUIDs, IP addresses, times, URLs): what it reads when a format says that it is human-readable | mostly a string |
//! | an object, a stream | what the protocol makes of it: a reference, no data |
//! | a type that is not known | any JSON |
//!
//! The functions here answer what depends on definitions, so that every output decides alike.

use crate::description::{Content, Description, Shape, Type};

/// How a map's keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The map is an object.
    Object,
    /// The map is a list of pairs.
    Pairs,
}

/// How a map with such keys is written.
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

/// Whether `null` is one of the type's values: an `Option` of it wraps what is there into a list.
pub fn may_be_null(description: &Description, ty: &Type) -> bool {
    match seen(description, ty) {
        Seen::Type(ty) => matches!(ty, Type::Unit | Type::Option(_) | Type::Unknown(_)),
        Seen::Shape(shape) => matches!(shape, Shape::Unit | Shape::Opaque { .. } | Shape::Unknown(_)),
    }
}

/// What a type is in JSON, behind names, newtypes and forms of its own.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A type without a name.
    Type(&'a Type),
    /// A type with a name and parts, which is no newtype.
    Shape(&'a Shape),
}

/// So many newtypes around each other are taken for one that leads back to itself.
const NEWTYPES_MAX: usize = 256;

/// Follows names, newtypes and forms of their own.
pub fn seen<'a>(description: &'a Description, mut ty: &'a Type) -> Seen<'a> {
    // A newtype may lead back to itself only through another kind of type; a damaged description may say otherwise.
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

/// Whether a type leads back to itself through nothing but newtypes: it has no values, and no form.
pub fn is_endless(description: &Description, ty: &Type) -> bool {
    matches!(seen(description, ty), Seen::Type(Type::Ref(name)) if description.definition(name).is_some())
}
