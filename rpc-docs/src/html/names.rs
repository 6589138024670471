//! File names and anchors. They depend on names alone, so additions to an API change no link.

use std::fmt::Write as _;

use super::theme::Page;
use crate::files::checksum_of;

/// The maximum length of a file's stem. File systems allow 255 bytes per name.
const STEM_MAX: usize = 160;

/// The file of a service: `service.Chat.html`, `service.Chat-Room.html`.
///
/// Some file systems ignore case, so two names that differ only in case get different files: a capital letter inside a name, and a
/// small letter at its start, get a `-` before them. All characters but ASCII letters, digits and `_` are escaped.
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

/// The files of custom pages, from their titles; equal names are numbered in order.
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

/// The words of a text in small letters with `-` between them.
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

/// An anchor: `method.log_in`, `field.User.name`. Parts are escaped, so that anchors are unique.
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
        // The stem is ASCII: letters and escapes.
        stem.truncate(STEM_MAX);
        let _ = write!(stem, "~~{:016x}", checksum_of(name.as_bytes()));
    }
    stem
}

#[cfg(test)]
mod tests;
