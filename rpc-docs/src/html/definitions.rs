//! Renders the page of types: the parts of each type, its form in JSON, and its users.

use maud::{Markup, html};

use super::{
    atlas::Atlas,
    highlight::Language,
    links::{Here, Named, error_link},
    markdown, names,
    page::{self, Content, Place},
    phrases::{badge, code_panel, counted, definition_list, deprecation, type_markup},
    sample::samples,
    service::used_by,
};
use crate::{
    description::{Content as Held, Field, Shape, Type, TypeDefinition, Variant},
    prose::readable_message,
};

/// The maximum number of samples of an enum.
const SAMPLES_MAX: usize = 6;

/// Renders `types.html`.
pub(super) fn render(atlas: &Atlas<'_>) -> String {
    let types = &atlas.description.types;
    let body = html! {
        header class="hero" {
            h1 { "Types" }
            p class="lead" { (counted(types.len(), "type")) " with a name that arguments, results and errors are made of." }
            @if !types.is_empty() {
                p class="small" { "“As JSON” shows how values look in schemas and for tools; on the wire they are binary." }
            }
        }
        @for at in 0..types.len() { (section(atlas, at)) }
    };
    let summary = format!("The types of {}", atlas.title());
    page::render(atlas, Content { place: Place::Types, title: "Types".into(), summary, body })
}

fn section(atlas: &Atlas<'_>, at: usize) -> Markup {
    let definition = &atlas.description.types[at];
    let here: Here = Some(Named::Type(at));
    let id = names::anchor("type", &[&definition.name]);
    let title = format!("{id}-title");
    html! {
        section class="definition" id=(id) aria-labelledby=(title) {
            header {
                h2 id=(title) { a class="anchor" href={ "#" (id) } { (definition.name) } }
                p class="badges" {
                    (badge("plain", kind(&definition.shape), "What it is in Rust."))
                    @if definition.pipelined { (badge("good", "pipelined", "Parts of it can be passed on before a value is there.")) }
                    @if definition.deprecated.is_some() { (badge("old", "deprecated", "It will go away.")) }
                    @if !atlas.uses(at).fails.is_empty() { a class="badge bad" href=(error_link(atlas, at)) { "error" } }
                }
            }
            div class="columns" {
                div class="told" {
                    (deprecation(atlas, here, definition.deprecated.as_deref()))
                    (markdown::render(atlas, here, &definition.docs, 2))
                    (shape(atlas, definition, here))
                    (uses(atlas, at))
                }
                div class="shown" { (json(atlas, at)) }
            }
        }
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Newtype(_) => "newtype",
        Shape::Unit | Shape::Tuple(_) | Shape::Struct(_) => "struct",
        Shape::Enum(_) => "enum",
        Shape::Opaque { .. } => "opaque",
        Shape::Never => "no values",
        Shape::Unknown(_) => "unknown",
    }
}

fn shape(atlas: &Atlas<'_>, definition: &TypeDefinition, here: Here) -> Markup {
    match &definition.shape {
        Shape::Newtype(inner) => html! { p class="result" { "Wraps " (type_markup(atlas, inner)) "." } },
        Shape::Unit => html! { p class="result" { "It holds nothing." } },
        Shape::Never => html! { p class="result" { "There is no value of it." } },
        Shape::Tuple(elements) => html! { p class="result" { "It holds " (row(atlas, elements)) "." } },
        Shape::Struct(fields) => html! { h3 { "Fields" } (fields_list(atlas, definition, fields, here)) },
        Shape::Enum(variants) => html! {
            h3 { "Variants" }
            dl class="parts" { @for variant in variants { (variant_part(atlas, definition, variant, here, "variant")) } }
        },
        Shape::Opaque { reads: Some(reads) } => {
            html! { p class="result" { "Travels as " (type_markup(atlas, reads)) "." } }
        }
        Shape::Opaque { reads: None } => html! { p class="result" { "What it is made of is not known." } },
        Shape::Unknown(why) => html! { p class="note warning" { "It could not be looked at: " (why) } },
    }
}

fn row(atlas: &Atlas<'_>, types: &[Type]) -> Markup {
    html! { @for (at, ty) in types.iter().enumerate() { @if at > 0 { ", " } (type_markup(atlas, ty)) } }
}

fn fields_list(atlas: &Atlas<'_>, definition: &TypeDefinition, fields: &[Field], here: Here) -> Markup {
    html! {
        dl class="parts" {
            @for field in fields {
                div id=(names::anchor("field", &[&definition.name, &field.name])) {
                    dt { code class="name" { (field.name) } (type_markup(atlas, &field.ty)) (field_badges(field)) }
                    dd {
                        (deprecation(atlas, here, field.deprecated.as_deref()))
                        (markdown::render(atlas, here, &field.docs, 3))
                        (other_names(field.rust_name.as_deref(), &field.aliases))
                    }
                }
            }
        }
    }
}

fn field_badges(field: &Field) -> Markup {
    html! {
        @if field.has_default { (badge("plain", "default", "In JSON it may be left out.")) }
        @if field.deprecated.is_some() { (badge("old", "deprecated", "It will go away.")) }
    }
}

/// Renders a variant with its values. `kind` is the first part of its anchor.
pub(super) fn variant_part(
    atlas: &Atlas<'_>,
    definition: &TypeDefinition,
    variant: &Variant,
    here: Here,
    kind: &str,
) -> Markup {
    html! {
        div id=(names::anchor(kind, &[&definition.name, &variant.name])) {
            dt {
                code class="name" { (variant.name) }
                @match &variant.content {
                    Held::Newtype(inner) => (type_markup(atlas, inner)),
                    Held::Tuple(elements) => (type_markup(atlas, &Type::Tuple(elements.clone()))),
                    Held::Unreadable => (badge("bad", "cannot be sent", "The type reads no variant of this number.")),
                    Held::Unit | Held::Struct(_) => {},
                }
                @if variant.is_other { (badge("plain", "catches others", "Variants that the reader does not know are read as this one.")) }
                @if variant.deprecated.is_some() { (badge("old", "deprecated", "It will go away.")) }
            }
            dd {
                @if let Some(message) = &variant.message { p class="message" { (readable_message(message)) } }
                (deprecation(atlas, here, variant.deprecated.as_deref()))
                (markdown::render(atlas, here, &variant.docs, 3))
                (other_names(variant.rust_name.as_deref(), &variant.aliases))
                @if let Held::Struct(fields) = &variant.content {
                    ul class="variant-fields" {
                        @for field in fields {
                            li {
                                code class="name" { (field.name) } " " (type_markup(atlas, &field.ty)) (field_badges(field)) " "
                                (markdown::summary(atlas, here, &field.docs))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn other_names(rust_name: Option<&str>, aliases: &[String]) -> Markup {
    html! {
        @if let Some(name) = rust_name { p class="small" { "In Rust " code { (name) } } }
        @if !aliases.is_empty() {
            p class="small" { "In JSON also read as " @for (at, alias) in aliases.iter().enumerate() { @if at > 0 { ", " } code { (alias) } } }
        }
    }
}

fn uses(atlas: &Atlas<'_>, at: usize) -> Markup {
    let (definition, uses) = (&atlas.description.types[at], atlas.uses(at));
    html! {
        dl class="meta" {
            (used_by(atlas, "Taken by", &uses.taken_by))
            (used_by(atlas, "Returned by", &uses.returned_by))
            (used_by(atlas, "Failing with it", &uses.fails))
            @if !uses.part_of.is_empty() { div { dt { "Part of" } dd { (definition_list(atlas, &uses.part_of)) } } }
            @if !definition.path.is_empty() { div { dt { "Path" } dd { code class="small" { (definition.path) } } } }
        }
    }
}

fn json(atlas: &Atlas<'_>, at: usize) -> Markup {
    let mut samples = samples(atlas, at);
    let left_out = samples.len().saturating_sub(SAMPLES_MAX);
    samples.truncate(SAMPLES_MAX);
    html! {
        @for (number, sample) in samples.iter().enumerate() {
            figure class="panel json" {
                figcaption { @if number == 0 { "As JSON" } @else { "or" } }
                pre { code { (super::highlight::highlight(sample, Language::TypeScript, &|_| None)) } }
            }
        }
        @if left_out > 0 { p class="small" { "and " (counted(left_out, "more variant")) } }
        @if let Some(schema) = &atlas.description.types[at].schema {
            (code_panel(atlas, Language::Plain, "JSON schema of its author", &format!("{schema:#}")))
        }
    }
}
