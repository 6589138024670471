use serde_json::json;

use super::{
    super::{
        Theme,
        tests::{chat, described},
    },
    *,
};

#[track_caller]
fn check_in_chat(text: &str, to: Option<&str>) {
    let (chat, theme) = (chat(), Theme::default());
    let names = crate::names::Names::of(&chat);
    let atlas = Atlas::new(&chat, &theme, &names);
    let room = atlas.service("Room").map(|(at, _)| Named::Service(at));
    assert_eq!(resolve(&atlas, room, text).as_deref(), to, "{text}");
}

#[test]
fn names_of_the_api_lead_to_their_pages() {
    check_in_chat("Room", Some("service.Room.html"));
    check_in_chat("RoomClient", Some("service.Room.html"));
    check_in_chat("Room::history", Some("service.Room.html#method.history"));
    check_in_chat("`RoomClient::history()`", Some("service.Room.html#method.history"));
    check_in_chat("method@crate::api::Room::history", Some("service.Room.html#method.history"));
    check_in_chat("User", Some("types.html#type.User"));
    check_in_chat("User::name", Some("types.html#field.User.name"));
    check_in_chat("examples::chat::api::User", Some("types.html#type.User"));
    check_in_chat("ChatError", Some("errors.html#error.ChatError"));
    check_in_chat("ChatError::BadName", Some("errors.html#variant.ChatError.BadName"));
}

#[test]
fn self_is_the_service() {
    check_in_chat("Self::say", Some("service.Room.html#method.say"));
}

#[test]
fn what_names_nothing_leads_nowhere() {
    for text in [
        "",
        "`",
        "Nothing",
        "Room::nothing",
        "Nothing::history",
        "javascript:alert(1)",
        "a b",
        "::",
        "User::constructor",
    ] {
        check_in_chat(text, None);
    }
}

#[test]
fn a_name_of_two_things_leads_nowhere_and_their_paths_to_each() {
    let types = json!([{ "name": "a::Same", "path": "x::a::Same", "shape": "unit" }, { "name": "b::Same", "shape": "unit" }]);
    let (described, theme) = (described(json!([]), types, json!([])), Theme::default());
    let names = crate::names::Names::of(&described);
    let atlas = Atlas::new(&described, &theme, &names);
    assert_eq!(resolve(&atlas, None, "Same"), None);
    assert_eq!(resolve(&atlas, None, "x::a::Same").as_deref(), Some("types.html#type.a::Same"));
    assert_eq!(resolve(&atlas, None, "b::Same").as_deref(), Some("types.html#type.b::Same"));
}
