//! Renders the page of a service: its introduction, how a client is obtained, and each method.

use maud::{Markup, html};

use super::{
    atlas::{self, At, Atlas},
    highlight::Language,
    links::{self, Here, Named},
    markdown, names,
    overview::ways,
    page::{self, Content, Place},
    phrases::{
        badge, code_panel, counted, deprecation, method_list, path, side_badge, sinks, sources, type_markup,
        whole_method_list,
    },
    sequence, signature,
};
use crate::{
    description::{Argument, Method, Service, Side, Type, Variant},
    examples::Examples,
    prose::{self, readable_message},
};

/// The number of error variants that a method shows open, and of further ones that can be opened. The page of errors has all.
const VARIANTS_OPEN: usize = 3;
const VARIANTS_MAX: usize = 12;
/// The maximum number of parts of a result that are shown with their flows.
const PARTS_MAX: usize = 12;

/// The `Self` of links in the service's comments.
pub(super) fn here(at: usize) -> Here {
    Some(Named::Service(at))
}

/// Renders `service.….html`.
pub(super) fn render(atlas: &Atlas<'_>, at: usize) -> String {
    let service = &atlas.description.services[at];
    let body = html! {
        header class="hero" {
            p class="kind" { (kind(service)) }
            h1 { (service.trait_name()) }
            p class="badges" {
                (side_badge(service.implemented_by))
                @if service.is_root { (badge("plain", "root", "A connection offers it at once.")) }
                @if service.ordered { (badge("plain", "ordered", "A call that waits for a promise holds back later calls of the same object.")) }
            }
            (markdown::render(atlas, here(at), &service.docs, 1))
            (reached(atlas, at))
        }
        (contents(atlas, at))
        @if !service.methods.is_empty() { p class="small declared" data-language="typescript" { (crate::typescript::NO_CLIENT) } }
        h2 class="hidden" { "Methods" }
        @for method in 0..service.methods.len() { (method_section(atlas, At { service: at, method })) }
    };
    let (title, summary) = (service.trait_name().to_owned(), service.docs.clone());
    page::render(atlas, Content { place: Place::Service(at), title, summary, body })
}

fn kind(service: &Service) -> &'static str {
    match (service.implemented_by, service.is_root) {
        (Side::Client, _) => "Service that your client implements and the server calls",
        (_, true) => "Service",
        (_, false) => "Object",
    }
}

fn reached(atlas: &Atlas<'_>, at: usize) -> Markup {
    let service = &atlas.description.services[at];
    html! {
        dl class="meta" {
            div { dt { "How to get one" } dd { (ways(atlas, at)) @if atlas.depth(at).is_none() { "It cannot be reached from the root." } } }
            @if service.name != service.trait_name() {
                div { dt { "Name on the wire" } dd { code { (service.name) } } }
            }
        }
    }
}

fn contents(atlas: &Atlas<'_>, at: usize) -> Markup {
    let service = &atlas.description.services[at];
    html! {
        @if service.methods.len() > 1 {
            div class="scroll" {
                table class="contents-table" {
                    caption class="hidden" { "Methods of " (service.trait_name()) }
                    tbody {
                        @for method in &service.methods {
                            tr {
                                th scope="row" {
                                    a href={ "#" (names::anchor("method", &[&method.name])) } class=[method.deprecated.as_ref().map(|_| "old")] { (method.trait_name()) }
                                }
                                td { (markdown::summary(atlas, here(at), &method.docs)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn method_section(atlas: &Atlas<'_>, at: At) -> Markup {
    let (_, method) = atlas.method(at);
    // The comment's section on errors is shown with the errors.
    let (docs, errors_said) = prose::without_section(&method.docs, "Errors");
    let id = names::anchor("method", &[&method.name]);
    let title = format!("{id}-title");
    html! {
        section class="method" id=(id) aria-labelledby=(title) {
            header {
                h3 id=(title) class=[method.deprecated.as_ref().map(|_| "old")] { a class="anchor" href={ "#" (id) } { (method.trait_name()) } }
                (badges(atlas, at))
            }
            div class="signature" {
                (code_panel(atlas, Language::Rust, "Rust", &signature::rust(method)))
                (code_panel(atlas, Language::TypeScript, "TypeScript", &atlas.declarations.signature(method)))
            }
            div class="columns" {
                div class="told" {
                    (problems(method))
                    (deprecation(atlas, here(at.service), method.deprecated.as_deref()))
                    (markdown::render(atlas, here(at.service), &docs, 3))
                    (arguments(atlas, at))
                    (result(atlas, at))
                    (errors(atlas, at, &errors_said))
                    (small_print(method))
                }
                div class="shown" { (shown(atlas, at)) }
            }
        }
    }
}

fn badges(atlas: &Atlas<'_>, at: At) -> Markup {
    let (service, method) = atlas.method(at);
    let (caller, runs) = match service.implemented_by {
        Side::Client => ("server", "your client"),
        _ => ("caller", "the server"),
    };
    html! {
        p class="badges" {
            @if !method.problems.is_empty() { (badge("bad", "not callable", "The call would be refused; the reason is below.")) }
            @if method.deprecated.is_some() { (badge("old", "deprecated", "It will go away.")) }
            @if method.idempotent { (badge("good", "idempotent", "Running it twice does what running it once does: it may be retried.")) }
            @if method.oneway { (badge("plain", "one-way", &format!("The {caller} gets no result and no error."))) }
            @if method.no_cancel { (badge("plain", "not cancelled by dropping", &format!("A dropped promise does not stop {runs}."))) }
            @if service.ordered { (badge("plain", "ordered", "It starts after earlier calls of the same object.")) }
            @if let Some(batch) = &method.batch {
                span class="badge plain" title="Calls that are there together are answered by one call of that method." {
                    "batched by "
                    @match atlas.method_at(&service.name, batch) {
                        Some(at) => a href=(atlas.method_link(at)) { (batch) },
                        None => (batch),
                    }
                }
            }
        }
    }
}

fn problems(method: &Method) -> Markup {
    html! {
        @if !method.problems.is_empty() {
            div class="note bad" {
                p { strong { "It cannot be called" } }
                ul { @for problem in &method.problems { li { (problem) } } }
            }
        }
    }
}

fn arguments(atlas: &Atlas<'_>, at: At) -> Markup {
    let (_, method) = atlas.method(at);
    html! {
        @if !method.arguments.is_empty() {
            h4 { "Arguments" }
            dl class="parts" {
                @for argument in &method.arguments { (argument_part(atlas, at, argument)) }
            }
        }
    }
}

fn argument_part(atlas: &Atlas<'_>, at: At, argument: &Argument) -> Markup {
    let flow = atlas.flows(at).built_on.iter().find(|(name, _)| *name == argument.name);
    html! {
        div {
            dt { code class="name" { (argument.name) } (type_markup(atlas, &argument.value.ty)) }
            dd {
                @if let Some((_, definition)) = named(atlas, &argument.value.ty) {
                    p { (markdown::summary(atlas, None, &definition.docs)) }
                }
                @if let Some((_, flow)) = flow {
                    div class="fits" { span class="fits-label" { "can be a promise from" } (sources(atlas, flow)) }
                }
            }
        }
    }
}

fn named<'a>(atlas: &Atlas<'a>, ty: &Type) -> Option<(usize, &'a crate::description::TypeDefinition)> {
    match ty {
        Type::Ref(name) => atlas.definition(name),
        Type::Option(inner)
        | Type::List(inner)
        | Type::Collection { element: inner, .. }
        | Type::Stream { item: inner, .. } => named(atlas, inner),
        _ => None,
    }
}

fn result(atlas: &Atlas<'_>, at: At) -> Markup {
    let (service, method) = atlas.method(at);
    let leads_to = &atlas.flows(at).leads_to;
    let is_client = service.implemented_by == Side::Client;
    html! {
        h4 { "Result" }
        @if method.oneway {
            p class="result" { "None: the " (if is_client { "server" } else { "caller" }) " is not told how it went." }
        } @else {
            dl class="parts" {
                div {
                    dt { (type_markup(atlas, &method.result.ty)) }
                    dd {
                        @if method.result.ty == Type::Unit { p { "Nothing." } }
                        @if let Some((_, definition)) = named(atlas, &method.result.ty) { p { (markdown::summary(atlas, None, &definition.docs)) } }
                        @if let Type::Object(name) = &method.result.ty && let Some((at, object)) = atlas.service(name) { p { (markdown::summary(atlas, here(at), &object.docs)) } }
                        @for (steps, flow) in leads_to.iter().take(PARTS_MAX) {
                            div class="fits" {
                                span class="fits-label" {
                                    @if steps.is_empty() { "can be passed to" } @else { code class="path" { (path(steps)) } " can be passed to" }
                                }
                                (sinks(atlas, flow))
                            }
                        }
                        @if leads_to.len() > PARTS_MAX { p class="small" { (counted(leads_to.len() - PARTS_MAX, "part")) " more of the result can be passed on." } }
                    }
                }
            }
        }
    }
}

/// Renders the errors of a call and of the streams that it returns. `said` is the comment's section on errors.
fn errors(atlas: &Atlas<'_>, at: At, said: &str) -> Markup {
    let (_, method) = atlas.method(at);
    let call = method.error.iter().map(|error| (&error.ty, None));
    let streams = atlas.carried(&method.result.ty).into_iter().filter_map(|part| match part {
        Type::Stream { error: Some(error), .. } => Some((&**error, Some("ends the stream: "))),
        _ => None,
    });
    let mut errors: Vec<(&Type, Option<&str>)> = call.chain(streams).collect();
    // An error type of both the call and a stream is listed once.
    for at in (1..errors.len()).rev() {
        if errors[..at].iter().any(|(ty, _)| *ty == errors[at].0) {
            errors.remove(at);
        }
    }
    html! {
        @if !errors.is_empty() || !said.is_empty() {
            h4 { "Errors" }
            (markdown::render(atlas, here(at.service), said, 4))
            @for (ty, what) in errors { (error(atlas, ty, what)) }
        }
    }
}

fn error(atlas: &Atlas<'_>, ty: &Type, what: Option<&str>) -> Markup {
    html! {
        @match ty {
            Type::Ref(name) => @if let Some((at, definition)) = atlas.definition(name) {
                @let variants = atlas::variants(definition);
                @let (first, more) = variants.split_at(variants.len().min(VARIANTS_OPEN));
                p class="result" { (what.unwrap_or_default()) a class="error-type" href=(links::error_link(atlas, at)) { (definition.name) } " " (markdown::summary(atlas, None, &definition.docs)) }
                @if !first.is_empty() {
                    dl class="variants" { @for variant in first { (variant_part(atlas, at, variant)) } }
                }
                @if !more.is_empty() {
                    details class="more-variants" {
                        summary { "and " (counted(more.len(), "more variant")) }
                        dl class="variants" { @for variant in more.iter().take(VARIANTS_MAX) { (variant_part(atlas, at, variant)) } }
                        @if more.len() > VARIANTS_MAX { p class="small" { "and " a href=(links::error_link(atlas, at)) { (counted(more.len() - VARIANTS_MAX, "more variant")) } } }
                    }
                }
            },
            ty => p class="result" { (what.unwrap_or_default()) (type_markup(atlas, ty)) },
        }
    }
}

fn variant_part(atlas: &Atlas<'_>, at: usize, variant: &Variant) -> Markup {
    let definition = &atlas.description.types[at];
    let anchor = names::anchor("variant", &[&definition.name, &variant.name]);
    html! {
        div {
            dt { a href={ "errors.html#" (anchor) } { (variant.name) } }
            dd {
                @match &variant.message {
                    Some(message) if variant.docs.trim().is_empty() => (readable_message(message)),
                    _ => (markdown::summary(atlas, Some(Named::Type(at)), &variant.docs)),
                }
            }
        }
    }
}

fn small_print(method: &Method) -> Markup {
    html! {
        p class="small fingerprint" {
            span title="What both sides compare before the first call: it changes when what travels does." { "Fingerprint" } " " code { (method.fingerprint) }
            @if method.name != method.trait_name() { " · on the wire " code { (method.name) } }
        }
    }
}

fn shown(atlas: &Atlas<'_>, at: At) -> Markup {
    let (service, method) = atlas.method(at);
    let Examples { rust_awaited, rust_pipelined, typescript_awaited, typescript_pipelined } =
        atlas.guide.examples(service, method);
    let (first, second) = match service.implemented_by {
        Side::Client => ("Implemented in your client", "Handed to the server"),
        Side::Server | Side::Both => ("Step by step", "In one round trip"),
    };
    let is_pipelined = (&rust_pipelined, &typescript_pipelined) != (&rust_awaited, &typescript_awaited);
    html! {
        (example(atlas, first, &rust_awaited, &typescript_awaited))
        @if is_pipelined { (example(atlas, second, &rust_pipelined, &typescript_pipelined)) }
        (sequence::render(atlas, at))
    }
}

fn example(atlas: &Atlas<'_>, label: &str, rust: &str, typescript: &str) -> Markup {
    html! {
        (code_panel(atlas, Language::Rust, label, rust))
        (code_panel(atlas, Language::TypeScript, label, typescript))
    }
}

/// A labelled list of methods that use a type, for the pages of types and errors.
pub(super) fn used_by(atlas: &Atlas<'_>, label: &str, methods: &[At]) -> Markup {
    html! {
        @if !methods.is_empty() { div { dt { (label) } dd { (method_list(atlas, methods)) } } }
    }
}

/// Like [`used_by`], with all methods of a long list.
pub(super) fn used_by_all(atlas: &Atlas<'_>, label: &str, methods: &[At]) -> Markup {
    html! {
        @if !methods.is_empty() { div { dt { (label) } dd { (whole_method_list(atlas, methods)) } } }
    }
}
