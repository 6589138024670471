//! The description of an API: plain data from which all outputs are made, and by which versions are compared.
//!
//! Its JSON is checked in beside an API. The order of all parts depends on the API alone, so two builds write the same bytes.
//! [`Description::from_json`] refuses descriptions that it does not understand.

use serde::{Deserialize, Serialize};

mod reading;
mod rust;

pub use reading::DescriptionError;

/// The version of the format of [`Description`]s that this crate writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// One API: its services and the types that travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// The version of this format: [`FORMAT`].
    pub format: u32,
    /// The API's title.
    pub title: String,
    /// The API's own version, chosen by its authors.
    pub version: String,
    /// An introduction, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The services: root services first, then services of objects in the order found.
    pub services: Vec<Service>,
    /// All types with a name, sorted by name.
    pub types: Vec<TypeDefinition>,
    /// The results that can be piped into arguments, by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<Flow>,
    /// The server's limits for callers; empty if they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<CallerLimit>,
}

/// The side of a session that implements a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The server implements it, and clients call.
    Server,
    /// Clients implement it, and the server calls back.
    Client,
    /// Both sides may implement it.
    Both,
}

/// A trait under `#[rpc]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// The service's name on the wire; unique.
    pub name: String,
    /// The trait's name, if it differs from the wire name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// The trait's doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The side that implements the service.
    pub implemented_by: Side,
    /// Whether the service is a root service, which a connection offers; otherwise it is reached through an object.
    pub is_root: bool,
    /// The side that offers the root service, if it differs from `implemented_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_by: Option<Side>,
    /// Whether a call that waits for a promise holds back later calls (`#[rpc(ordered)]`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub ordered: bool,
    /// The methods, in the order of the trait.
    pub methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// The method's name on the wire; unique in its service.
    pub name: String,
    /// The method's name in the trait, if it differs from the wire name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// The method's doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The arguments, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// The type of a successful call's result.
    pub result: Value,
    /// The method's error type; `None` for a method that cannot fail by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Whether running the method twice has the effect of running it once, so that it may be retried.
    #[serde(default, skip_serializing_if = "is_false")]
    pub idempotent: bool,
    /// Whether the caller gets no result and no error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oneway: bool,
    /// Whether the handler continues when its promise is dropped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_cancel: bool,
    /// The method of the same service that answers many calls of this one at once, by its name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The fingerprint that two sides compare before a call: 16 hexadecimal digits.
    pub fingerprint: String,
    /// The reasons why the method cannot be called; empty for a callable method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// An argument of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Argument {
    /// The argument's name in the trait.
    pub name: String,
    /// The argument's type.
    #[serde(flatten)]
    pub value: Value,
}

/// A type in a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Value {
    /// The type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// The type as written in the trait.
    pub rust: String,
}

/// The type of a value where it is used. Types with a name are references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the Rust types")]
pub enum Type {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    String,
    Bytes,
    Unit,
    /// A type in [`Description::types`], by its name.
    Ref(String),
    /// An object of a service in [`Description::services`], by its name.
    Object(String),
    /// A stream of items. In arguments it flows from the caller to the called side.
    Stream {
        item: Box<Type>,
        /// The error that may end the stream; `None` if no error can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<Type>>,
    },
    /// A value that may be absent.
    Option(Box<Type>),
    /// A `Vec`: any number of elements. Promises of elements can be made.
    List(Box<Type>),
    /// Another collection, like a set: any number of elements. No promises of elements can be made.
    Collection {
        /// The collection's name in Rust.
        name: String,
        element: Box<Type>,
    },
    /// Any number of keys with values.
    Map {
        /// The map's name in Rust.
        #[serde(default = "hash_map", skip_serializing_if = "is_hash_map")]
        name: String,
        key: Box<Type>,
        value: Box<Type>,
    },
    /// A fixed number of elements of one type.
    Array {
        element: Box<Type>,
        len: usize,
    },
    /// Some elements, each of its own type.
    Tuple(Vec<Type>),
    /// A value or an error where a value is expected: `Result` inside another type.
    Result {
        ok: Box<Type>,
        error: Box<Type>,
    },
    /// A type without a known name that could not be traced, and why.
    Unknown(String),
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeDefinition {
    /// The name that [`Type::Ref`]s use: the Rust name, with as much of its path as makes it unique.
    pub name: String,
    /// The Rust name with its whole path; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The type's doc comment, in Markdown. Only types under `#[data]` (or `#[derive(Pipeline)]`) have one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The parts of a value.
    pub shape: Shape,
    /// The type of a value's JSON form, if it differs from the shape: `"string"` for a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Type>,
    /// The JSON schema that the type's author gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// Whether promises of the fields can be made: the type is under `#[data]` or `#[derive(Pipeline)]`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pipelined: bool,
}

/// The parts of a type with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A struct around one unnamed value.
    Newtype(Type),
    /// A struct without a value.
    Unit,
    /// A struct with unnamed fields.
    Tuple(Vec<Type>),
    /// A struct with named fields.
    Struct(Vec<Field>),
    /// An enum.
    Enum(Vec<Variant>),
    /// A type of which at most the encoded form is known: mostly a foreign type.
    Opaque {
        /// The type of the encoded bytes, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reads: Option<Type>,
    },
    /// A type without values.
    Never,
    /// A type that could not be traced, and why.
    Unknown(String),
}

/// A named field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Field {
    /// The field's name for serde.
    pub name: String,
    /// The name in Rust, if it differs from serde's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// The field's doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The field's type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether the field has `#[serde(default)]`: in JSON it may be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_default: bool,
    /// Whether the field's bytes differ from those of its type (`#[serde(with)]`): no promise of it can be made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_opaque: bool,
    /// Other names that JSON readers accept for the field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
}

/// A variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Variant {
    /// The variant's name for serde.
    pub name: String,
    /// The name in Rust, if it differs from serde's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// The variant's doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The message of `#[error("…")]`, with its placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The values in the variant.
    #[serde(default, skip_serializing_if = "Content::is_unit")]
    pub content: Content,
    /// Other names that JSON readers accept for the variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether readers read unknown variants as this one (`#[serde(other)]`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_other: bool,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
}

/// The values in a variant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// No value.
    #[default]
    Unit,
    /// One unnamed value.
    Newtype(Type),
    /// Several unnamed values.
    Tuple(Vec<Type>),
    /// Named fields.
    Struct(Vec<Field>),
    /// A variant that the type cannot read: it cannot be sent.
    Unreadable,
}

/// The results, and parts of results, of one type, with the arguments that they fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flow {
    /// The type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// The results, or parts of results, of this type.
    pub from: Vec<Source>,
    /// The arguments, or objects, of this type.
    pub into: Vec<Sink>,
}

/// A result, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Source {
    /// The service, by its name on the wire.
    pub service: String,
    /// The method, by its name on the wire.
    pub method: String,
    /// The path into the result; empty for the whole result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<PathStep>,
}

/// One step into a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathStep {
    /// A named field, by serde's name.
    Field(String),
    /// An unnamed field or the element of a tuple.
    Index(usize),
    /// The value in an `Option`; `None` fails the call.
    Some,
    /// An element of a list: one by its index, or each in a `map`.
    Element,
}

/// A place where a value can be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// An argument of a method.
    Argument {
        /// The service, by its name on the wire.
        service: String,
        /// The method, by its name on the wire.
        method: String,
        /// The argument's name.
        argument: String,
    },
    /// The target of the methods of an object's service: they can be called before the object exists.
    Target {
        /// The service, by its name on the wire.
        service: String,
    },
}

/// A limit that callers can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallerLimit {
    /// The name of the field of `Limits`; refusals use the same name.
    pub name: String,
    /// The limit's value with its unit: `8 MiB`, `2048 calls`, `30 s`.
    pub value: String,
    /// A sentence on what the limit bounds and what a caller sees when it is reached.
    pub meaning: String,
}

impl Content {
    fn is_unit(&self) -> bool {
        matches!(self, Self::Unit)
    }
}

fn hash_map() -> String {
    "HashMap".into()
}

fn is_hash_map(name: &str) -> bool {
    name == "HashMap"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Description {
    /// The service of this name on the wire.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The definition with this name, as [`Type::Ref`]s use it.
    pub fn definition(&self, name: &str) -> Option<&TypeDefinition> {
        self.types
            .binary_search_by(|known| known.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.types[index])
    }
}

impl Service {
    /// The side that offers this service as a root service; `None` if it is not a root service.
    pub fn offered_by(&self) -> Option<Side> {
        self.is_root.then(|| self.offered_by.unwrap_or(self.implemented_by))
    }

    /// Whether `side` (server or client) offers this service as a root service.
    pub fn is_offered_by(&self, side: Side) -> bool {
        self.offered_by().is_some_and(|offering| [side, Side::Both].contains(&offering))
    }

    /// The method of this name on the wire.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The trait's name.
    pub fn trait_name(&self) -> &str {
        self.rust_name.as_deref().unwrap_or(&self.name)
    }
}

impl Method {
    /// The method's name in the trait.
    pub fn trait_name(&self) -> &str {
        self.rust_name.as_deref().unwrap_or(&self.name)
    }
}

impl Type {
    /// The types directly inside this one: elements, items, errors, keys and values.
    pub fn parts(&self) -> Vec<&Type> {
        match self {
            Type::Option(inner)
            | Type::List(inner)
            | Type::Collection { element: inner, .. }
            | Type::Array { element: inner, .. } => vec![inner],
            Type::Map { key, value, .. } => vec![key, value],
            Type::Result { ok, error } => vec![ok, error],
            Type::Stream { item, error } => {
                [Some(item), error.as_ref()].into_iter().flatten().map(|part| &**part).collect()
            }
            Type::Tuple(elements) => elements.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Visits this type and all types inside it, without following references.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Type)) {
        visit(self);
        for part in self.parts() {
            part.walk(visit);
        }
    }
}

impl Shape {
    /// The types of all fields and variants, in order.
    pub fn parts(&self) -> Vec<&Type> {
        match self {
            Shape::Newtype(inner) => vec![inner],
            Shape::Tuple(elements) => elements.iter().collect(),
            Shape::Struct(fields) => fields.iter().map(|field| &field.ty).collect(),
            Shape::Enum(variants) => variants.iter().flat_map(|variant| variant.content.parts()).collect(),
            Shape::Opaque { reads } => reads.iter().collect(),
            Shape::Unit | Shape::Never | Shape::Unknown(_) => Vec::new(),
        }
    }
}

impl Content {
    /// The types of all values in the variant, in order.
    pub fn parts(&self) -> Vec<&Type> {
        match self {
            Content::Newtype(inner) => vec![inner],
            Content::Tuple(elements) => elements.iter().collect(),
            Content::Struct(fields) => fields.iter().map(|field| &field.ty).collect(),
            Content::Unit | Content::Unreadable => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests; // description/tests.rs: editing tests does not rebuild the library
