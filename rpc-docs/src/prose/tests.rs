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
