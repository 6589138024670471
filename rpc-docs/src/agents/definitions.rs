//! Types as a skill lists them: a line each, as Rust.

use super::line;
use crate::{
    description::{Content, Description, Field, Shape, Type, TypeDefinition, Variant},
    examples::snake,
    markdown,
    prose::clipped,
};

/// How many types are listed, and how long a line may be.
const TYPES_MAX: usize = 60;
const LINE_CHARACTERS_MAX: usize = 240;

/// What values are made of: the types of an API, the first of many.
pub(super) fn listed(description: &Description) -> String {
    if description.types.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = description
        .types
        .iter()
        .take(TYPES_MAX)
        .map(|definition| declaration(description, definition))
        .collect();
    let more = description.types.len().saturating_sub(TYPES_MAX);
    let more = if more > 0 { format!("… and {more} more.\n\n") } else { String::new() };
    format!("## Types\n\n{}\n{more}", markdown::block("rust", &lines.join("\n")))
}

fn declaration(description: &Description, definition: &TypeDefinition) -> String {
    let name = &definition.name;
    let text = match &definition.shape {
        Shape::Newtype(inner) => format!("struct {name}({});", rust(description, inner)),
        Shape::Unit => format!("struct {name};"),
        Shape::Tuple(elements) => format!("struct {name}({});", all(description, elements)),
        Shape::Struct(fields) => format!("struct {name} {{ {} }}", named(description, fields)),
        Shape::Enum(variants) => {
            let variants: Vec<String> = variants.iter().map(|variant| one(description, variant)).collect();
            format!("enum {name} {{ {} }}", variants.join(", "))
        }
        Shape::Opaque { .. } | Shape::Never | Shape::Unknown(_) => format!("struct {name} {{ .. }}"),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = clipped(&text, LINE_CHARACTERS_MAX);
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}

fn one(description: &Description, variant: &Variant) -> String {
    let name = variant.rust_name.as_deref().unwrap_or(&variant.name);
    match &variant.content {
        Content::Unit | Content::Unreadable => name.to_owned(),
        Content::Newtype(inner) => format!("{name}({})", rust(description, inner)),
        Content::Tuple(elements) => format!("{name}({})", all(description, elements)),
        Content::Struct(fields) => format!("{name} {{ {} }}", named(description, fields)),
    }
}

fn named(description: &Description, fields: &[Field]) -> String {
    let field = |field: &Field| {
        format!("{}: {}", field.rust_name.as_deref().unwrap_or(&field.name), rust(description, &field.ty))
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn all(description: &Description, types: &[Type]) -> String {
    types.iter().map(|ty| rust(description, ty)).collect::<Vec<_>>().join(", ")
}

/// A type as Rust would write it; sets, and smart pointers, are not told from what they are like.
fn rust(description: &Description, ty: &Type) -> String {
    let of = |ty: &Type| rust(description, ty);
    match ty {
        Type::Ref(name) => name.clone(),
        Type::Object(service) => {
            let name =
                description.service(service).map_or(&**service, crate::description::Service::trait_name);
            format!("{name}Client")
        }
        Type::Option(inner) => format!("Option<{}>", of(inner)),
        Type::List(inner) => format!("Vec<{}>", of(inner)),
        Type::Map { key, value } => format!("Map<{}, {}>", of(key), of(value)),
        Type::Array { element, len } => format!("[{}; {len}]", of(element)),
        Type::Tuple(elements) => format!("({})", all(description, elements)),
        Type::Result { ok, error } => format!("Result<{}, {}>", of(ok), of(error)),
        Type::Stream { item, error: None } => format!("Streaming<{}>", of(item)),
        Type::Stream { item, error: Some(error) } => format!("Streaming<{}, {}>", of(item), of(error)),
        Type::Unit => "()".into(),
        Type::String => "String".into(),
        Type::Bytes => "Bytes".into(),
        Type::Unknown(_) => "_".into(),
        plain => snake(&line(&format!("{plain:?}"))),
    }
}
