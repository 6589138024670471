use super::*;
use crate::fixtures;

fn signature_of(description: &Description, service: &str, method: &str) -> String {
    signature(description, service, method).unwrap()
}

#[test]
fn methods_take_values_or_promises_and_return_promises() {
    let chat = fixtures::chat();
    assert_eq!(
        signature_of(&chat, "Room", "history"),
        "history(last: Argument<number>): Promised<Message[], ChatError>"
    );
    assert_eq!(
        signature_of(&chat, "Chat", "log_in"),
        "log_in(name: Argument<string>): Promised<Member, ChatError>"
    );
    assert_eq!(signature_of(&chat, "Listener", "heard"), "heard(message: Argument<Message>): Sent");
    assert_eq!(
        signature_of(&chat, "Room", "listen"),
        "listen(listener: Argument<Listener> | ListenerImplementation): Promised<null, ChatError>"
    );
}

#[test]
fn enums_are_externally_tagged_unions() {
    let text = render(&fixtures::chat());
    assert!(
        text.contains(
            "export type ChatError =\n  /** Nobody can be called that. */\n  | { BadName: string }\n"
        )
    );
    assert!(text.contains("export type UserId = Integer64;"));
}

#[test]
fn callbacks_have_an_interface_to_implement() {
    let text = render(&fixtures::chat());
    assert!(text.contains("export interface ListenerImplementation {"));
    assert!(text.contains("  heard(message: Message): void | PromiseLike<void>;"));
}

#[test]
fn comments_end_where_they_should() {
    let text = render(&fixtures::hostile());
    for comment in text.split("/**").skip(1) {
        let (_, code) = comment.split_once("*/").expect("the comment ends");
        assert!(!code.contains("alert("), "{code}");
    }
}

/// Types with the name of a declaration in the prelude get another name.
#[test]
fn names_of_the_prelude_are_reserved() {
    let own: Vec<&str> = PRELUDE
        .lines()
        .filter_map(|line| {
            line.strip_prefix("export type ").or_else(|| line.strip_prefix("export interface "))
        })
        .map(|rest| rest.split(|letter: char| !letter.is_alphanumeric()).next().unwrap())
        .collect();
    assert!(own.len() > 10);
    for name in own.into_iter().chain(["Services"]) {
        assert!(crate::names::is_reserved(name), "{name}");
    }
}

#[test]
fn names_are_escaped_and_no_line_end_hides_the_end_of_a_comment() {
    assert_eq!(text::literal("a\u{7f}\u{202e}\u{2028}"), r#""a\u007f\u202e\u2028""#);
    let mut out = String::new();
    text::comment(&mut out, "", "one *\r/ two", &[]);
    assert_eq!(out, "/** one *\\/ two */\n");
}
