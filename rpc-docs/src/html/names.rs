//! File names and anchors, made from names alone: what is added to an API moves no link.

use std::fmt::Write as _;

use super::theme::Page;
use crate::files::checksum_of;

/// File systems take 255 bytes a name.
const STEM_MAX: usize = 160;

/// The file of a service: `service.Chat.html`, `service.Chat-Room.html`.
///
/// Two names that differ in case alone have files that differ otherwise, because some file systems ignore case: a capital inside
/// of a name, and a small letter at its start, get a `-` before. All but ASCII letters, digits and `_` are escaped.
pub(super) fn service_file(name: &str) -> String {
    let mut stem = String::new();
    for (at, letter) in name.chars().enumerate() {
        let is_expected = if at == 0 { !letter.is_ascii_lowercase() } else { !letter.is_ascii_uppercase() };
        if !is_expected {
            stem.push('-');
        }
        push(&mut stem, letter, &['_']);
    }
    format!("service.{}.html", shortened(stem, name))
}

/// The files of the user's own pages, from their titles; equal ones are numbered in order.
pub(super) fn page_files(pages: &[Page]) -> Vec<String> {
    let mut files: Vec<String> = Vec::with_capacity(pages.len());
    for page in pages {
        let slug = shortened(slug(&page.title), &page.title);
        let file =
            (1..)
                .map(|number| {
                    if number == 1 {
                        format!("page.{slug}.html")
                    } else {
                        format!("page.{slug}.{number}.html")
                    }
                })
                .find(|file| !files.contains(file))
                .unwrap_or_default();
        files.push(file);
    }
    files
}

/// Words in small letters with `-` between them.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            push(&mut slug, letter.to_ascii_lowercase(), &[]);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// An anchor: `method.log_in`, `field.User.name`. Parts are escaped, so that no two things share one.
pub(super) fn anchor(kind: &str, parts: &[&str]) -> String {
    let mut anchor = kind.to_owned();
    for part in parts {
        anchor.push('.');
        for letter in part.chars() {
            push(&mut anchor, letter, &['_', '-', ':']);
        }
    }
    anchor
}

fn push(text: &mut String, letter: char, also: &[char]) {
    if letter.is_ascii_alphanumeric() || also.contains(&letter) {
        text.push(letter);
    } else {
        let _ = write!(text, "~{:x}~", u32::from(letter));
    }
}

fn shortened(mut stem: String, name: &str) -> String {
    if stem.len() > STEM_MAX {
        // All of it is ASCII: letters and escapes.
        stem.truncate(STEM_MAX);
        let _ = write!(stem, "~~{:016x}", checksum_of(name.as_bytes()));
    }
    stem
}

#[cfg(test)]
mod tests;
