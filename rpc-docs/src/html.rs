//! Renders the documentation of an API as a folder of web pages, which need neither a server nor a network.
//!
//! [`render`] is a pure function: the same description and theme give the same bytes. All contents of a description are shown as
//! text, never as markup. Scripts, styles and pictures come from the folder alone.

mod atlas;
mod definitions;
mod errors;
mod highlight;
mod links;
mod map;
mod markdown;
mod names;
mod overview;
mod own_page;
mod page;
mod phrases;
mod sample;
mod search;
mod sequence;
mod service;
mod signature;
mod theme;

#[cfg(test)]
mod tests;

use atlas::Atlas;
pub(crate) use atlas::is_plain;

pub use theme::{Colour, Logo, Page, Theme};

use crate::{Description, Files, prose::printable};

/// The script that sets colours and language before the first paint.
const EARLY_SCRIPT: &str = include_str!("html/assets/early.js");
/// The script behind search, switches and copy buttons.
const SITE_SCRIPT: &str = include_str!("html/assets/site.js");
const STYLE: &str = include_str!("html/assets/site.css");

/// The pages of an API's documentation, with their style and scripts: one flat folder that opens from `index.html`.
///
/// File names and anchors depend on names alone, so links into the pages stay valid when the API grows.
///
/// # Example
/// ```
/// use rpc_docs::{Description, html};
///
/// # let text = r#"{"format":1,"title":"Chat","version":"1","services":[],"types":[]}"#;
/// let description = Description::from_json(text)?;
/// let theme = html::Theme { accent: html::Colour::rgb(0x0f, 0x76, 0x6e), ..Default::default() };
/// let site = html::render(&description, &theme);
/// assert!(site.file("index.html").is_some());
/// # Ok::<(), rpc_docs::DescriptionError>(())
/// ```
pub fn render(description: &Description, theme: &Theme) -> Files {
    let names = crate::names::Names::of(description);
    let atlas = Atlas::new(description, theme, &names);
    let mut site = Files::default();
    site.put("site.css", format!("{}{STYLE}", theme.accent.variables()));
    site.put("early.js", EARLY_SCRIPT);
    site.put("site.js", SITE_SCRIPT);
    match &theme.logo {
        Some(logo) => site.put(logo.file(), logo.bytes()),
        None => site.put(theme::MARK_FILE, theme.mark()),
    }
    site.put("index.html", printable(overview::render(&atlas)));
    for at in 0..description.services.len() {
        site.put(atlas.service_file(at), printable(service::render(&atlas, at)));
    }
    site.put("types.html", printable(definitions::render(&atlas)));
    site.put("errors.html", printable(errors::render(&atlas)));
    for at in 0..theme.pages.len() {
        site.put(atlas.page_file(at), printable(own_page::render(&atlas, at)));
    }
    site.put("search-index.js", printable(search::render(&atlas)));
    site
}
