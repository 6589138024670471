//! Turns traced layouts into types of a description: each Rust type with a name is defined once.
//!
//! A Rust type is known by its identity, so two types with the same name stay apart, and a recursive type refers to itself. Doc
//! comments, aliases and defaults are not in the layout; they come from the type's declaration, if it is under `#[data]`.

use std::{any::TypeId, collections::BTreeSet};

use rpc_core::schema::{
    Layout, Leaf, Node, ServiceDescriptor, ValueDescriptor,
    declared::{Declaration, Declarations, DeclaredField, DeclaredParts, DeclaredVariant},
};
use rustc_hash::FxHashMap;

use crate::description::{Content, Field, Shape, Type, TypeDefinition, Value, Variant};

mod asked;
mod naming;

use asked::Asked;

/// The types found so far.
pub(super) struct Types<'a> {
    definitions: Vec<TypeDefinition>,
    known: FxHashMap<Identity, String>,
    /// Identities of types by their paths, as far as they were met.
    ids: FxHashMap<&'static str, TypeId>,
    /// Types that no layout has reached yet: another layout may reach them.
    unknown: BTreeSet<String>,
    names: naming::Names,
    /// Services of objects found since the last [`Types::take_services`].
    services: Vec<&'static ServiceDescriptor>,
    schemas: &'a [(TypeId, serde_json::Value)],
    declarations: Declarations,
    spellings: Spellings,
}

/// The written types of fields whose layout other types share, by struct name and field number.
pub(super) type Spellings = FxHashMap<String, Vec<Option<&'static str>>>;

/// The key that tells types apart.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    /// The type's id and path. The path is needed because one visitor of serde reads several standard types.
    Type(TypeId, &'static str),
    /// Only the name is known.
    Name(String),
}

/// A layout that is being read.
struct Reading<'l> {
    layout: &'l Layout,
    nodes: &'l [Node<usize>],
    /// Types without a declaration that were defined from this layout, by path: they may have another form in JSON.
    foreign: Vec<(&'static str, String)>,
}

/// The declared fields of a struct or variant.
#[derive(Clone, Copy)]
struct Fields<'d> {
    declaration: &'d Declaration,
    /// The number of the first field among the parts of the declaration.
    first: usize,
    fields: &'static [DeclaredField],
}

impl<'a> Types<'a> {
    pub(super) fn new(schemas: &'a [(TypeId, serde_json::Value)], declarations: Declarations) -> Self {
        Self {
            definitions: Vec::new(),
            known: FxHashMap::default(),
            ids: FxHashMap::default(),
            unknown: BTreeSet::new(),
            names: naming::Names::default(),
            services: Vec::new(),
            schemas,
            declarations,
            spellings: Spellings::default(),
        }
    }

    /// The type of an argument, a result or an error.
    pub(super) fn value(&mut self, value: &ValueDescriptor, layout: &Layout) -> Value {
        let (nodes, root) = layout.nodes();
        let mut reading = Reading { layout, nodes, foreign: Vec::new() };
        let ty = self.read(&mut reading, root, layout.whole_type().and_then(Asked::of));
        self.find_text_forms(&reading.foreign, value);
        Value { ty, rust: value.type_name.into() }
    }

    /// The services of objects found since the last call.
    pub(super) fn take_services(&mut self) -> Vec<&'static ServiceDescriptor> {
        std::mem::take(&mut self.services)
    }

    /// All definitions, by name.
    pub(super) fn into_definitions(mut self) -> (Vec<TypeDefinition>, Spellings) {
        self.definitions.sort_by(|one, other| one.name.cmp(&other.name));
        (self.definitions, self.spellings)
    }

    /// The type of a node that was asked for as `asked`.
    fn read(&mut self, reading: &mut Reading<'_>, node: usize, asked: Option<Asked>) -> Type {
        let boxed = |ty| Box::new(ty);
        let rust = asked::of_node(reading.layout, node, asked);
        match &reading.nodes[node] {
            Node::Leaf(Leaf::Object(service)) => {
                self.services.push(service.0);
                Type::Object(service.0.name.into())
            }
            Node::Leaf(leaf) => match rust.filter(|rust| !naming::is_primitive(rust.path)) {
                Some(_) => self.define(reading, node, rust, ""),
                None => primitive(*leaf),
            },
            Node::Opaque { name, .. } => self.define(reading, node, rust, name),
            Node::Unsupported { reads } => match rust {
                Some(_) => self.define(reading, node, rust, ""),
                None => Type::Unknown(format!("it reads {reads}, which cannot travel")),
            },
            Node::Unreached(part) => match rust {
                Some(_) => self.define(reading, node, rust, ""),
                None => Type::Unknown(part.why.clone()),
            },
            Node::Uninhabited => match rust {
                Some(_) => self.define(reading, node, rust, ""),
                None => Type::Unknown("it has no values".into()),
            },
            Node::Optional(_) => Type::Option(boxed(self.part(reading, (node, 0), rust))),
            Node::Seq(_) => {
                let name = rust.and_then(|rust| naming::collection(rust.path));
                let element = boxed(self.part(reading, (node, 0), rust));
                match name {
                    Some(name) => Type::Collection { name, element },
                    None => Type::List(element),
                }
            }
            Node::Map(..) => {
                let key = boxed(self.part(reading, (node, 0), rust));
                let name = rust.and_then(|rust| naming::collection(rust.path));
                let name = name.unwrap_or_else(|| "HashMap".into());
                Type::Map { name, key, value: boxed(self.part(reading, (node, 1), rust)) }
            }
            Node::Array(_, len) => {
                Type::Array { element: boxed(self.part(reading, (node, 0), rust)), len: *len }
            }
            Node::Stream(_, error) => {
                let item = boxed(self.part(reading, (node, 0), rust));
                let error = (!has_no_values(&reading.nodes[*error]))
                    .then(|| boxed(self.part(reading, (node, 1), rust)));
                Type::Stream { item, error }
            }
            Node::Newtype { name, .. } => match (rust, *name) {
                (None, "") => self.part(reading, (node, 0), rust),
                (rust, name) => self.define(reading, node, rust, name),
            },
            Node::Product { name: "", fields } => {
                let mut elements: Vec<Type> =
                    (0..fields.len()).map(|place| self.part(reading, (node, place), rust)).collect();
                // A short array is traced as a tuple.
                let is_array = rust.is_some_and(|rust| rust.path.starts_with('['));
                match (elements.len(), elements.pop()) {
                    (len, Some(last)) if is_array => Type::Array { element: boxed(last), len },
                    (_, last) => Type::Tuple(elements.into_iter().chain(last).collect()),
                }
            }
            Node::Product { name, .. } => self.define(reading, node, rust, name),
            Node::Enum { name, variants } => match &variants[..] {
                [ok, error] if *name == "Result" && (ok.name, error.name) == ("Ok", "Err") => {
                    let fields = |variant: &rpc_core::schema::Variant<usize>| {
                        variant.fields.as_ref().map_or(0, Vec::len)
                    };
                    let mut read = |variant, place| match fields(variant) {
                        0 => Type::Unknown("it has no values".into()),
                        _ => self.part(reading, (node, place), rust),
                    };
                    Type::Result { ok: boxed(read(ok, 0)), error: boxed(read(error, fields(ok))) }
                }
                _ => self.define(reading, node, rust, name),
            },
            _ => Type::Unknown("this version of rpc-docs does not know its kind".into()),
        }
    }

    /// The type of a part of a node.
    fn part(
        &mut self,
        reading: &mut Reading<'_>,
        (node, place): (usize, usize),
        asked: Option<Asked>,
    ) -> Type {
        let part = asked::of_part(reading.layout, &self.declarations, (node, place), asked);
        let parts = reading.nodes[node].parts();
        match parts.get(place) {
            Some(node) => self.read(reading, **node, part),
            None => Type::Unknown("it has no values".into()),
        }
    }

    /// A reference to the type of this node, which is defined if it is new.
    fn define(&mut self, reading: &mut Reading<'_>, node: usize, rust: Option<Asked>, name: &str) -> Type {
        let identity = self.identity(rust, name);
        let is_reached = !matches!(reading.nodes[node], Node::Unreached(_));
        let path = rust.map_or(name, |rust| rust.path);
        let name = match self.known.get(&identity) {
            Some(known) if !(is_reached && self.unknown.remove(known)) => return Type::Ref(known.clone()),
            Some(known) => {
                self.definitions.retain(|definition| definition.name != *known);
                known.clone()
            }
            None => self.names.unique(path),
        };
        self.known.insert(identity, name.clone());
        if !is_reached {
            self.unknown.insert(name.clone());
        }
        let declaration = rust.and_then(|rust| self.declarations.of(rust.id?).copied());
        if let (None, Some(rust)) = (declaration, rust) {
            reading.foreign.push((rust.path, name.clone()));
        }
        if let Some(declaration) = &declaration
            && let DeclaredParts::Fields(fields) = declaration.parts
        {
            let spelled = (0..fields.len()).map(|index| declaration.about(index + 1).spelled);
            self.spellings.insert(name.clone(), spelled.collect());
        }
        let shape = self.shape(reading, node, rust, declaration.as_ref());
        let about = declaration.map(|declaration| declaration.about(0)).unwrap_or_default();
        let schema = rust.and_then(|rust| self.schemas.iter().find(|(ty, _)| Some(*ty) == rust.id));
        self.definitions.push(TypeDefinition {
            name: name.clone(),
            path: path.into(),
            docs: about.docs.into(),
            shape,
            json: None,
            schema: schema.map(|(_, schema)| schema.clone()),
            deprecated: about.deprecated.map(Into::into),
            pipelined: declaration.is_some_and(|declaration| is_pipelined(&declaration)),
        });
        Type::Ref(name)
    }

    /// The identity of a type; its path if the `TypeId` is not known.
    fn identity(&mut self, rust: Option<Asked>, name: &str) -> Identity {
        let Some(Asked { path, id }) = rust else { return Identity::Name(name.into()) };
        match id.or_else(|| self.ids.get(path).copied()) {
            None => Identity::Name(path.into()),
            Some(id) => {
                if self.ids.insert(path, id).is_none()
                    && let Some(known) = self.known.get(&Identity::Name(path.into())).cloned()
                {
                    self.known.insert(Identity::Type(id, path), known);
                }
                Identity::Type(id, path)
            }
        }
    }

    fn shape(
        &mut self,
        reading: &mut Reading<'_>,
        node: usize,
        rust: Option<Asked>,
        declaration: Option<&Declaration>,
    ) -> Shape {
        match &reading.nodes[node] {
            Node::Leaf(Leaf::Unit) => Shape::Unit,
            Node::Leaf(leaf) => Shape::Opaque { reads: Some(primitive(*leaf)) },
            Node::Opaque { base, .. } => Shape::Opaque { reads: base.map(primitive) },
            Node::Unsupported { reads } => Shape::Unknown(format!("it reads {reads}, which cannot travel")),
            Node::Unreached(part) => Shape::Unknown(part.why.clone()),
            Node::Newtype { .. } => Shape::Newtype(self.part(reading, (node, 0), rust)),
            Node::Product { fields, .. } => {
                let declared = declaration.and_then(|declaration| match declaration.parts {
                    DeclaredParts::Fields(fields) => Some(Fields { declaration, first: 1, fields }),
                    _ => None,
                });
                let is_row = declaration.is_some_and(|declaration| declaration.about(0).has_parentheses);
                match self.content(reading, (node, 0), fields, declared) {
                    Content::Unit if is_row => Shape::Tuple(Vec::new()),
                    Content::Newtype(only) => Shape::Tuple(vec![only]),
                    Content::Tuple(elements) => Shape::Tuple(elements),
                    Content::Struct(fields) => Shape::Struct(fields),
                    Content::Unit | Content::Unreadable => Shape::Struct(Vec::new()),
                }
            }
            Node::Enum { variants, .. } if variants.is_empty() => Shape::Never,
            Node::Enum { variants, .. } => {
                let mut place = 0;
                let variant = |(index, variant): (usize, &rpc_core::schema::Variant<usize>)| {
                    let first = place;
                    place += variant.fields.as_ref().map_or(0, Vec::len);
                    self.variant(reading, (node, first), variant, index, declaration)
                };
                Shape::Enum(variants.iter().enumerate().map(variant).collect())
            }
            _ => Shape::Never,
        }
    }

    /// A variant whose fields are the parts of the node from this index on.
    fn variant(
        &mut self,
        reading: &mut Reading<'_>,
        first: (usize, usize),
        traced: &rpc_core::schema::Variant<usize>,
        index: usize,
        declaration: Option<&Declaration>,
    ) -> Variant {
        let declared = declaration.and_then(|declaration| find_variant(declaration, index));
        let name = match (declared, traced.name) {
            (Some((declared, _)), _) => declared.name.to_owned(),
            (None, "") => index.to_string(),
            (None, name) => name.to_owned(),
        };
        let about = declaration.zip(declared).map(|(declaration, (_, part))| declaration.about(part));
        let about = about.unwrap_or_default();
        let fields = declaration.zip(declared).and_then(|(declaration, (variant, part))| {
            Some(Fields { declaration, first: part + 1, fields: variant.fields? })
        });
        let content = traced.fields.as_ref().map(|traced| self.content(reading, first, traced, fields));
        let content = match content {
            Some(Content::Unit) if about.has_braces => Content::Struct(Vec::new()),
            Some(Content::Unit) if about.has_parentheses => Content::Tuple(Vec::new()),
            Some(Content::Newtype(only)) if about.has_parentheses => Content::Tuple(vec![only]),
            Some(content) => content,
            None => Content::Unreadable,
        };
        Variant {
            rust_name: about.rust_name.map(Into::into),
            docs: about.docs.into(),
            message: about.message.map(Into::into),
            content,
            aliases: owned(declared.map(|(declared, _)| declared.aliases)),
            is_other: declared.is_some_and(|(declared, _)| declared.is_other),
            deprecated: about.deprecated.map(Into::into),
            name,
        }
    }

    fn content(
        &mut self,
        reading: &mut Reading<'_>,
        (node, first): (usize, usize),
        traced: &[rpc_core::schema::Field<usize>],
        declared: Option<Fields<'_>>,
    ) -> Content {
        // If they disagree, the method has a problem, which is reported elsewhere.
        let declared = declared.filter(|declared| declared.fields.len() == traced.len());
        match traced {
            [] => Content::Unit,
            [only] if only.name.is_empty() => Content::Newtype(self.part(reading, (node, first), None)),
            [unnamed, ..] if unnamed.name.is_empty() => {
                let element = |index| self.part(reading, (node, first + index), None);
                Content::Tuple((0..traced.len()).map(element).collect())
            }
            _ => {
                let field = |(index, field): (usize, &rpc_core::schema::Field<usize>)| {
                    let ty = self.part(reading, (node, first + index), None);
                    field_of(ty, field, index, declared)
                };
                Content::Struct(traced.iter().enumerate().map(field).collect())
            }
        }
    }

    /// Notes which of these types have another form in human-readable formats.
    fn find_text_forms(&mut self, foreign: &[(&'static str, String)], value: &ValueDescriptor) {
        if foreign.is_empty() {
            return;
        }
        let forms = text_forms(&value.text_layout(), &self.declarations);
        for (path, name) in foreign {
            let Some(text) = forms.get(path) else { continue };
            let definition = self.definitions.iter_mut().find(|definition| definition.name == *name);
            if let Some(definition) = definition
                && definition.shape != (Shape::Opaque { reads: Some(text.clone()) })
                && !(definition.shape == Shape::Unit && *text == Type::Unit)
            {
                definition.json = Some(text.clone());
            }
        }
    }
}

/// The types that a layout's types without parts read, by path.
fn text_forms(layout: &Layout, declarations: &Declarations) -> FxHashMap<&'static str, Type> {
    let (nodes, root) = layout.nodes();
    let mut forms = FxHashMap::default();
    let mut seen = BTreeSet::new();
    let mut open = vec![(root, layout.whole_type().and_then(Asked::of))];
    while let Some((node, asked)) = open.pop() {
        let rust = asked::of_node(layout, node, asked);
        if let (Node::Leaf(leaf) | Node::Opaque { base: Some(leaf), .. }, Some(rust)) = (&nodes[node], rust) {
            forms.insert(rust.path, primitive(*leaf));
        }
        // A node can have several names, as leaves do.
        if seen.insert((node, rust.map(|rust| rust.path))) {
            for (place, part) in nodes[node].parts().into_iter().enumerate() {
                open.push((*part, asked::of_part(layout, declarations, (node, place), rust)));
            }
        }
    }
    forms
}

/// Whether no error can end a stream: it has no error type (unit), or one without values.
fn has_no_values(error: &Node<usize>) -> bool {
    match error {
        Node::Leaf(Leaf::Unit) | Node::Uninhabited => true,
        Node::Enum { variants, .. } => variants.is_empty(),
        _ => false,
    }
}

fn field_of(
    ty: Type,
    traced: &rpc_core::schema::Field<usize>,
    index: usize,
    declared: Option<Fields<'_>>,
) -> Field {
    let about = declared.map(|declared| declared.declaration.about(declared.first + index));
    let about = about.unwrap_or_default();
    let declared = declared.map(|declared| &declared.fields[index]);
    Field {
        name: declared.map_or(traced.name, |declared| declared.name).into(),
        rust_name: about.rust_name.map(Into::into),
        docs: about.docs.into(),
        ty,
        has_default: declared.is_some_and(|declared| declared.has_default),
        is_opaque: about.is_opaque,
        aliases: owned(declared.map(|declared| declared.aliases)),
        deprecated: about.deprecated.map(Into::into),
    }
}

/// The variant of this index, and its number among the parts of the declaration.
fn find_variant(declaration: &Declaration, index: usize) -> Option<(&'static DeclaredVariant, usize)> {
    let DeclaredParts::Variants(variants) = declaration.parts else { return None };
    let mut part = 1;
    for variant in variants {
        if variant.index as usize == index {
            return Some((variant, part));
        }
        part += 1 + variant.fields.map_or(0, <[_]>::len);
    }
    None
}

/// Whether promises of the type's parts can be made.
fn is_pipelined(declaration: &Declaration) -> bool {
    match declaration.parts {
        // A named field without a promise, or with another name, is marked in the description; an unnamed one cannot be.
        DeclaredParts::Fields(fields) => fields.iter().enumerate().all(|(index, field)| {
            let about = declaration.about(index + 1);
            !field.name.is_empty() || (!about.is_opaque && about.rust_name.is_none())
        }),
        DeclaredParts::Variants(_) => true,
        DeclaredParts::Another => false,
    }
}

fn owned(names: Option<&[&str]>) -> Vec<String> {
    names.unwrap_or_default().iter().map(|name| (*name).to_owned()).collect()
}

fn primitive(leaf: Leaf) -> Type {
    match leaf {
        Leaf::Bool => Type::Bool,
        Leaf::I8 => Type::I8,
        Leaf::I16 => Type::I16,
        Leaf::I32 => Type::I32,
        Leaf::I64 => Type::I64,
        Leaf::I128 => Type::I128,
        Leaf::U8 => Type::U8,
        Leaf::U16 => Type::U16,
        Leaf::U32 => Type::U32,
        Leaf::U64 => Type::U64,
        Leaf::U128 => Type::U128,
        Leaf::F32 => Type::F32,
        Leaf::F64 => Type::F64,
        Leaf::Char => Type::Char,
        Leaf::Text => Type::String,
        Leaf::Bytes => Type::Bytes,
        Leaf::Unit => Type::Unit,
        Leaf::Object(service) => Type::Object(service.0.name.into()),
        _ => Type::Unknown("this version of rpc-docs does not know its kind".into()),
    }
}
