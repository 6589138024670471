use super::*;
use crate::fixtures;

#[track_caller]
fn examples_of(service: &str, method: &str) -> Examples {
    let chat = fixtures::chat();
    let service = chat.service(service).unwrap();
    of(&chat, service, service.method(method).unwrap())
}

/// Without the line breaks of long chains.
fn joined(example: &str) -> String {
    example.replace("\n    .", ".")
}

#[test]
fn objects_are_reached_from_the_root() {
    let examples = examples_of("Room", "history");
    assert_eq!(
        examples.rust_awaited,
        "let member = chat.log_in(\"name\").await?;\n\
         let room = member.enter(RoomId(\"room\".into())).await?;\n\
         let history = room.history(1).await?;"
    );
    assert_eq!(
        examples.typescript_awaited,
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
