//! Doc comments as plain text: their first sentence, and how much of them fits.

/// The longest summary in characters; a first paragraph without a sentence is cut there.
const SUMMARY_CHARACTERS_MAX: usize = 200;

/// The first sentence of a doc comment on one line, without its full stop; empty if there is none.
pub(crate) fn summary(docs: &str) -> String {
    // No more of the comment is looked at than may be shown, however long it is.
    let start = clipped(docs.trim_start(), 4 * SUMMARY_CHARACTERS_MAX);
    let paragraph = start.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").unwrap_or(line.len());
    let sentence = line[..end].trim_end_matches('.');
    let cut = clipped(sentence, SUMMARY_CHARACTERS_MAX);
    if cut.len() < sentence.len() { format!("{}…", cut.trim_end()) } else { cut.to_owned() }
}

/// At most so many characters from the start.
pub(crate) fn clipped(text: &str, characters_max: usize) -> &str {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests;
