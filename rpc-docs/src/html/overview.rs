//! Renders the first page: the introduction, the services, the tree of objects, the pipelining map, and the limits.

use maud::{Markup, html};

use super::{
    atlas::{At, Atlas},
    highlight::Language,
    map, markdown,
    page::{self, Content, Place},
    phrases::{badge, code_panel, counted, method_reference, side_badge},
};
use crate::{agents::connecting, description::Side};

/// The maximum number of services in the tree of objects.
const TREE_MAX: usize = 40;
/// The maximum number of methods that the tree names for one object.
const WAYS_MAX: usize = 4;

/// Renders `index.html`.
pub(super) fn render(atlas: &Atlas<'_>) -> String {
    let description = atlas.description;
    let body = html! {
        header class="hero" {
            h1 { (atlas.title()) }
            p class="facts-line" {
                span class="version" { "Version " (description.version) }
                span { (counted(description.services.len(), "service")) }
                span { (counted(description.services.iter().map(|service| service.methods.len()).sum(), "method")) }
                span { (counted(description.types.len(), "type")) }
            }
            (markdown::render(atlas, None, &description.docs, 1))
        }
        (cards(atlas))
        (tree(atlas))
        (map::render(atlas))
        (connect(atlas))
        (limits(atlas))
    };
    let summary = description.docs.clone();
    page::render(atlas, Content { place: Place::Overview, title: atlas.title().to_owned(), summary, body })
}

fn connect(atlas: &Atlas<'_>) -> Markup {
    html! {
        section id="connecting" aria-labelledby="connecting-title" {
            h2 id="connecting-title" { a class="anchor" href="#connecting" { "Connecting" } }
            p class="lead" { (markdown::summary(atlas, None, connecting::LEAD)) }
            p class="small declared" data-language="typescript" { (crate::typescript::NO_CLIENT) }
            div class="connecting" {
                (code_panel(atlas, Language::Plain, "Cargo.toml", connecting::DEPENDENCIES))
                (code_panel(atlas, Language::Rust, "Rust", &connecting::code(atlas.description)))
            }
            p class="small" { (connecting::NOTE) }
        }
    }
}

fn cards(atlas: &Atlas<'_>) -> Markup {
    html! {
        section id="services" aria-labelledby="services-title" {
            h2 id="services-title" { a class="anchor" href="#services" { "Services" } }
            @if atlas.description.services.is_empty() { p class="small" { "The API has no services yet." } }
            div class="cards" {
                @for at in 0..atlas.description.services.len() { (card(atlas, at)) }
            }
        }
    }
}

fn card(atlas: &Atlas<'_>, at: usize) -> Markup {
    let service = &atlas.description.services[at];
    html! {
        article class="service-card" {
            h3 { a href=(atlas.service_file(at)) { (service.trait_name()) } }
            p class="badges" {
                (side_badge(service.implemented_by))
                @if service.is_root { (badge("plain", "root", "A connection offers it at once.")) }
                @if service.ordered { (badge("plain", "ordered", "Calls of one object run in the order they were made.")) }
            }
            p class="card-text" { (markdown::summary(atlas, super::service::here(at), &service.docs)) }
            p class="small" { (counted(service.methods.len(), "method")) }
        }
    }
}

/// The tree of root services, each with the objects that its methods return or take.
fn tree(atlas: &Atlas<'_>) -> Markup {
    let services = &atlas.description.services;
    let roots: Vec<usize> = (0..services.len()).filter(|at| services[*at].is_root).collect();
    if roots.len() == services.len() {
        return html! {};
    }
    // A walk along the shortest paths gives the order and the depth of each service.
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); services.len()];
    for at in 0..services.len() {
        if let Some(way) = atlas.way(at) {
            below[way.service].push(at);
        }
    }
    let (lone, parents): (Vec<usize>, Vec<usize>) = roots.iter().partition(|root| below[**root].is_empty());
    let mut left = TREE_MAX;
    let branches: Vec<Markup> =
        parents.iter().filter_map(|root| branch(atlas, &below, *root, &mut left)).collect();
    let unreached = (0..services.len()).filter(|at| atlas.depth(*at).is_none()).count();
    html! {
        section id="objects" aria-labelledby="objects-title" {
            h2 id="objects-title" { a class="anchor" href="#objects" { "How to reach them" } }
            p class="lead" {
                "A connection offers the services at the root. All others are objects: a method gives one, or takes one of yours to call it later."
            }
            ul class="tree" { @for branch in branches { (branch) } }
            @if !lone.is_empty() {
                p class="small" { "On their own:" }
                ul class="tree-rest" {
                    @for at in &lone { li { a class="tree-name" href=(atlas.service_file(*at)) { (services[*at].trait_name()) } } }
                }
            }
            @if left == 0 && services.len() > TREE_MAX + lone.len() { p class="small" { "Large APIs are cut here after " (TREE_MAX) " services; the pages of the services name the ways to each." } }
            @if unreached > 0 { p class="small" { (counted(unreached, "service")) " cannot be reached from the root." } }
        }
    }
}

fn branch(atlas: &Atlas<'_>, below: &[Vec<usize>], at: usize, left: &mut usize) -> Option<Markup> {
    *left = left.checked_sub(1)?;
    let service = &atlas.description.services[at];
    let children: Vec<Markup> =
        below[at].iter().filter_map(|child| branch(atlas, below, *child, left)).collect();
    Some(html! {
        li {
            div class="tree-node" {
                a class="tree-name" href=(atlas.service_file(at)) { (service.trait_name()) }
                span class="ways" { (ways(atlas, at)) }
            }
            @if !children.is_empty() { ul { @for child in children { (child) } } }
        }
    })
}

/// A sentence that says how a client of a service is obtained.
pub(super) fn ways(atlas: &Atlas<'_>, at: usize) -> Markup {
    let service = &atlas.description.services[at];
    let uses = atlas.objects(at);
    let is_client = service.implemented_by == Side::Client;
    html! {
        @if service.is_root {
            @if is_client { "each client offers it to the server " } @else { "offered by each connection " }
        }
        @if !uses.returned_by.is_empty() { "given by " (references(atlas, &uses.returned_by)) " " }
        @if !uses.taken_by.is_empty() {
            @if is_client { "made by your client, handed to " } @else { "taken by " }
            (references(atlas, &uses.taken_by))
        }
    }
}

fn references(atlas: &Atlas<'_>, methods: &[At]) -> Markup {
    html! {
        @for (number, at) in methods.iter().take(WAYS_MAX).enumerate() {
            @if number > 0 { ", " }
            (method_reference(atlas, *at))
        }
        @if methods.len() > WAYS_MAX { " and " (methods.len() - WAYS_MAX) " more" }
    }
}

fn limits(atlas: &Atlas<'_>) -> Markup {
    let limits = &atlas.description.limits;
    html! {
        @if !limits.is_empty() {
            section id="limits" aria-labelledby="limits-title" {
                h2 id="limits-title" { a class="anchor" href="#limits" { "Limits" } }
                p class="lead" { "What a caller can meet on this server. A refusal names the limit." }
                div class="scroll" {
                    table class="stacked" {
                        thead { tr { th scope="col" { "Limit" } th scope="col" { "Value" } th scope="col" { "What happens" } } }
                        tbody {
                            @for limit in limits {
                                tr {
                                    th scope="row" { code { (limit.name) } }
                                    td data-label="Value" class="nowrap" { (limit.value) }
                                    td data-label="What happens" { (markdown::summary(atlas, None, &limit.meaning)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
