//! Writes small pieces of TypeScript: comments, names of properties, names of parameters.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    names::{Taken, identifier},
    prose::{self, is_unprintable},
};

/// Words that cannot name a parameter in a strict module, including `arguments`.
const KEYWORDS: &str = "arguments await break case catch class const continue debugger default delete do else enum eval export \
    extends false finally for function if implements import in instanceof interface let new null package private \
    protected public return static super switch this throw true try typeof var void while with yield";

/// Names for parameters and variables: unique identifiers that are not keywords.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    taken: Taken,
    keywords: BTreeSet<&'static str>,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self { taken: Taken::none(), keywords: KEYWORDS.split_whitespace().collect() }
    }

    /// The first of these names that is free, or else the first name with a number.
    pub(crate) fn first_free(&mut self, wanted: &[&str]) -> String {
        let is_free = |name: &&&str| {
            let word = identifier(name);
            !self.keywords.contains(&*word) && self.taken.clone().name(&word) == word
        };
        let free = wanted.iter().find(is_free).or(wanted.first()).copied().unwrap_or_default();
        self.name(free)
    }

    pub(crate) fn name(&mut self, wanted: &str) -> String {
        let mut word = identifier(wanted);
        if self.keywords.contains(&*word) {
            word.push('_');
        }
        self.taken.name(&word)
    }
}

/// A name as the key of a property, without quotes if possible.
pub(crate) fn property(name: &str) -> String {
    let is_bare = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$');
    if is_bare { name.to_owned() } else { literal(name) }
}

/// A text as a string literal. JSON literals are valid in TypeScript; invisible characters are escaped in addition.
pub(crate) fn literal(text: &str) -> String {
    let mut literal = String::new();
    for letter in Value::from(text).to_string().chars() {
        match is_unprintable(letter) {
            true => literal.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => literal.push(letter),
        }
    }
    literal
}

/// A JSON value as a TypeScript expression.
pub(crate) fn expression(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(expression).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".into(),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{}: {}", property(name), expression(value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => literal(text),
        plain => plain.to_string(),
    }
}

/// Writes a comment before a declaration; nothing if docs and tags are empty.
pub(super) fn comment(out: &mut String, indent: &str, docs: &str, tags: &[String]) {
    let docs = prose::shown(docs.trim());
    if docs.is_empty() && tags.is_empty() {
        return;
    }
    let docs = harmless(&docs);
    let lines: Vec<&str> = docs.lines().chain(tags.iter().map(String::as_str)).collect();
    if let [line] = lines.as_slice() {
        out.push_str(&format!("{indent}/** {line} */\n"));
        return;
    }
    out.push_str(&format!("{indent}/**\n"));
    for line in lines {
        out.push_str(format!("{indent} * {line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{indent} */\n"));
}

/// The `@deprecated` tag, if there is a note.
pub(super) fn deprecated(note: Option<&str>) -> Vec<String> {
    let tag = |note: &str| {
        let note = harmless(note).split_whitespace().collect::<Vec<_>>().join(" ");
        format!("@deprecated {note}").trim_end().to_owned()
    };
    note.map(tag).into_iter().collect()
}

/// A text that cannot end the comment or add tags to it.
fn harmless(text: &str) -> String {
    text.replace('\r', "").replace("*/", "*\\/").replace('@', "\\@")
}
