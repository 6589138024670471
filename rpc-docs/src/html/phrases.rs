//! Small pieces of markup that several pages share: types, references to methods, badges, code.

use maud::{Markup, html};

use super::{
    atlas::{At, Atlas},
    highlight::{Language, highlight},
    links,
};
use crate::description::{Flow, PathStep, Side, Sink, Source, Type};

/// The maximum number of references in a list; the others are counted.
const REFERENCES_MAX: usize = 12;

/// A type as Rust writes it, with links.
pub(super) fn type_markup(atlas: &Atlas<'_>, ty: &Type) -> Markup {
    html! { code class="type" { (type_parts(atlas, ty)) } }
}

fn type_parts(atlas: &Atlas<'_>, ty: &Type) -> Markup {
    let inner = |ty: &Type| type_parts(atlas, ty);
    html! {
        @match ty {
            Type::Ref(name) => @match atlas.definition(name) {
                Some((at, _)) => a href=(links::definition_link(atlas, at)) { (name) },
                None => (name),
            },
            Type::Object(name) => @match atlas.service(name) {
                Some((at, service)) => a href=(atlas.service_file(at)) { (service.trait_name()) "Client" },
                None => { (name) "Client" },
            },
            Type::Stream { item, error: None } => { "Streaming<" (inner(item)) ">" },
            Type::Stream { item, error: Some(error) } => { "Streaming<" (inner(item)) ", " (inner(error)) ">" },
            Type::Option(element) => { "Option<" (inner(element)) ">" },
            Type::List(element) => { "Vec<" (inner(element)) ">" },
            Type::Collection { name, element } => { (name) "<" (inner(element)) ">" },
            Type::Map { name, key, value } => { (name) "<" (inner(key)) ", " (inner(value)) ">" },
            Type::Array { element, len } => { "[" (inner(element)) "; " (len) "]" },
            Type::Result { ok, error } => { "Result<" (inner(ok)) ", " (inner(error)) ">" },
            Type::Tuple(elements) => {
                "("
                @for (at, element) in elements.iter().enumerate() {
                    @if at > 0 { ", " }
                    (inner(element))
                }
                ")"
            },
            plain => span class="t" { (plain_name(plain)) },
        }
    }
}

/// A type in words alone, for pictures and lists.
pub(super) fn type_name(atlas: &Atlas<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| type_name(atlas, ty);
    match ty {
        Type::Ref(name) => name.clone(),
        Type::Object(name) => {
            atlas.service(name).map_or(name.as_str(), |(_, service)| service.trait_name()).to_owned()
        }
        Type::Stream { item, .. } => format!("Streaming<{}>", inner(item)),
        Type::Option(element) => format!("Option<{}>", inner(element)),
        Type::List(element) => format!("Vec<{}>", inner(element)),
        Type::Collection { name, element } => format!("{name}<{}>", inner(element)),
        Type::Map { name, key, value } => format!("{name}<{}, {}>", inner(key), inner(value)),
        Type::Array { element, len } => format!("[{}; {len}]", inner(element)),
        Type::Result { ok, error } => format!("Result<{}, {}>", inner(ok), inner(error)),
        Type::Tuple(elements) => format!("({})", elements.iter().map(inner).collect::<Vec<_>>().join(", ")),
        plain => plain_name(plain).to_owned(),
    }
}

fn plain_name(ty: &Type) -> &str {
    match ty {
        Type::Bool => "bool",
        Type::I8 => "i8",
        Type::I16 => "i16",
        Type::I32 => "i32",
        Type::I64 => "i64",
        Type::I128 => "i128",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::U128 => "u128",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "String",
        Type::Bytes => "Bytes",
        Type::Unit => "()",
        _ => "unknown",
    }
}

/// A method by its service and name, with a link.
pub(super) fn method_reference(atlas: &Atlas<'_>, at: At) -> Markup {
    let (service, method) = atlas.method(at);
    html! {
        a class="ref" href=(atlas.method_link(at)) {
            span class="owner" { (service.trait_name()) "." } (method.trait_name())
        }
    }
}

/// A list of methods; of a long list, the first ones and the number of others.
pub(super) fn method_list(atlas: &Atlas<'_>, methods: &[At]) -> Markup {
    html! { (listed(methods.iter().map(|at| method_reference(atlas, *at)).take(REFERENCES_MAX), methods.len())) }
}

/// A list of all these methods.
pub(super) fn whole_method_list(atlas: &Atlas<'_>, methods: &[At]) -> Markup {
    html! { ul class="refs" { @for at in methods { li { (method_reference(atlas, *at)) } } } }
}

/// A list of types; of a long list, the first ones and the number of others.
pub(super) fn definition_list(atlas: &Atlas<'_>, definitions: &[usize]) -> Markup {
    let reference = |at: &usize| {
        html! { a class="ref" href=(links::definition_link(atlas, *at)) { (atlas.description.types[*at].name) } }
    };
    html! { (listed(definitions.iter().map(reference).take(REFERENCES_MAX), definitions.len())) }
}

/// Items in a row, `count` of them in all.
fn listed(items: impl Iterator<Item = Markup>, count: usize) -> Markup {
    html! {
        ul class="refs" {
            @for item in items { li { (item) } }
            @if count > REFERENCES_MAX { li class="more" { "and " (count - REFERENCES_MAX) " more" } }
        }
    }
}

/// The steps into a result: `.presence?`, `[…].id`.
pub(super) fn path(steps: &[PathStep]) -> String {
    steps
        .iter()
        .map(|step| match step {
            PathStep::Field(name) => format!(".{name}"),
            PathStep::Index(at) => format!(".{at}"),
            PathStep::Some => "?".to_owned(),
            PathStep::Element => "[…]".to_owned(),
        })
        .collect()
}

/// The sources of a flow, with links.
pub(super) fn sources(atlas: &Atlas<'_>, flow: &Flow) -> Markup {
    let known = |source: &Source| atlas.method_at(&source.service, &source.method);
    let reference = |source: &Source| {
        html! { @if let Some(at) = known(source) { (method_reference(atlas, at)) } @if !source.path.is_empty() { code class="path" { (path(&source.path)) } } }
    };
    listed(flow.from.iter().map(reference).take(REFERENCES_MAX), flow.from.len())
}

/// The sinks of a flow, with links.
pub(super) fn sinks(atlas: &Atlas<'_>, flow: &Flow) -> Markup {
    let reference = |sink: &Sink| match sink {
        Sink::Argument { service, method, argument } => html! {
            @if let Some(at) = atlas.method_at(service, method) { (method_reference(atlas, at)) }
            code class="path" { "(" (argument) ")" }
        },
        Sink::Target { service } => html! {
            @if let Some((at, service)) = atlas.service(service) {
                "all methods of " a class="ref" href=(atlas.service_file(at)) { (service.trait_name()) }
            }
        },
    };
    listed(flow.into.iter().map(reference).take(REFERENCES_MAX), flow.into.len())
}

/// A badge: a word in a frame. `kind` sets its colour.
pub(super) fn badge(kind: &str, text: &str, meaning: &str) -> Markup {
    html! { span class={ "badge " (kind) } title=(meaning) { (text) } }
}

/// A badge that names the side that implements a service.
pub(super) fn side_badge(side: Side) -> Markup {
    match side {
        Side::Server => badge("server", "server", "The server implements it; clients call."),
        Side::Client => badge("client", "your client", "Your client implements it; the server calls."),
        Side::Both => badge("both", "both sides", "Both sides may implement and call it."),
    }
}

/// The note of a deprecated item.
pub(super) fn deprecation(atlas: &Atlas<'_>, here: links::Here, note: Option<&str>) -> Markup {
    html! {
        @if let Some(note) = note {
            p class="note warning" {
                strong { "Deprecated" }
                @if !note.is_empty() { ": " (super::markdown::summary(atlas, here, note)) }
            }
        }
    }
}

/// A piece of code with a label and a place for the copy button.
pub(super) fn code_panel(atlas: &Atlas<'_>, language: Language, label: &str, code: &str) -> Markup {
    let name = match language {
        Language::Rust => "rust",
        Language::TypeScript => "typescript",
        Language::Plain => "plain",
    };
    html! {
        figure class="panel" data-language=(name) {
            figcaption { (label) }
            pre { code { (highlight(code, language, &|word| links::resolve_word(atlas, word))) } }
        }
    }
}

/// `1 method`, `2 methods`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
