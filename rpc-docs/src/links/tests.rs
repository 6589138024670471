use super::*;
use crate::fixtures;

#[track_caller]
fn check(path: &str, expected: &str) {
    let chat = fixtures::chat();
    let links = Links::new(&chat);
    let found = match links.resolve(path, Some(Target::Service(&chat.services[2]))) {
        Some(Target::Service(service)) => format!("service {}", service.name),
        Some(Target::Method(service, method)) => format!("method {}.{}", service.name, method.name),
        Some(Target::Type(definition)) => format!("type {}", definition.name),
        Some(Target::Field(definition, field)) => format!("field {}.{}", definition.name, field.name),
        Some(Target::Variant(definition, variant)) => format!("variant {}.{}", definition.name, variant.name),
        None => "nothing".into(),
    };
    assert_eq!(found, expected, "{path}");
}

#[test]
fn paths_name_services_methods_types_and_their_parts() {
    check("Room", "service Room");
    check("RoomClient", "service Room");
    check("Room::history", "method Room.history");
    check("`RoomClient::history()`", "method Room.history");
    check("crate::chat::api::Room::history", "method Room.history");
    check("Self::say", "method Room.say");
    check("say", "method Room.say");
    check("User", "type User");
    check("struct@User", "type User");
    check("User::name", "field User.name");
    check("ChatError::BadName", "variant ChatError.BadName");
    check("super::api::ChatError", "type ChatError");
}

#[test]
fn what_is_not_known_names_nothing() {
    check("Vec", "nothing");
    check("Room::nothing", "nothing");
    check("https://example.com", "nothing");
    check("", "nothing");
}

#[test]
fn modules_tell_types_of_one_name_apart() {
    let hostile = fixtures::hostile();
    let links = Links::new(&hostile);
    assert!(links.resolve("User", None).is_none());
    let Some(Target::Type(user)) = links.resolve("crate::b::User", None) else { panic!("it is known") };
    assert_eq!(user.name, "b::User");
    let Some(Target::Field(page, _)) = links.resolve("Page<a::User>::items", None) else {
        panic!("it is known")
    };
    assert_eq!(page.name, "Page<a::User>");
}
