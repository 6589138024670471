//! Types as a skill lists them: a line each, as Rust.

use crate::{
    description::{Content, Description, Field, Shape, Type, TypeDefinition, Variant},
    examples::rust_word,
    markdown,
    prose::{Setting, clipped, summary, unlinked},
};

/// The maximum number of types, and the maximum length of a line.
const TYPES_MAX: usize = 60;
const LINE_CHARACTERS_MAX: usize = 240;
/// The maximum length of all types that have a line for each field.
const COMMENTED_CHARACTERS_MAX: usize = 12_000;

/// The section with the types of an API; of many, only the first ones.
pub(super) fn listed(description: &Description) -> String {
    if description.types.is_empty() {
        return String::new();
    }
    let mut lines: Vec<String> = Vec::new();
    let mut left = COMMENTED_CHARACTERS_MAX;
    for definition in description.types.iter().take(TYPES_MAX) {
        let commented = commented(definition).filter(|text| text.len() <= left);
        left -= commented.as_ref().map_or(0, String::len);
        lines.push(commented.unwrap_or_else(|| declaration(definition)));
    }
    let more = description.types.len().saturating_sub(TYPES_MAX);
    let more = if more > 0 { format!("… and {more} more.\n\n") } else { String::new() };
    format!("## Types\n\n`Box<…>` is left out.\n\n{}\n{more}", markdown::block("rust", &lines.join("\n")))
}

/// A struct with a line for each field, if any is commented.
fn commented(definition: &TypeDefinition) -> Option<String> {
    let Shape::Struct(fields) = &definition.shape else { return None };
    if fields.iter().all(|field| field.docs.trim().is_empty()) {
        return None;
    }
    let mut text = format!("struct {} {{\n", rust_word(&definition.name));
    for field in fields {
        let docs = unlinked(&summary(&field.docs), Setting::Code);
        let docs = if docs.is_empty() { docs } else { format!(" // {docs}") };
        text.push_str(&format!("    {},{docs}\n", named(std::slice::from_ref(field))));
    }
    text.push('}');
    Some(text)
}

fn declaration(definition: &TypeDefinition) -> String {
    let name = &rust_word(&definition.name);
    let text = match &definition.shape {
        Shape::Newtype(inner) => format!("struct {name}({});", inner.to_rust()),
        Shape::Unit => format!("struct {name};"),
        Shape::Tuple(elements) => format!("struct {name}({});", all(elements)),
        Shape::Struct(fields) => format!("struct {name} {{ {} }}", named(fields)),
        Shape::Enum(variants) => {
            let variants: Vec<String> = variants.iter().map(one).collect();
            format!("enum {name} {{ {} }}", variants.join(", "))
        }
        Shape::Opaque { .. } | Shape::Never | Shape::Unknown(_) => format!("struct {name} {{ .. }}"),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = clipped(&text, LINE_CHARACTERS_MAX);
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}

fn one(variant: &Variant) -> String {
    let name = &rust_word(variant.rust_name.as_deref().unwrap_or(&variant.name));
    match &variant.content {
        Content::Unit | Content::Unreadable => name.clone(),
        Content::Newtype(inner) => format!("{name}({})", inner.to_rust()),
        Content::Tuple(elements) => format!("{name}({})", all(elements)),
        Content::Struct(fields) => format!("{name} {{ {} }}", named(fields)),
    }
}

fn named(fields: &[Field]) -> String {
    let field = |field: &Field| {
        format!("{}: {}", rust_word(field.rust_name.as_deref().unwrap_or(&field.name)), field.ty.to_rust())
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn all(types: &[Type]) -> String {
    types.iter().map(Type::to_rust).collect::<Vec<_>>().join(", ")
}
