use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::*;
use crate::fixtures;

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS)
}

/// Checks that all links lead to a page and an anchor in it, and that our anchors are the only HTML.
#[track_caller]
fn check(description: &Description) {
    let pages = render(description);
    let mut anchors = BTreeSet::new();
    for (page, text) in &pages {
        for part in text.split("<a id=\"").skip(1) {
            let id = part.split('"').next().unwrap();
            assert!(anchors.insert(format!("{page}#{id}")), "{page} has {id} twice");
        }
    }
    for (page, text) in &pages {
        for event in parser(text) {
            match event {
                Event::Html(markup) | Event::InlineHtml(markup) => {
                    let markup = markup.trim();
                    assert!(markup.starts_with("<a id=\"") || markup == "</a>", "{page}: {markup}");
                }
                Event::Start(Tag::Link { dest_url, .. }) if !dest_url.starts_with("https://") => {
                    let (file, id) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
                    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let file = match file.strip_prefix("../") {
                        Some(up) => up.to_owned(),
                        None if file.is_empty() => page.clone(),
                        None if folder.is_empty() => file.to_owned(),
                        None => format!("{folder}/{file}"),
                    };
                    assert!(pages.contains_key(&file), "{page}: {dest_url}");
                    assert!(id.is_empty() || anchors.contains(&format!("{file}#{id}")), "{page}: {dest_url}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn links_lead_somewhere_and_markup_is_escaped() {
    check(&fixtures::chat());
    check(&fixtures::hostile());
}

#[test]
fn a_method_is_shown_with_its_signature_types_and_examples() {
    let pages = render(&fixtures::chat());
    let room = &pages["services/Room.md"];
    assert!(
        room.contains("```rust\nasync fn history(&self, last: u32) -> Result<Vec<Message>, ChatError>\n```")
    );
    assert!(room.contains("| *gives* | Vec&lt;[Message](../types.md#Message)&gt; |"));
    assert!(room.contains("- `[…].author` can be passed to [Chat.profile](Chat.md#profile) as `user`"));
    assert!(room.contains("sequenceDiagram"));
    let chat = &pages["services/Chat.md"];
    assert!(chat.contains("See [`Room::history`](Room.md#history) and [Member::enter](Member.md#enter)."));
}

/// The text after a comment is shown, whatever the comment left open.
#[test]
fn comments_leave_nothing_open() {
    let pages = render(&fixtures::hostile());
    let methods = fixtures::hostile().services[0].methods.len();
    let text = &pages["services/class_2.md"];
    let tables = parser(text).filter(|event| matches!(event, Event::Start(Tag::Table(_)))).count();
    assert_eq!(tables, methods + 1, "one a method, and their list");
}

#[track_caller]
fn check_comment(docs: &str, expected: &str) {
    let mut chat = fixtures::chat();
    docs.clone_into(&mut chat.docs);
    let index = &render(&chat)["README.md"];
    let comment =
        index.split("Version 1&#46;2&#46;0\n\n").last().unwrap().split("Version 1.2.0\n\n").last().unwrap();
    assert_eq!(comment.split("\n\n## Connecting").next().unwrap(), expected);
}

#[test]
fn links_of_all_kinds_are_resolved() {
    check_comment("[Room::history]", "[Room::history](services/Room.md#history)");
    check_comment("[`Room::history`]", "[`Room::history`](services/Room.md#history)");
    check_comment("[*text*](Room::history)", "[*text*](services/Room.md#history)");
    check_comment("[text][RoomClient::history]", "[text](services/Room.md#history)");
    check_comment(
        "[User::name] [ChatError::BadName]",
        "[User::name](types.md#User.name) [ChatError::BadName](types.md#ChatError.BadName)",
    );
    check_comment("[x]\n\n[x]: User", "[x](types.md#User)");
}

#[test]
fn what_leads_nowhere_is_text() {
    check_comment("[Nobody::none]", "[Nobody::none]");
    check_comment("[x](Nobody::none)", "x");
    check_comment("[x](javascript:alert(1))", "x");
    check_comment("[x](https://example.com)", "[x](https://example.com)");
}

#[test]
fn markup_headings_and_open_code_are_tamed() {
    check_comment("1 < 2 `", "1 &lt; 2 &#96;");
    check_comment("a <b>c</b>", "a &lt;b&gt;c&lt;/b&gt;");
    check_comment("# Heading\n\ntext", "## Heading\n\ntext");
    check_comment("```rust\nfn main() {}", "```rust\nfn main() {}\n```");
    check_comment("```rust\nfn main() {}\n```", "```rust\nfn main() {}\n```");
}
