//! Renders the page of errors: each error type of calls and streams, its variants, and the methods that fail with it.

use maud::{Markup, html};

use super::{
    atlas::{self, Atlas},
    definitions::variant_part,
    links::{Named, definition_link},
    markdown, names,
    page::{self, Content, Place},
    phrases::{badge, counted, deprecation, type_markup},
    service::used_by_all,
};
use crate::description::Shape;

/// Renders `errors.html`.
pub(super) fn render(atlas: &Atlas<'_>) -> String {
    let errors = atlas.error_types();
    let body = html! {
        header class="hero" {
            h1 { "Errors" }
            p class="lead" {
                @if errors.is_empty() { "No method of this API fails with an error of its own." }
                @else { (counted(errors.len(), "type")) " that calls and streams fail with: errors of the API's own." }
            }
            p {
                "A call can also fail for reasons that no method decides: the connection ended, its deadline passed, a limit was met. "
                "A call that was built on a failed one fails with that one's error."
            }
        }
        @for at in errors { (section(atlas, at)) }
    };
    let summary = format!("What calls of {} can fail with", atlas.title());
    page::render(atlas, Content { place: Place::Errors, title: "Errors".into(), summary, body })
}

fn section(atlas: &Atlas<'_>, at: usize) -> Markup {
    let definition = &atlas.description.types[at];
    let here = Some(Named::Type(at));
    let id = names::anchor("error", &[&definition.name]);
    let title = format!("{id}-title");
    html! {
        section class="definition" id=(id) aria-labelledby=(title) {
            header {
                h2 id=(title) { a class="anchor" href={ "#" (id) } { (definition.name) } }
                p class="badges" {
                    @if definition.deprecated.is_some() { (badge("old", "deprecated", "It will go away.")) }
                    a class="badge plain" href=(definition_link(atlas, at)) { "see Types" }
                }
            }
            (deprecation(atlas, here, definition.deprecated.as_deref()))
            (markdown::render(atlas, here, &definition.docs, 2))
            @match &definition.shape {
                Shape::Enum(_) => {
                    h3 { "Variants" }
                    dl class="parts" {
                        @for variant in atlas::variants(definition) { (variant_part(atlas, definition, variant, here, "variant")) }
                    }
                },
                Shape::Newtype(inner) => p class="result" { "Wraps " (type_markup(atlas, inner)) "." },
                Shape::Struct(fields) if !fields.is_empty() => {
                    h3 { "Fields" }
                    ul class="variant-fields" {
                        @for field in fields {
                            li { code class="name" { (field.name) } " " (type_markup(atlas, &field.ty)) " " (markdown::summary(atlas, here, &field.docs)) }
                        }
                    }
                },
                _ => p class="result" { "Its parts are on the " a href=(definition_link(atlas, at)) { "page of types" } "." },
            }
            dl class="meta" { (used_by_all(atlas, "Methods that can fail with it", &atlas.uses(at).fails)) }
        }
    }
}
