//! Highlights Rust, TypeScript and JSON with a tokenizer that knows no grammar: words, strings, numbers, comments.

use maud::{Markup, PreEscaped, Render};

/// The language of a piece of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    /// TypeScript, JavaScript and JSON.
    TypeScript,
    /// Any other language: no colours.
    Plain,
}

const RUST_WORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "self", "Self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
];
const TYPESCRIPT_WORDS: &[&str] = &[
    "as",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "for",
    "from",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "interface",
    "let",
    "new",
    "null",
    "of",
    "readonly",
    "return",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "undefined",
    "using",
    "while",
];
const TYPESCRIPT_TYPES: &[&str] =
    &["any", "bigint", "boolean", "never", "number", "string", "unknown", "void"];
const RUST_TYPES: &[&str] = &[
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16", "u32",
    "u64", "u8", "usize",
];

/// Code with its tokens in spans. Words for which `link` returns an address become links.
pub(super) fn highlight(code: &str, language: Language, link: &dyn Fn(&str) -> Option<String>) -> Markup {
    let mut out = String::with_capacity(code.len() * 2);
    let mut rest = code;
    while !rest.is_empty() {
        let (class, len) = match language {
            Language::Plain => ("", rest.len()),
            Language::Rust | Language::TypeScript => token(rest, language),
        };
        let (text, after) = rest.split_at(len);
        match (class, if matches!(class, "t" | "f" | "") { link(text) } else { None }) {
            (_, Some(href)) => push(&mut out, "a", &format!("class=\"t\" href=\"{}\"", escaped(&href)), text),
            ("", None) => text.render_to(&mut out),
            (class, None) => push(&mut out, "span", &format!("class=\"{class}\""), text),
        }
        rest = after;
    }
    PreEscaped(out)
}

fn push(out: &mut String, element: &str, attributes: &str, text: &str) {
    out.extend(["<", element, " ", attributes, ">"]);
    text.render_to(out);
    out.extend(["</", element, ">"]);
}

fn escaped(text: &str) -> String {
    text.render().into_string()
}

/// The class and length of the first token: `k`eyword, `t`ype, `f`unction or field, `s`tring, `n`umber, `c`omment, `a`ttribute.
fn token(text: &str, language: Language) -> (&'static str, usize) {
    let first = text.chars().next().unwrap_or(' ');
    let is_rust = language == Language::Rust;
    if text.starts_with("//") {
        return ("c", text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return ("c", text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if is_rust && text.starts_with("#[") {
        return ("a", text.find(']').map_or(text.len(), |end| end + 1));
    }
    if is_rust && let Some(raw) = text.strip_prefix("r#").filter(|raw| raw.starts_with(is_word)) {
        let (_, len) = word(raw, language);
        return (if raw[len..].starts_with('(') { "f" } else { "" }, 2 + len);
    }
    match first {
        '"' if !is_rust && text[quoted(text, '"')..].starts_with(':') => ("f", quoted(text, '"')),
        '"' => ("s", quoted(text, '"')),
        '`' if !is_rust => ("s", quoted(text, '`')),
        '\'' if !is_rust => ("s", quoted(text, '\'')),
        '\'' => apostrophe(text),
        '0'..='9' => ("n", run(text, |letter| letter.is_alphanumeric() || letter == '_')),
        _ if is_word(first) => word(text, language),
        _ => (
            "",
            run(text, |letter| !is_word(letter) && !letter.is_ascii_digit() && !"\"'`/#".contains(letter))
                .max(first.len_utf8()),
        ),
    }
}

fn word(text: &str, language: Language) -> (&'static str, usize) {
    let len = run(text, |letter| is_word(letter) || letter.is_numeric());
    let (word, after) = text.split_at(len);
    let (words, types) = match language {
        Language::Rust => (RUST_WORDS, RUST_TYPES),
        _ => (TYPESCRIPT_WORDS, TYPESCRIPT_TYPES),
    };
    let class = if words.contains(&word) {
        "k"
    } else if types.contains(&word) || word.starts_with(char::is_uppercase) {
        "t"
    } else if after.starts_with(['(', '!']) {
        "f"
    } else {
        ""
    };
    (class, len)
}

/// The class and length of a token that begins with an apostrophe: a character, or else a lifetime.
fn apostrophe(text: &str) -> (&'static str, usize) {
    let inside = &text[1..];
    let is_character = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
    if is_character { ("s", quoted(text, '\'')) } else { ("a", 1 + run(inside, is_word)) }
}

/// The length of a string literal. One without a closing quote extends to the end of the code.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn is_word(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_' || letter == '$'
}

fn run(text: &str, is_in: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_in(letter)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
