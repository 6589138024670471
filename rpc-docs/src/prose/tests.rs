use super::*;

#[test]
fn a_summary_is_the_first_sentence() {
    assert_eq!(summary("Finds a user.  By name.\n\nMore."), "Finds a user");
    assert_eq!(summary("\nFinds\na user\n\nMore."), "Finds a user");
    assert_eq!(summary("Version 1.2 of it."), "Version 1.2 of it");
    assert_eq!(summary(""), "");
}

#[test]
fn a_summary_of_a_long_comment_is_short() {
    let text = summary(&"ä".repeat(100_000));
    assert_eq!(text.chars().count(), SUMMARY_CHARACTERS_MAX + 1);
}

#[test]
fn hidden_lines_are_left_out_and_code_has_a_language() {
    let docs = "One.\n\n```\n# fn main() {\nlet one = 1;\n#\n  ## kept\n#[attribute]\n# }\n```\n# Heading\n~~~text\n# kept\n~~~\n```rust,no_run\n# x\ny";
    let expected = "One.\n\n```rust\nlet one = 1;\n  # kept\n#[attribute]\n```\n# Heading\n~~~text\n# kept\n~~~\n```rust\ny";
    assert_eq!(shown(docs), expected);
}

#[test]
fn a_section_is_taken_out_of_a_comment() {
    let docs = "Does it.\n\n# Errors\n\nFails.\n\n## More\n\n```\n# Panics\n```\n\n# Panics\n\nNever.";
    let (rest, section) = without_section(docs, "Errors");
    assert_eq!(rest, "Does it.\n\n# Panics\n\nNever.");
    assert_eq!(section, "Fails.\n\n## More\n\n```\n# Panics\n```");
    assert_eq!(without_section("Does it.", "Errors"), ("Does it.".to_owned(), String::new()));
}

#[track_caller]
fn check_message(message: &str, expected: &str) {
    assert_eq!(readable_message(message), expected);
}

#[test]
fn placeholders_of_messages_are_readable() {
    check_message("no project {0.0}", "no project {0}");
    check_message("no {} in {:?}", "no {0} in {1}");
    check_message("{name:?} is {0.state:>8}", "{name} is {state}");
    check_message("{{literal}} {open", "{literal} {open");
    check_message("} {", "} {");
}

#[test]
fn links_are_what_they_say() {
    let text = "See [`Tracker::notify`], [that](Tracker::open) and [Tracker]: a `Vec<T>` <b> [x";
    assert_eq!(
        unlinked(text, Setting::Markdown),
        "See `Tracker::notify`, that and Tracker: a `Vec<T>` &lt;b> (x"
    );
    assert_eq!(unlinked("<b> [`T`]", Setting::Code), "<b> `T`");
}

#[test]
fn a_comment_is_told_in_paragraphs() {
    let docs = "One\nline.\n\n# Heading\n\n- a\n- [b]\n\n```\ncode\n```\n\nLast.";
    assert_eq!(paragraphs(docs), ["One line.", "- a", "- b", "Last."]);
}
