use std::collections::BTreeSet;

use super::*;

#[test]
fn files_of_services_differ_where_case_is_ignored() {
    let names = [
        "Chat",
        "chat",
        "CHAT",
        "ChatRoom",
        "Chatroom",
        "chatRoom",
        "chat-room",
        "Chat-Room",
        "Chat_Room",
        "a.b",
        "a/b",
        "ä",
        "Ä",
        "",
    ];
    let files: BTreeSet<String> = names.iter().map(|name| service_file(name).to_lowercase()).collect();
    assert_eq!(files.len(), names.len(), "{files:?}");
}

#[test]
fn files_of_ordinary_services_read_well() {
    assert_eq!(service_file("Chat"), "service.Chat.html");
    assert_eq!(service_file("ChatRoom"), "service.Chat-Room.html");
}

#[test]
fn no_name_leads_out_of_the_folder_or_is_too_long() {
    let file = service_file("../../etc/passwd\0<\">");
    assert!(file.chars().all(|letter| letter.is_ascii_alphanumeric() || "._~-".contains(letter)), "{file}");
    let (one, other) = (service_file(&"x".repeat(999)), service_file(&"x".repeat(998)));
    assert!(one.len() < 255 && one != other);
}

#[test]
fn anchors_of_different_things_differ() {
    assert_eq!(anchor("method", &["log_in"]), "method.log_in");
    assert_ne!(anchor("field", &["A.B", "c"]), anchor("field", &["A", "B.c"]));
    assert_eq!(anchor("type", &["a b\">"]), "type.a~20~b~22~~3e~");
}

#[test]
fn pages_of_one_title_are_numbered() {
    let page = |title: &str| Page { title: title.into(), markdown: String::new() };
    let files = page_files(&[page("First steps!"), page("first: steps"), page("…")]);
    assert_eq!(files, ["page.first-steps.html", "page.first-steps.2.html", "page..html"]);
}
