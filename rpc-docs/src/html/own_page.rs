//! Renders a custom page from Markdown.

use maud::html;

use super::{
    atlas::Atlas,
    markdown::{self, Heading},
    page::{self, Content, Place},
    theme::Page,
};

/// Renders `page.….html`.
pub(super) fn render(atlas: &Atlas<'_>, at: usize) -> String {
    let own = &atlas.theme.pages[at];
    let text = text(own);
    let (prose, headings) = markdown::render_page(atlas, text);
    let body = html! {
        header class="hero" { h1 { (own.title) } }
        @if headings.len() > 2 {
            nav class="contents" aria-label="On this page" {
                ul { @for heading in headings.iter().filter(|heading| heading.level <= 3) { li class={ "level-" (heading.level) } { a href={ "#" (heading.id) } { (heading.text) } } } }
            }
        }
        (prose)
    };
    let content = Content { place: Place::Own(at), title: own.title.clone(), summary: text.to_owned(), body };
    page::render(atlas, content)
}

/// The headings for the search index.
pub(super) fn headings(atlas: &Atlas<'_>, at: usize) -> Vec<Heading> {
    markdown::render_page(atlas, text(&atlas.theme.pages[at])).1
}

/// The page's text without a first heading that repeats its title.
fn text(page: &Page) -> &str {
    let repeated = format!("# {}", page.title);
    let text = page.markdown.trim_start();
    text.strip_prefix(&repeated).filter(|rest| rest.starts_with(['\n', '\r'])).unwrap_or(text)
}
