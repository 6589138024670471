use super::*;
use crate::fixtures;

#[track_caller]
fn examples_of(service: &str, method: &str) -> Examples {
    let chat = fixtures::chat();
    let service = chat.service(service).unwrap();
    of(&chat, service, service.method(method).unwrap())
}

/// An example without the line breaks of long chains.
fn joined(example: &str) -> String {
    example.replace("\n    .", ".")
}

#[test]
fn objects_are_reached_from_the_root() {
    let examples = examples_of("Room", "history");
    assert_eq!(
        joined(&examples.rust_awaited),
        "let member = chat.log_in(\"name\").await?;\n\
         let room = member.enter(RoomId(\"room\".into())).await?;\n\
         let history = room.history(1).await?;"
    );
    assert_eq!(
        joined(&examples.typescript_awaited),
        "const member = await chat.log_in(\"name\");\n\
         const room = await member.enter(\"room\");\n\
         const history = await room.history(1);"
    );
}

#[test]
fn results_that_fit_are_passed_on() {
    let examples = examples_of("Member", "enter");
    assert_eq!(
        joined(&examples.rust_pipelined),
        "let message = chat.message(MessageId(1));\n\
         let say = chat.log_in(\"name\").enter(message.room()).say(\"text\", None).await?;"
    );
    let examples = examples_of("Chat", "message");
    assert!(examples.rust_pipelined.ends_with(".await?;"), "{}", examples.rust_pipelined);
}

#[test]
fn each_element_of_a_list_is_passed_on_by_a_map() {
    let examples = examples_of("Room", "history");
    assert_eq!(
        joined(&examples.rust_pipelined),
        "let history = chat.log_in(\"name\").enter(RoomId(\"room\".into())).history(1);\n\
         let profile_of_each = history.map(|each| chat.profile(each.author())).await?;"
    );
}

#[test]
fn streams_are_read_and_callbacks_implemented() {
    let examples = examples_of("Room", "messages");
    assert!(examples.rust_awaited.ends_with(
        "let mut messages = room.messages().await?;\n\
         while let Some(item) = messages.next().await {\n    let item = item?;\n}"
    ));
    let examples = examples_of("Listener", "heard");
    assert!(examples.rust_awaited.contains("impl Listener for MyListener {"));
    assert!(joined(&examples.rust_pipelined).ends_with(".listen(ListenerClient::local(MyListener)).await?;"));
    assert!(examples.typescript_awaited.starts_with("const listener: ListenerImplementation = {"));
}

#[track_caller]
fn example(
    services: &serde_json::Value,
    types: &serde_json::Value,
    of_service: &str,
    method: &str,
) -> Examples {
    let text = serde_json::json!({ "format": 1, "title": "T", "version": "1", "services": services, "types": types });
    let description = Description::from_json(&text.to_string()).unwrap();
    let service = description.service(of_service).unwrap();
    of(&description, service, service.method(method).unwrap())
}

fn method(
    name: &str,
    arguments: &serde_json::Value,
    result: &serde_json::Value,
    idempotent: bool,
) -> serde_json::Value {
    serde_json::json!({
        "name": name, "arguments": arguments, "result": { "type": result, "rust": "Given" }, "idempotent": idempotent,
        "fingerprint": "00000000000000ff",
    })
}

#[test]
fn objects_are_reached_by_what_looks_them_up() {
    let project = serde_json::json!({ "object": "Project" });
    let none = serde_json::json!([]);
    let filter = serde_json::json!([{ "name": "filter", "type": { "ref": "Filter" }, "rust": "Filter" }]);
    let services = serde_json::json!([
        { "name": "Tracker", "implemented_by": "server", "is_root": true, "methods": [
            method("open", &none, &project, false), method("find", &none, &project, true), method("project", &none, &project, false),
            method("close", &none, &serde_json::json!("u8"), false), method("count", &none, &serde_json::json!("u8"), true),
            method("size", &none, &serde_json::json!("u8"), true),
        ] },
        { "name": "Project", "implemented_by": "server", "is_root": false, "methods": [
            method("issues", &filter, &serde_json::json!("u8"), false), method("all", &none, &serde_json::json!("u8"), false),
        ] },
    ]);
    let types = serde_json::json!([{ "name": "Filter", "shape": { "struct": [{ "name": "next", "type": { "ref": "Filter" } }] } }]);
    let issues = example(&services, &types, "Project", "issues");
    assert_eq!(
        issues.rust_awaited,
        "// given filter: Filter\nlet project = tracker.project().await?;\nlet issues = project.issues(filter).await?;"
    );
    assert!(
        issues.typescript_awaited.starts_with("// given filter: Filter\nconst project = "),
        "{}",
        issues.typescript_awaited
    );
    // Only calls that change nothing leave together.
    let close = example(&services, &types, "Tracker", "close");
    assert_eq!(close.rust_pipelined, close.rust_awaited);
    let count = example(&services, &types, "Tracker", "count");
    assert_eq!(
        count.rust_pipelined,
        "let (count, size) = rpc_client::join!(\n    tracker.count(),\n    tracker.size(),\n);"
    );
}
