//! Renders doc comments: Markdown without active content. HTML is shown as text, pictures become links, and links lead to the web
//! or into these pages.

use maud::{Markup, PreEscaped, Render, html};
use pulldown_cmark::{Alignment, BrokenLink, CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};

use super::{
    atlas::Atlas,
    highlight::{Language, highlight},
    links::{Here, resolve},
    names,
};
use crate::prose;

/// The bytes of a comment that are searched for its first paragraph, and the characters of it that are shown.
const PARAGRAPH_MAX: usize = 2000;
const SUMMARY_MAX: usize = 180;

/// A heading of a custom page.
pub(super) struct Heading {
    pub(super) id: String,
    pub(super) level: usize,
    pub(super) text: String,
}

/// Renders a whole comment. Its headings start one below `level`, the level of the page's heading above the comment.
pub(super) fn render(atlas: &Atlas<'_>, here: Here, text: &str, level: usize) -> Markup {
    let mut writer = Writer::new(atlas, here, level, false);
    writer.run(text);
    html! { @if !text.trim().is_empty() { div class="prose" { (PreEscaped(writer.out)) } } }
}

/// Renders a custom page: like a comment, with an anchor at each heading.
pub(super) fn render_page(atlas: &Atlas<'_>, text: &str) -> (Markup, Vec<Heading>) {
    let mut writer = Writer::new(atlas, None, 1, true);
    writer.run(text);
    (html! { div class="prose" { (PreEscaped(writer.out)) } }, writer.headings)
}

/// Renders the first paragraph, without a block element around it.
pub(super) fn summary(atlas: &Atlas<'_>, here: Here, text: &str) -> Markup {
    let paragraph = first_paragraph(text);
    if paragraph.len() > SUMMARY_MAX * 2 {
        return html! { (plain_summary(text)) };
    }
    let mut writer = Writer::new(atlas, here, 6, false);
    writer.is_inline = true;
    writer.run(paragraph);
    PreEscaped(writer.out)
}

/// The first paragraph as plain text, shortened.
pub(super) fn plain_summary(text: &str) -> String {
    let mut plain = String::new();
    for event in Parser::new_with_broken_link_callback(first_paragraph(text), options(), Some(accept)) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                plain.push_str(&text)
            }
            Event::SoftBreak | Event::HardBreak => plain.push(' '),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_)) => break,
            _ => {}
        }
    }
    shortened(plain.trim(), SUMMARY_MAX)
}

/// A text of at most `letters_max` characters; a longer one is cut and ends with `…`.
pub(super) fn shortened(text: &str, letters_max: usize) -> String {
    match text.char_indices().nth(letters_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

fn first_paragraph(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find("\n\n").unwrap_or(text.len()).min(PARAGRAPH_MAX);
    &text[..text.floor_char_boundary(end)]
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH
}

#[expect(clippy::unnecessary_wraps, reason = "the parser's callback may refuse")]
fn accept<'t>(link: BrokenLink<'t>) -> Option<(CowStr<'t>, CowStr<'t>)> {
    Some((link.reference, "".into()))
}

/// Writes the events of a parser as HTML.
struct Writer<'w, 'a> {
    atlas: &'w Atlas<'a>,
    here: Here,
    out: String,
    /// The level of the heading above the comment.
    level: usize,
    /// The level of the last heading that was written; the next one is at most one level deeper.
    last_level: usize,
    has_anchors: bool,
    is_inline: bool,
    headings: Vec<Heading>,
    /// For each open link, whether it has a target.
    links: Vec<bool>,
    /// The columns of the open table, and the index of the next column.
    alignments: Vec<Alignment>,
    column: usize,
    is_head: bool,
}

impl<'w, 'a> Writer<'w, 'a> {
    fn new(atlas: &'w Atlas<'a>, here: Here, level: usize, has_anchors: bool) -> Self {
        Self {
            atlas,
            here,
            out: String::new(),
            level,
            last_level: level,
            has_anchors,
            is_inline: false,
            headings: Vec::new(),
            links: Vec::new(),
            alignments: Vec::new(),
            column: 0,
            is_head: false,
        }
    }

    fn run(&mut self, text: &str) {
        let (atlas, here) = (self.atlas, self.here);
        let known = |link: BrokenLink<'_>| {
            resolve(atlas, here, &link.reference)
                .map(|_| (CowStr::from(link.reference.into_string()), "".into()))
        };
        let mut events = Parser::new_with_broken_link_callback(text, options(), Some(known));
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => self.code_block(&kind, &mut events),
                Event::Start(Tag::Image { dest_url, .. }) => self.picture(&dest_url, &mut events),
                Event::Start(Tag::Heading { level, .. }) => self.heading(level as usize, &mut events),
                Event::Start(tag) => self.start(&tag),
                Event::End(TagEnd::Paragraph) if self.is_inline => break,
                Event::End(tag) => self.end(tag),
                other => self.inline(other),
            }
        }
    }

    fn inline(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                text.as_ref().render_to(&mut self.out)
            }
            Event::Code(text) => {
                self.out.push_str("<code>");
                text.as_ref().render_to(&mut self.out);
                self.out.push_str("</code>");
            }
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>"),
            Event::Rule if !self.is_inline => self.out.push_str("<hr>"),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let is_span = matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. });
        match tag {
            // Inline text has no blocks: of a list or a table, only the words stay.
            _ if self.is_inline && !is_span => {}
            Tag::Paragraph => self.out.push_str("<p>"),
            Tag::HtmlBlock => self.out.push_str("<p class=\"raw\">"),
            Tag::BlockQuote(_) => self.out.push_str("<blockquote>"),
            Tag::List(None) => self.out.push_str("<ul>"),
            Tag::List(Some(1)) => self.out.push_str("<ol>"),
            Tag::List(Some(first)) => self.out.push_str(&format!("<ol start=\"{first}\">")),
            Tag::Item => self.out.push_str("<li>"),
            Tag::Emphasis => self.out.push_str("<em>"),
            Tag::Strong => self.out.push_str("<strong>"),
            Tag::Strikethrough => self.out.push_str("<del>"),
            Tag::Link { dest_url, .. } => self.link(dest_url),
            Tag::Table(alignments) => {
                self.alignments.clone_from(alignments);
                self.out.push_str("<div class=\"scroll\"><table>");
            }
            Tag::TableHead => {
                (self.is_head, self.column) = (true, 0);
                self.out.push_str("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.out.push_str("<tr>");
            }
            Tag::TableCell => self.cell(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let is_span = matches!(tag, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link);
        let text = match tag {
            _ if self.is_inline && !is_span => " ",
            TagEnd::Paragraph | TagEnd::HtmlBlock => "</p>\n",
            TagEnd::BlockQuote(_) => "</blockquote>\n",
            TagEnd::List(false) => "</ul>\n",
            TagEnd::List(true) => "</ol>\n",
            TagEnd::Item => "</li>\n",
            TagEnd::Emphasis => "</em>",
            TagEnd::Strong => "</strong>",
            TagEnd::Strikethrough => "</del>",
            TagEnd::Link if self.links.pop() == Some(true) => "</a>",
            TagEnd::Table => "</tbody></table></div>\n",
            TagEnd::TableHead => {
                self.is_head = false;
                "</tr></thead><tbody>\n"
            }
            TagEnd::TableRow => "</tr>\n",
            TagEnd::TableCell if self.is_head => "</th>",
            TagEnd::TableCell => "</td>",
            _ => "",
        };
        self.out.push_str(text);
    }

    fn cell(&mut self) {
        let class = match self.alignments.get(self.column) {
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::Center) => " class=\"center\"",
            _ => "",
        };
        self.column += 1;
        let element = if self.is_head { "<th scope=\"col\"" } else { "<td" };
        self.out.extend([element, class, ">"]);
    }

    fn link(&mut self, to: &str) {
        let markup = match target(self.atlas, self.here, to) {
            Some(Target::Web(url)) => format!("<a rel=\"noopener\" href=\"{}\">", url.render().into_string()),
            Some(Target::Page(page)) => format!("<a href=\"{}\">", page.render().into_string()),
            None => String::new(),
        };
        self.links.push(!markup.is_empty());
        self.out.push_str(&markup);
    }

    /// Writes a picture as a link: loading it from outside would reveal the reader.
    fn picture<'t>(&mut self, from: &str, events: &mut impl Iterator<Item = Event<'t>>) {
        let mut alt = plain_until(events, TagEnd::Image);
        if alt.trim().is_empty() {
            alt = "picture".into();
        }
        let is_in_link = self.links.contains(&true);
        match target(self.atlas, self.here, from) {
            Some(Target::Web(url)) if !is_in_link => {
                self.out.push_str(&html! { a rel="noopener" href=(url) { (alt) } }.into_string());
            }
            _ => alt.render_to(&mut self.out),
        }
    }

    fn heading<'t>(&mut self, level: usize, events: &mut impl Iterator<Item = Event<'t>>) {
        // The author's level, below the page's own, and at most one deeper than the previous heading.
        let level = (self.level + level).min(self.last_level + 1).min(6);
        let text = plain_until(events, TagEnd::Heading(pulldown_cmark::HeadingLevel::H1));
        if self.is_inline {
            text.render_to(&mut self.out);
            return;
        }
        self.last_level = level;
        if self.has_anchors {
            let id = self.free_id(&text);
            let markup = html! { a class="anchor" href={ "#" (id) } { (text) } };
            self.out.push_str(&format!("<h{level} id=\"{id}\">{}</h{level}>\n", markup.into_string()));
            self.headings.push(Heading { id, level, text });
        } else {
            self.out.push_str(&format!("<h{level}>{}</h{level}>\n", text.render().into_string()));
        }
    }

    fn free_id(&self, text: &str) -> String {
        let plain = format!("section.{}", names::slug(text));
        let is_free = |id: &String| self.headings.iter().all(|heading| heading.id != *id);
        let numbered = (2..).map(|number| format!("{plain}.{number}"));
        std::iter::once(plain.clone()).chain(numbered).find(is_free).unwrap_or_default()
    }

    fn code_block<'t>(&mut self, kind: &CodeBlockKind<'_>, events: &mut impl Iterator<Item = Event<'t>>) {
        let code = plain_until(events, TagEnd::CodeBlock);
        if self.is_inline {
            return self.inline(Event::Code(code.trim().to_owned().into()));
        }
        let language = match kind {
            CodeBlockKind::Indented => Language::Rust,
            CodeBlockKind::Fenced(info) => language(info),
        };
        let code = if language == Language::Rust { prose::shown_code(&code) } else { code };
        let code = highlight(code.trim_end(), language, &|_| None);
        self.out.push_str(&html! { pre { code { (code) } } }.into_string());
        self.out.push('\n');
    }
}

fn language(info: &str) -> Language {
    match info.split([',', ' ']).next().unwrap_or_default() {
        _ if prose::is_rust(info) => Language::Rust,
        "ts" | "typescript" | "js" | "javascript" | "json" => Language::TypeScript,
        _ => Language::Plain,
    }
}

/// The text up to the end of a tag, whose start was already read.
fn plain_until<'t>(events: &mut impl Iterator<Item = Event<'t>>, end: TagEnd) -> String {
    let mut plain = String::new();
    for event in events {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                plain.push_str(&text)
            }
            Event::SoftBreak | Event::HardBreak => plain.push(' '),
            Event::End(found) if std::mem::discriminant(&found) == std::mem::discriminant(&end) => break,
            _ => {}
        }
    }
    plain
}

enum Target<'t> {
    Web(&'t str),
    Page(String),
}

/// The target of a link. Schemes other than web and mail have none.
fn target<'t>(atlas: &Atlas<'_>, here: Here, to: &'t str) -> Option<Target<'t>> {
    let is_scheme =
        |scheme: &str| to.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if ["http://", "https://", "mailto:"].into_iter().any(is_scheme) {
        return Some(Target::Web(to));
    }
    let file = to.split_once('#').map_or(to, |(file, _)| file);
    if atlas.is_file(file) {
        return Some(Target::Page(file.to_owned()));
    }
    resolve(atlas, here, to).map(Target::Page)
}

#[cfg(test)]
mod tests;
