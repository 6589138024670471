//! The description of an API: plain data, from which all outputs are made and with which versions are compared.
//!
//! Its JSON is what is checked in beside an API. Everything in it is in an order that depends on the API alone, so that
//! two builds write the same bytes. [`Description::from_json`] refuses what it does not understand.

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
    /// What the API is called.
    pub title: String,
    /// The API's own version, as its authors count.
    pub version: String,
    /// An introduction, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The services, those at the root first, then those that are reached through objects, as they are found.
    pub services: Vec<Service>,
    /// All types with a name, by name.
    pub types: Vec<TypeDefinition>,
    /// What can be piped into what, by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<Flow>,
    /// What the server's limits mean for callers, if it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<CallerLimit>,
}

/// Which side of a session implements a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The server does, and clients call.
    Server,
    /// Clients do, and the server calls back.
    Client,
    /// Both may.
    Both,
}

/// A trait under `#[rpc]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// The name on the wire; it is unique.
    pub name: String,
    /// The trait's name, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// The trait's doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// Which side implements it.
    pub implemented_by: Side,
    /// Whether a connection offers it at once; otherwise it is reached through an object.
    pub is_root: bool,
    /// Which side's connections offer it, where that is not each side that implements it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_by: Option<Side>,
    /// A call that waits for a promise holds back later calls of the same object.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ordered: bool,
    /// The methods, in the order written.
    pub methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Method {
    /// The name on the wire; it is unique in its service.
    pub name: String,
    /// The method's name in the trait, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// Its doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The arguments, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// What a successful call gives.
    pub result: Value,
    /// What it can fail with; none for a method that cannot fail by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Running it twice does what running it once does; it may be retried.
    #[serde(default, skip_serializing_if = "is_false")]
    pub idempotent: bool,
    /// The caller gets no result and no error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oneway: bool,
    /// A dropped promise does not stop the handler.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_cancel: bool,
    /// The method of the same service that answers many calls of this one at once, by its name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// What two sides compare before a call: 16 hexadecimal digits.
    pub fingerprint: String,
    /// Why it cannot be called; empty if all is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// An argument of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Argument {
    /// The name in the trait.
    pub name: String,
    /// Its type.
    #[serde(flatten)]
    pub value: Value,
}

/// A type in a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Value {
    /// What it is.
    #[serde(rename = "type")]
    pub ty: Type,
    /// As it is written in the trait.
    pub rust: String,
}

/// What a value is, where it is used. Types with a name are referred to.
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
    /// Items that come one after the other. Against the direction of results in arguments.
    Stream {
        item: Box<Type>,
        /// What may end it; none if nothing does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<Type>>,
    },
    /// A value that may be absent.
    Option(Box<Type>),
    /// A `Vec`: any number of elements, which can be promised.
    List(Box<Type>),
    /// Any number of elements in another collection, like a set: none of them can be promised.
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
    /// What could not be found out, and why. No name of a type is known for it.
    Unknown(String),
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeDefinition {
    /// The name that [`Type::Ref`]s use: the Rust name, with as much of its path as makes it unique.
    pub name: String,
    /// The Rust name with its whole path, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Its doc comment, in Markdown. Only types under `#[data]` (or `#[derive(Pipeline)]`) have one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// What a value is made of.
    pub shape: Shape,
    /// How a value looks in JSON, where its shape does not say it: `"string"` for a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Type>,
    /// A JSON schema that its author gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// Promises of its fields can be passed on before a value is there: it is under `#[data]` or `#[derive(Pipeline)]`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pipelined: bool,
}

/// What a type with a name is made of.
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
    /// One of several variants.
    Enum(Vec<Variant>),
    /// A type that says only what it reads, if that: a foreign type, mostly.
    Opaque {
        /// What its encoded bytes are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reads: Option<Type>,
    },
    /// A type without values.
    Never,
    /// A type that could not be looked at, and why.
    Unknown(String),
}

/// A named field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Field {
    /// The name that serde uses.
    pub name: String,
    /// The name in Rust, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// Its doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: Type,
    /// It has `#[serde(default)]`: in JSON it may be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_default: bool,
    /// Its bytes are other than those of its type (`#[serde(with)]`): no promise of it can be passed on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_opaque: bool,
    /// Other names that it is read by in JSON.
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
    /// The name that serde uses.
    pub name: String,
    /// The name in Rust, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust_name: Option<String>,
    /// Its doc comment, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// What `#[error("…")]` says of it, with its placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Content::is_unit")]
    pub content: Content,
    /// Other names that it is read by in JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Variants that the reader does not know are read as this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_other: bool,
    /// The note of `#[deprecated]`; empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
}

/// What a variant holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Nothing.
    #[default]
    Unit,
    /// One unnamed value.
    Newtype(Type),
    /// Several unnamed values.
    Tuple(Vec<Type>),
    /// Named fields.
    Struct(Vec<Field>),
    /// The type reads no variant of this number: it cannot be sent.
    Unreadable,
}

/// Results, and parts of results, that fit arguments: all of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flow {
    /// The type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Where values of it come from.
    pub from: Vec<Source>,
    /// Where they can go.
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
    /// The way into the result; empty for the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<PathStep>,
}

/// One step into a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathStep {
    /// A named field, by its name for serde.
    Field(String),
    /// An unnamed field or the element of a tuple.
    Index(usize),
    /// The value in an `Option`; a missing one fails the call.
    Some,
    /// An element of a list: one by its number, or each in a `map`.
    Element,
}

/// Where a value goes.
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
    /// All methods of the service that an object is of: they can be called on it before it exists.
    Target {
        /// The service, by its name on the wire.
        service: String,
    },
}

/// A limit that callers can meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallerLimit {
    /// The name of the field of `Limits`, which refusals name too.
    pub name: String,
    /// Its value in words, with its unit: `8 MiB`, `2048 calls`, `30 s`.
    pub value: String,
    /// What it bounds and what a caller sees at it, in a sentence.
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

    /// The type that [`Type::Ref`]s call by this name.
    pub fn definition(&self, name: &str) -> Option<&TypeDefinition> {
        self.types
            .binary_search_by(|known| known.name.as_str().cmp(name))
            .ok()
            .map(|index| &self.types[index])
    }
}

impl Service {
    /// Which side's connections offer it at once, if one's do.
    pub fn offered_by(&self) -> Option<Side> {
        self.is_root.then(|| self.offered_by.unwrap_or(self.implemented_by))
    }

    /// Whether a connection offers it at once to the other side of this one, the server or the client.
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
    /// The types right below: elements, items, errors, keys and values.
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

    /// This type and all types in it, without looking into definitions.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Type)) {
        visit(self);
        for part in self.parts() {
            part.walk(visit);
        }
    }
}

impl Shape {
    /// The types named in it, in order.
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
    /// The types named in it, in order.
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
