use serde_json::json;

use super::{
    super::{
        Theme,
        tests::{chat, described, method, service},
    },
    *,
};
use crate::Description;

fn drawn(description: &Description, service: &str, method: &str) -> Vec<(From, Kind, String)> {
    let theme = Theme::default();
    let names = crate::names::Names::of(description);
    let atlas = Atlas::new(description, &theme, &names);
    let at = atlas.method_at(service, method).unwrap();
    let (service, method) = atlas.method(at);
    steps(&atlas, service, method).0.into_iter().map(|step| (step.from, step.kind, step.label)).collect()
}

#[test]
fn an_object_that_is_given_is_called_by_the_caller() {
    let expected = [
        (From::Caller, Kind::Call, "log_in(name)".to_owned()),
        (From::Callee, Kind::Return, "Member".into()),
        (From::Caller, Kind::Later, "Member.profile(…), …".into()),
    ];
    assert_eq!(drawn(&chat(), "Chat", "log_in"), expected);
}

#[test]
fn an_object_that_is_taken_is_called_by_the_callee() {
    let expected = [
        (From::Caller, Kind::Call, "listen(listener)".to_owned()),
        (From::Callee, Kind::Later, "Listener.heard(…)".into()),
        (From::Callee, Kind::Return, "done".into()),
    ];
    assert_eq!(drawn(&chat(), "Room", "listen"), expected);
}

#[test]
fn streams_flow_from_who_has_them() {
    let items = json!({ "stream": { "item": "u8" } });
    let both = method("both", items.clone(), items);
    let described = described(json!([service("A", true, json!([both]))]), json!([]), json!([]));
    let expected = [
        (From::Caller, Kind::Call, "both(of)".to_owned()),
        (From::Caller, Kind::Items, "u8, u8, …".into()),
        (From::Callee, Kind::Return, "Streaming<u8>".into()),
        (From::Callee, Kind::Items, "u8, u8, …".into()),
    ];
    assert_eq!(drawn(&described, "A", "both"), expected);
}

#[test]
fn the_server_calls_what_clients_implement() {
    let chat = chat();
    let listener = chat.service("Listener").unwrap();
    assert_eq!(lanes(listener), ("Client", "Server", false));
    assert_eq!(drawn(&chat, "Listener", "heard"), [(From::Caller, Kind::Call, "heard(message)".to_owned())]);
    let theme = Theme::default();
    let names = crate::names::Names::of(&chat);
    let atlas = Atlas::new(&chat, &theme, &names);
    let picture = render(&atlas, atlas.method_at("Listener", "heard").unwrap()).into_string();
    assert!(picture.contains("Server to Client: calls heard(message)"), "{picture}");
}

#[test]
fn objects_inside_of_recursive_types_are_found_once() {
    let types = json!([{ "name": "Tree", "shape": { "struct": [
        { "name": "below", "type": { "list": { "ref": "Tree" } } }, { "name": "object", "type": { "object": "B" } },
    ] } }]);
    let services = json!([
        service("A", true, json!([method("tree", json!("u8"), json!({ "ref": "Tree" }))])),
        service("B", false, json!([]))
    ]);
    let labels: Vec<String> =
        drawn(&described(services, types, json!([])), "A", "tree").into_iter().map(|step| step.2).collect();
    assert_eq!(labels, ["tree(of)", "Tree", "B"]);
}

#[test]
fn a_plain_call_has_no_picture() {
    assert_eq!(drawn(&chat(), "Chat", "profile"), []);
}
