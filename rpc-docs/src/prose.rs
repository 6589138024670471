//! Doc comments as plain text: first sentences, clipped texts, and code as rustdoc shows it.

use std::borrow::Cow;

use pulldown_cmark::{BrokenLink, CowStr, Event, Options, Parser, Tag, TagEnd};

/// The maximum length of a summary in characters; a longer first sentence is cut.
const SUMMARY_CHARACTERS_MAX: usize = 200;

/// The first sentence of a doc comment on one line, without its full stop; empty if there is none.
pub(crate) fn summary(docs: &str) -> String {
    // Only the start of a long comment is read.
    let start = clipped(docs.trim_start(), 4 * SUMMARY_CHARACTERS_MAX);
    let paragraph = start.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").unwrap_or(line.len());
    let sentence = line[..end].trim_end_matches('.');
    let cut = clipped(sentence, SUMMARY_CHARACTERS_MAX);
    if cut.len() < sentence.len() { format!("{}…", cut.trim_end()) } else { cut.to_owned() }
}

/// The first `characters_max` characters of a text.
pub(crate) fn clipped(text: &str, characters_max: usize) -> &str {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Replaces characters in a file for people that are invisible or change the writing direction: control characters and
/// bidirectional controls. Rust's compiler refuses the latter in comments. JSON files stay as they are, to preserve names.
pub(crate) fn printable(text: String) -> String {
    let is_plain = |letter: char| ['\n', '\t'].contains(&letter) || !is_unprintable(letter);
    if text.chars().all(is_plain) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\u{2028}' | '\u{2029}' => out.push(' '),
            _ if is_plain(letter) => out.push(letter),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out
}

/// Whether a character is invisible, or changes the writing direction around it.
pub(crate) fn is_unprintable(letter: char) -> bool {
    let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control()
        || turns
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The surroundings of a text on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Markdown: markup is escaped.
    Markdown,
    /// A comment in code: nothing is escaped.
    Code,
}

/// The maximum number of characters of a comment that `paragraphs` reads.
const TOLD_CHARACTERS_MAX: usize = 4000;

/// A text on one line, with links replaced by their text.
pub(crate) fn unlinked(text: &str, setting: Setting) -> String {
    let mut line = Line { setting, out: String::new() };
    parsed(text).for_each(|event| line.add(&event));
    line.finished()
}

/// The paragraphs and list items of a comment, a line each, without headings and code blocks.
pub(crate) fn paragraphs(docs: &str) -> Vec<String> {
    let mut paragraphs = Vec::new();
    let mut line = Line { setting: Setting::Markdown, out: String::new() };
    let (mut depth_of_lists, mut is_skipped) = (0_usize, false);
    for event in parsed(clipped(docs, TOLD_CHARACTERS_MAX)) {
        let begins = matches!(
            event,
            Event::Start(Tag::Paragraph | Tag::Item | Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::List(_))
        );
        let ends = matches!(
            event,
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::Heading(_) | TagEnd::CodeBlock)
        );
        if begins || ends {
            let said = std::mem::replace(&mut line, Line { setting: Setting::Markdown, out: String::new() })
                .finished();
            if !said.is_empty() && !is_skipped {
                paragraphs.push(if depth_of_lists > 0 { format!("- {said}") } else { said });
            }
        }
        match &event {
            Event::Start(Tag::List(_)) => depth_of_lists += 1,
            Event::End(TagEnd::List(_)) => depth_of_lists -= 1,
            Event::Start(Tag::Heading { .. } | Tag::CodeBlock(_)) => is_skipped = true,
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => is_skipped = false,
            event => line.add(event),
        }
    }
    paragraphs
}

fn parsed(text: &str) -> impl Iterator<Item = Event<'_>> {
    let accept = |link: BrokenLink<'_>| Some((CowStr::from(link.reference.into_string()), CowStr::from("")));
    Parser::new_with_broken_link_callback(text, Options::empty(), Some(accept))
}

/// A line that collects the texts of a comment.
struct Line {
    setting: Setting,
    out: String,
}

impl Line {
    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::Code(code) if !code.contains('`') => self.out.extend(["`", code, "`"]),
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                match self.setting {
                    Setting::Code => self.out.push_str(text),
                    Setting::Markdown => {
                        let text = text.replace('<', "&lt;").replace('[', "(").replace(']', ")");
                        self.out.push_str(&text.replace('`', "'"));
                    }
                }
            }
            Event::SoftBreak | Event::HardBreak => self.out.push(' '),
            _ => {}
        }
    }

    fn finished(&self) -> String {
        self.out.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A comment as rustdoc shows it: code blocks without hidden lines, and Rust code labelled `rust`.
pub(crate) fn shown(docs: &str) -> String {
    let mut out: Vec<Cow<'_, str>> = Vec::new();
    let mut fence: Option<Fence<'_>> = None;
    for line in docs.lines() {
        match &fence {
            Some(open) if open.is_closed_by(line) => {
                fence = None;
                out.push(line.into());
            }
            Some(open) if open.is_rust => out.extend(shown_line(line)),
            Some(_) => out.push(line.into()),
            None => {
                fence = Fence::opened_by(line);
                match &fence {
                    Some(open) if open.is_rust => {
                        out.push(format!("{}{}rust", open.indent, open.mark).into())
                    }
                    _ => out.push(line.into()),
                }
            }
        }
    }
    out.join("\n")
}

/// The lines of a Rust code block that rustdoc shows.
pub(crate) fn shown_code(code: &str) -> String {
    code.lines().filter_map(shown_line).collect::<Vec<_>>().join("\n")
}

/// Whether rustdoc treats a code block with this info string as Rust.
pub(crate) fn is_rust(info: &str) -> bool {
    let language = info.trim().split([',', ' ']).next().unwrap_or_default();
    let own = ["", "rust", "rs", "ignore", "no_run", "should_panic", "compile_fail"];
    own.contains(&language) || language.starts_with("edition")
}

/// A line of Rust as rustdoc shows it, without the `#` that escapes another; `None` for a hidden line.
fn shown_line(line: &str) -> Option<Cow<'_, str>> {
    let code = line.trim_start();
    if code == "#" || code.starts_with("# ") {
        return None;
    }
    match code.strip_prefix("##") {
        Some(rest) => Some(format!("{}#{rest}", &line[..line.len() - code.len()]).into()),
        None => Some(line.into()),
    }
}

/// The line that begins a code block.
struct Fence<'t> {
    indent: &'t str,
    mark: &'t str,
    is_rust: bool,
}

impl<'t> Fence<'t> {
    fn opened_by(line: &'t str) -> Option<Self> {
        let code = line.trim_start();
        let mark = code.chars().next().filter(|mark| ['`', '~'].contains(mark))?;
        let len = code.len() - code.trim_start_matches(mark).len();
        let info = &code[len..];
        let is_fence = len >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then(|| Self {
            indent: &line[..line.len() - code.len()],
            mark: &code[..len],
            is_rust: is_rust(info),
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.starts_with(self.mark) && line.trim_start_matches(&self.mark[..1]).is_empty()
    }
}

/// A comment without the section under this heading, and that section without its heading.
pub(crate) fn without_section(docs: &str, title: &str) -> (String, String) {
    let (mut rest, mut section) = (Vec::new(), Vec::new());
    let mut fence: Option<Fence<'_>> = None;
    // The level of the section's heading, inside the section.
    let mut within: Option<usize> = None;
    for line in docs.lines() {
        match &fence {
            Some(open) if open.is_closed_by(line) => fence = None,
            Some(_) => {}
            None => {
                fence = Fence::opened_by(line);
                let level = line.len() - line.trim_start_matches('#').len();
                let text = line[level..].strip_prefix(' ').map(str::trim);
                if let (1..=6, Some(text)) = (level, text)
                    && within.is_none_or(|above| level <= above)
                {
                    within = (text == title).then_some(level);
                    if within.is_some() {
                        continue;
                    }
                }
            }
        }
        if within.is_some() { &mut section } else { &mut rest }.push(line);
    }
    (rest.join("\n"), section.join("\n").trim().to_owned())
}

/// A message of `thiserror` for readers: `{0.name:?}` becomes `{name}`, and the first `{}` becomes `{0}`.
pub(crate) fn readable_message(message: &str) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = message;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            // A doubled brace is an escaped brace.
            out.push_str(brace);
            rest = after;
            continue;
        }
        let Some(end) = rest.find('}').filter(|_| brace == "{") else {
            out.push_str(brace);
            continue;
        };
        let path = rest[..end].split(':').next().unwrap_or_default();
        let steps = path.split(['.', '(', ')', '&', '*', ' ']).filter(|step| !step.is_empty());
        let is_number = |step: &&str| step.chars().all(|letter| letter.is_ascii_digit());
        let (numbers, names): (Vec<&str>, Vec<&str>) = steps.partition(is_number);
        let name = match (names.first(), numbers.first()) {
            (Some(name), _) => (*name).to_owned(),
            (None, Some(number)) => (*number).to_owned(),
            (None, None) => {
                next += 1;
                (next - 1).to_string()
            }
        };
        out.push_str(&format!("{{{name}}}"));
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
