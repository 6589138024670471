//! Writes the TypeScript types of values, for their forms in [`json`].

use crate::{
    description::{Content, Description, Field, Shape, Side, Type, TypeDefinition, Variant},
    json::{self, Keys},
    names::Names,
    typescript::text::{comment, deprecated, literal, property},
};

/// The maximum length of an array with a type for each element; longer ones are lists, so that the type stays short.
const PLACES_MAX: usize = 8;

/// Writes the types of an API's values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forms<'a> {
    pub(super) description: &'a Description,
    pub(super) names: &'a Names<'a>,
}

impl Forms<'_> {
    /// The type of a value.
    pub(super) fn of(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "boolean".into(),
            Type::I8 | Type::I16 | Type::I32 | Type::U8 | Type::U16 | Type::U32 => "number".into(),
            Type::I64 | Type::I128 | Type::U64 | Type::U128 => "Integer64".into(),
            Type::F32 | Type::F64 => "Float".into(),
            Type::Char | Type::String => "string".into(),
            Type::Bytes => "Bytes".into(),
            Type::Unit => "null".into(),
            Type::Ref(name) => self.names.ty(name).unwrap_or("unknown").into(),
            Type::Object(service) => self.object(service),
            Type::Stream { item, error: None } => format!("Stream<{}>", self.of(item)),
            Type::Stream { item, error: Some(error) } => {
                format!("Stream<{}, {}>", self.of(item), self.of(error))
            }
            Type::Option(inner) if json::may_be_null(self.description, inner) => {
                format!("[{}] | null", self.of(inner))
            }
            Type::Option(inner) => format!("{} | null", self.of(inner)),
            Type::List(inner) | Type::Collection { element: inner, .. } => list(&self.of(inner)),
            Type::Map { key, value, .. } => match json::keys(self.description, key) {
                Keys::Object => format!("{{ [key: string]: {} }}", self.of(value)),
                Keys::Pairs => format!("[{}, {}][]", self.of(key), self.of(value)),
            },
            Type::Array { element, len } if *len <= PLACES_MAX => {
                format!("[{}]", vec![self.of(element); *len].join(", "))
            }
            Type::Array { element, .. } => list(&self.of(element)),
            Type::Tuple(elements) => self.tuple(elements),
            Type::Result { ok, error } => {
                format!("{{ Ok: {} }} | {{ Err: {} }}", self.of(ok), self.of(error))
            }
            Type::Unknown(_) => "unknown".into(),
        }
    }

    /// The type of an object of a service. For a service that only clients implement, an implementation is accepted too.
    fn object(&self, service: &str) -> String {
        let name = self.names.service(service).unwrap_or("unknown");
        let is_given =
            self.description.service(service).is_some_and(|service| service.implemented_by == Side::Client);
        match self.names.implementation(service) {
            Some(implementation) if is_given => format!("{name} | {implementation}"),
            _ => name.to_owned(),
        }
    }

    fn tuple(&self, elements: &[Type]) -> String {
        format!("[{}]", self.all(elements).join(", "))
    }

    fn all(&self, types: &[Type]) -> Vec<String> {
        types.iter().map(|ty| self.of(ty)).collect()
    }

    /// The declaration of a type with a name.
    pub(super) fn declare(&self, out: &mut String, definition: &TypeDefinition) {
        let name = self.names.ty(&definition.name).unwrap_or("_");
        let mut docs = definition.docs.clone();
        if name != definition.name {
            // Readers search for the Rust name.
            docs = format!("{docs}\n\nIn Rust: `{}`.", definition.name.replace('`', "'"));
        }
        comment(out, "", &docs, &deprecated(definition.deprecated.as_deref()));
        let is_endless = json::is_endless(self.description, &Type::Ref(definition.name.clone()));
        match (&definition.json, &definition.shape) {
            _ if is_endless => alias(out, name, "never"),
            (Some(json), _) => alias(out, name, &self.of(json)),
            (None, Shape::Struct(fields)) => {
                out.push_str(&format!("export interface {name} "));
                self.fields(out, "", fields);
                out.push('\n');
            }
            (None, Shape::Enum(variants)) => self.variants(out, name, variants),
            (None, shape) => alias(out, name, &self.shape(shape)),
        }
    }

    fn shape(&self, shape: &Shape) -> String {
        match shape {
            Shape::Newtype(inner) | Shape::Opaque { reads: Some(inner) } => self.of(inner),
            Shape::Unit => "null".into(),
            Shape::Tuple(elements) => self.tuple(elements),
            Shape::Never => "never".into(),
            Shape::Opaque { reads: None } | Shape::Unknown(_) => "unknown".into(),
            Shape::Struct(_) | Shape::Enum(_) => unreachable!("they are declared, not aliased"),
        }
    }

    fn fields(&self, out: &mut String, indent: &str, fields: &[Field]) {
        out.push_str("{\n");
        for field in fields {
            let inside = format!("{indent}  ");
            comment(out, &inside, &field.docs, &deprecated(field.deprecated.as_deref()));
            let mark = if field.has_default { "?" } else { "" };
            out.push_str(&format!("{inside}{}{mark}: {};\n", property(&field.name), self.of(&field.ty)));
        }
        out.push_str(&format!("{indent}}}"));
    }

    fn variants(&self, out: &mut String, name: &str, variants: &[Variant]) {
        let readable: Vec<&Variant> =
            variants.iter().filter(|variant| variant.content != Content::Unreadable).collect();
        if readable.is_empty() {
            return alias(out, name, "never");
        }
        out.push_str(&format!("export type {name} =\n"));
        for variant in readable {
            comment(out, "  ", &variant.docs, &deprecated(variant.deprecated.as_deref()));
            out.push_str("  | ");
            match &variant.content {
                Content::Unit | Content::Unreadable => out.push_str(&literal(&variant.name)),
                Content::Newtype(inner) => out.push_str(&tagged(&variant.name, &self.of(inner))),
                Content::Tuple(elements) => out.push_str(&tagged(&variant.name, &self.tuple(elements))),
                Content::Struct(fields) => {
                    let mut content = String::new();
                    self.fields(&mut content, "  ", fields);
                    out.push_str(&tagged(&variant.name, &content));
                }
            }
            out.push('\n');
        }
        out.truncate(out.len() - 1);
        out.push_str(";\n");
    }
}

fn alias(out: &mut String, name: &str, form: &str) {
    out.push_str(&format!("export type {name} = {form};\n"));
}

fn tagged(name: &str, content: &str) -> String {
    format!("{{ {}: {content} }}", property(name))
}

fn list(element: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "_[]".contains(letter);
    if element.chars().all(is_word) { format!("{element}[]") } else { format!("({element})[]") }
}
