//! Renders the frame of all pages: head, navigation, search, foot.

use maud::{DOCTYPE, Markup, html};

use super::{atlas::Atlas, markdown::plain_summary, names};
use crate::description::{Side, TypeDefinition};

/// The content security policy: only files of the folder; no inline script or style, no frame, form or connection.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'none'; require-trusted-types-for 'script'";

/// The page that the navigation marks as current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Own(usize),
    Service(usize),
    Types,
    Errors,
}

/// The parts that differ between pages.
pub(super) struct Content {
    pub(super) place: Place,
    pub(super) title: String,
    /// Markdown whose first paragraph describes the page to search engines and previews.
    pub(super) summary: String,
    pub(super) body: Markup,
}

/// Renders a whole page.
pub(super) fn render(atlas: &Atlas<'_>, content: Content) -> String {
    let title = match content.place {
        Place::Overview => atlas.title().to_owned(),
        _ => format!("{} · {}", content.title, atlas.title()),
    };
    let summary = plain_summary(&content.summary);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="generator" content="rpc-docs";
                meta name="color-scheme" content="light dark";
                @if !summary.is_empty() { meta name="description" content=(summary); }
                title { (title) }
                link rel="icon" href=(atlas.theme.icon_file());
                link rel="stylesheet" href="site.css";
                script src="early.js" {}
                script src="search-index.js" defer {}
                script src="site.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                (bar(atlas))
                div class="shell" {
                    (navigation(atlas, content.place))
                    main id="main" tabindex="-1" { (content.body) (foot(atlas)) }
                }
                (search_dialog())
            }
        }
    }
    .into_string()
}

fn bar(atlas: &Atlas<'_>) -> Markup {
    html! {
        header class="bar" {
            a class="menu" href="#navigation" { (menu_icon()) span { "Menu" } }
            a class="brand" href="index.html" {
                @if let Some(logo) = &atlas.theme.logo { img src=(logo.file()) alt="" height="28"; }
                @else { img src=(atlas.theme.icon_file()) alt="" width="24" height="24"; }
                span class="brand-name" { (atlas.title()) }
                span class="version" { (atlas.description.version) }
            }
            div class="tools" {
                button type="button" class="search-open" aria-haspopup="dialog" aria-label="Search, key /" {
                    (lens()) span { "Search" } kbd { "/" }
                }
                div class="languages" role="group" aria-label="Language of code" {
                    button type="button" data-choose="rust" aria-pressed="true" { "Rust" }
                    button type="button" data-choose="typescript" aria-pressed="false" { span class="long" { "TypeScript" } span class="short" { "TS" } }
                }
                button type="button" class="theme" aria-label="Switch between light and dark" { (half_moon()) }
            }
        }
    }
}

fn navigation(atlas: &Atlas<'_>, place: Place) -> Markup {
    let current = |here: Place| (here == place).then_some("page");
    html! {
        nav id="navigation" aria-label="Pages" tabindex="-1" {
            ul {
                li { a href="index.html" aria-current=[current(Place::Overview)] { "Overview" } }
                @for (at, page) in atlas.theme.pages.iter().enumerate() {
                    li { a href=(atlas.page_file(at)) aria-current=[current(Place::Own(at))] { (page.title) } }
                }
                li { a href="types.html" aria-current=[current(Place::Types)] { "Types" (count(atlas.description.types.len())) } }
                li { a href="errors.html" aria-current=[current(Place::Errors)] { "Errors" (count(atlas.error_types().len())) } }
            }
            (service_group(atlas, place, "Services", |at| { let service = &atlas.description.services[at]; service.is_root && service.implemented_by != Side::Client }))
            (service_group(atlas, place, "Objects", |at| { let service = &atlas.description.services[at]; !service.is_root && service.implemented_by != Side::Client }))
            (service_group(atlas, place, "Implemented by clients", |at| atlas.description.services[at].implemented_by == Side::Client))
            @if place == Place::Types { (type_group("All types", atlas.description.types.iter(), "type")) }
            @if place == Place::Errors {
                (type_group("All errors", atlas.error_types().into_iter().map(|at| &atlas.description.types[at]), "error"))
            }
        }
    }
}

fn count(count: usize) -> Markup {
    html! { " " span class="count" { (count) } }
}

fn service_group(atlas: &Atlas<'_>, place: Place, title: &str, is_in: impl Fn(usize) -> bool) -> Markup {
    let services: Vec<usize> = (0..atlas.description.services.len()).filter(|at| is_in(*at)).collect();
    html! {
        @if !services.is_empty() {
            p class="group" { (title) }
            ul {
                @for at in services {
                    @let service = &atlas.description.services[at];
                    @let is_here = place == Place::Service(at);
                    li {
                        a href=(atlas.service_file(at)) aria-current=[is_here.then_some("page")] { (service.trait_name()) }
                        @if is_here {
                            ul class="methods" {
                                @for method in &service.methods {
                                    li { a href={ "#" (names::anchor("method", &[&method.name])) } class=[method.deprecated.as_ref().map(|_| "old")] { (method.trait_name()) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn type_group<'a>(title: &str, definitions: impl Iterator<Item = &'a TypeDefinition>, kind: &str) -> Markup {
    html! {
        p class="group" { (title) }
        ul class="methods" {
            @for definition in definitions {
                li { a href={ "#" (names::anchor(kind, &[&definition.name])) } { (definition.name) } }
            }
        }
    }
}

fn foot(atlas: &Atlas<'_>) -> Markup {
    html! {
        footer { p { (atlas.title()) " " (atlas.description.version) " · made by rpc-docs from the API's own traits" } }
    }
}

fn search_dialog() -> Markup {
    html! {
        dialog class="search" aria-label="Search" {
            div class="search-field" {
                (lens())
                input type="text" role="combobox" aria-label="Search services, methods, types and pages" aria-expanded="false"
                    aria-controls="results" aria-autocomplete="list" autocomplete="off" autocapitalize="off" spellcheck="false"
                    placeholder="Search methods, types, fields, pages …";
                button type="button" class="search-close" aria-label="Esc: close the search" { kbd { "Esc" } }
            }
            ul id="results" role="listbox" aria-label="Results" {}
            p class="search-status" role="status" aria-live="polite" {}
            p class="search-keys" aria-hidden="true" { span { kbd { "↑" } kbd { "↓" } " move" } span { kbd { "Enter" } " open" } span { kbd { "Esc" } " close" } }
        }
    }
}

fn lens() -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            circle cx="7" cy="7" r="4.5" {}
            path d="M10.5 10.5 14 14" {}
        }
    }
}

fn menu_icon() -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { path d="M2 4h12M2 8h12M2 12h12" {} }
    }
}

fn half_moon() -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            circle cx="8" cy="8" r="5.5" {}
            path class="filled" d="M8 2.5a5.5 5.5 0 0 1 0 11z" {}
        }
    }
}
