//! Doc comments as text, without the indentation and the stars that rustdoc removes too.

/// The lines of a comment without their common indentation, and without empty lines at the start and the end.
pub(super) fn comment(text: &str) -> String {
    // Two spaces at the end of a line are a line break in Markdown.
    let lines: Vec<&str> = text.lines().map(|line| if line.trim().is_empty() { "" } else { line }).collect();
    // Text in `#[doc = "…"]` has no leading space. It does not count, because text after `///` has one.
    let indents = lines.iter().filter(|line| !line.is_empty()).map(|line| indent(line));
    let common = indents.filter(|indent| *indent > 0).min().unwrap_or_default();
    let lines: Vec<&str> = lines.iter().map(|line| &line[indent(line).min(common)..]).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.is_empty()).map_or(first, |last| last + 1);
    lines[first..last].join("\n")
}

/// Input: the text in `/** Finds.\n * Always. */`. Output: ` Finds.\n Always. `.
pub(super) fn without_stars(text: &str) -> String {
    let Some((first, others)) = text.split_once('\n') else { return text.to_owned() };
    let mut columns = others.lines().filter(|line| !line.trim().is_empty()).map(star);
    let Some(Some(column)) = columns.next() else { return text.to_owned() };
    if columns.any(|other| other != Some(column)) {
        return text.to_owned();
    }
    let others = others.lines().map(|line| line.get(column + 1..).unwrap_or_default());
    let first = if star(first).is_some() && first.trim_matches('*').is_empty() { "" } else { first };
    std::iter::once(first).chain(others).collect::<Vec<_>>().join("\n")
}

/// The column of the star that a line begins with.
fn star(line: &str) -> Option<usize> {
    let column = indent(line);
    line[column..].starts_with('*').then_some(column)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(comment(&without_stars(text)), expected);
    }

    #[test]
    fn stars_and_common_spaces_are_no_part_of_a_comment() {
        check(" Finds.  \n Always.", "Finds.  \nAlways.");
        check(" Finds.\n     Code.", "Finds.\n    Code.");
        check("\n     * Finds.\n     *\n     *     Code.\n     ", "Finds.\n\n    Code.");
        check(" Finds.\n     * Always.", "Finds.\nAlways.");
        check("*\n * Finds.\n ", "Finds.");
        check("Finds.", "Finds.");
        check("", "");
        check("\u{a0}ä\n\u{a0}", "\u{a0}ä");
    }

    #[test]
    fn a_list_of_stars_stays_one() {
        check(" Either:\n * one\nor\n * two", "Either:\n* one\nor\n* two");
        check(" * one", "* one");
    }
}
