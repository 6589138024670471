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

/// A file for people without characters that show nothing, or that show it elsewhere than where it stands: control
/// characters and those that turn the direction of writing. Rust's compiler refuses the latter in comments. JSON is
/// left alone, because it has to give back the names that it was given.
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

/// Whether a character shows nothing, or turns what is around it.
pub(crate) fn is_unprintable(letter: char) -> bool {
    let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control()
        || turns
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests;
