//! Rewrites doc comments as parts of a page: resolves links, escapes markup, and closes open blocks.

use std::ops::Range;

use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::{
    Pages,
    places::Page,
    text::{cell, escaped},
};
use crate::{links::Target, prose};

/// Edits of a comment, by range. Edits of links and headings change only the markup around their text, so they do not overlap.
struct Edits<'t> {
    text: &'t str,
    edits: Vec<(Range<usize>, String)>,
}

/// A link or heading whose end has not been reached yet.
struct Open {
    range: Range<usize>,
    content: Option<Range<usize>>,
    before: String,
    after: String,
}

impl<'a> Pages<'a> {
    /// A comment as a part of a page, with headings below `level`.
    pub(super) fn comment(
        &self,
        docs: &str,
        home: Option<Target<'a>>,
        page: Page<'_>,
        level: usize,
    ) -> String {
        let docs = prose::shown(docs.trim());
        if docs.is_empty() {
            return String::new();
        }
        let mut out = self.rewritten(&docs, home, page, level);
        out.truncate(out.trim_end().len());
        out.push_str("\n\n");
        out
    }

    /// The first sentence of a comment for a cell of a table.
    pub(super) fn summary(&self, docs: &str, home: Option<Target<'a>>, page: Page<'_>) -> String {
        cell(self.rewritten(&prose::summary(docs), home, page, 6).trim())
    }

    fn rewritten(&self, docs: &str, home: Option<Target<'a>>, page: Page<'_>, level: usize) -> String {
        let address = |path: &str| Some(self.places.link(page, self.links.resolve(path, home)?));
        let resolve = |link: BrokenLink<'_>| {
            let address = address(&link.reference)?;
            Some((CowStr::from(address), CowStr::from("")))
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let parser = Parser::new_with_broken_link_callback(docs, options, Some(resolve));
        let definitions: Vec<Range<usize>> =
            parser.reference_definitions().iter().map(|(_, definition)| definition.span.clone()).collect();
        let mut edits = Edits { text: docs, edits: Vec::new() };
        // Links are written in full. Their definitions are removed, because they would affect other comments on the page.
        edits.edits.extend(definitions.into_iter().map(|span| (span, String::new())));
        let mut open: Vec<Open> = Vec::new();
        let mut depth = 0_usize;
        let mut fence = None;
        let mut is_in_code = false;
        for (event, range) in parser.into_offset_iter() {
            for open in &mut open {
                open.widen(&range);
            }
            match event {
                Event::Start(tag) => {
                    depth += 1;
                    match tag {
                        Tag::Link { link_type, dest_url, .. } => {
                            let address = address(&dest_url).unwrap_or_else(|| dest_url.to_string());
                            open.extend(link(link_type, &address, range));
                        }
                        Tag::Image { dest_url, .. } => open.extend(image(&dest_url, range)),
                        Tag::Heading { level: own, .. } => {
                            let marks = "#".repeat((own as usize + level).min(6));
                            open.push(Open::new(range, format!("{marks} "), String::new()));
                        }
                        Tag::CodeBlock(kind) => {
                            is_in_code = true;
                            if depth == 1 && matches!(kind, CodeBlockKind::Fenced(_)) {
                                fence = Some(range);
                            }
                        }
                        _ => {}
                    }
                }
                Event::End(tag) => {
                    depth -= 1;
                    is_in_code &= !matches!(tag, TagEnd::CodeBlock);
                    let is_edited = matches!(tag, TagEnd::Link | TagEnd::Image | TagEnd::Heading(_));
                    if is_edited && open.last().is_some_and(|open| open.range == range) {
                        edits.extend(open.pop());
                    }
                }
                Event::Text(_) if !is_in_code => edits.defuse(range),
                Event::Html(_) | Event::InlineHtml(_) => {
                    let markup = &docs[range.clone()];
                    let end = if markup.ends_with('\n') { "\n" } else { "" };
                    edits
                        .edits
                        .push((range.clone(), format!("{}{end}", escaped(markup.trim_end_matches('\n')))));
                }
                _ => {}
            }
        }
        let mut out = edits.applied();
        if let Some(range) = fence {
            close(&mut out, &docs[range.clone()], range.end == docs.len());
        }
        out
    }
}

impl Open {
    fn new(range: Range<usize>, before: String, after: String) -> Self {
        Self { range, content: None, before, after }
    }

    fn widen(&mut self, inner: &Range<usize>) {
        if *inner == self.range {
            return;
        }
        let content = self.content.get_or_insert_with(|| inner.clone());
        content.start = content.start.min(inner.start);
        content.end = content.end.max(inner.end);
    }
}

impl Edits<'_> {
    fn extend(&mut self, open: Option<Open>) {
        let Some(Open { range, content, before, after }) = open else { return };
        match content {
            Some(content) => {
                self.edits.push((range.start..content.start, before));
                // The line end after a heading belongs to the heading.
                let tail = if self.text[content.end..range.end].ends_with('\n') { "\n" } else { "" };
                self.edits.push((content.end..range.end, format!("{after}{tail}")));
            }
            None => self.edits.push((range, String::new())),
        }
    }

    /// Escapes characters of a text that could begin markup together with the text after the comment.
    fn defuse(&mut self, range: Range<usize>) {
        for (at, letter) in self.text[range.clone()].match_indices(['`', '<']) {
            let at = range.start + at;
            if !self.text[..at].ends_with('\\') {
                let entity = if letter == "<" { "&lt;" } else { "&#96;" };
                self.edits.push((at..at + 1, entity.to_owned()));
            }
        }
    }

    fn applied(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = String::new();
        let mut at = 0;
        for (range, new) in self.edits {
            if range.start < at {
                // Link definitions may lie inside a range that was already edited.
                continue;
            }
            out.push_str(&self.text[at..range.start]);
            out.push_str(&new);
            at = range.end;
        }
        out.push_str(&self.text[at..]);
        out
    }
}

/// Begins the edit of a link. A link to a known item or to the web stays a link; any other becomes its text.
fn link(link_type: LinkType, address: &str, range: Range<usize>) -> Option<Open> {
    let is_auto = matches!(link_type, LinkType::Autolink | LinkType::Email);
    match (is_auto, is_harmless(address)) {
        (true, true) => None,
        (_, false) => Some(Open::new(range, String::new(), String::new())),
        (false, true) => {
            let address = address.replace(['(', ')', '<', '>', ' ', '\n', '\\'], "");
            Some(Open::new(range, "[".into(), format!("]({address})")))
        }
    }
}

fn image(address: &str, range: Range<usize>) -> Option<Open> {
    if is_harmless(address) { None } else { Some(Open::new(range, String::new(), String::new())) }
}

/// Whether a link may stay: it leads to the web, is an anchor, or has no scheme.
fn is_harmless(address: &str) -> bool {
    let is_web = ["https://", "http://", "mailto:"].iter().any(|scheme| address.starts_with(scheme));
    is_web || address.starts_with('#') || !address.contains(':')
}

/// Closes a code block that its comment left open.
fn close(out: &mut String, block: &str, is_last: bool) {
    let mark = block.chars().next().unwrap_or('`');
    let fence: String = block.chars().take_while(|letter| *letter == mark).collect();
    let last = block.trim_end().rsplit('\n').next().unwrap_or_default().trim();
    let is_closed = block.trim_end().contains('\n')
        && last.len() >= fence.len()
        && last.chars().all(|letter| letter == mark);
    if is_last && !is_closed {
        out.push_str(&format!("\n{fence}\n"));
    }
}
