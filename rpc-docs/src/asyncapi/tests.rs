use super::*;
use crate::fixtures;

#[test]
fn calls_are_received_with_replies_and_callbacks_are_sent() {
    let document = document(&fixtures::chat());
    let enter = &document["operations"]["Member_enter"];
    assert_eq!(enter["action"], "receive");
    assert_eq!(enter["reply"]["messages"].as_array().unwrap().len(), 2, "a result or an error");
    let heard = &document["operations"]["Listener_heard"];
    assert_eq!(heard["action"], "send");
    assert!(heard.get("reply").is_none(), "nothing answers a one-way call");
}

#[test]
fn streams_are_operations_in_the_direction_of_their_items() {
    let chat = document(&fixtures::chat());
    let messages = &chat["operations"]["Room_messages_result_items"];
    assert_eq!(messages["action"], "send");
    assert_eq!(messages["x-stream-of"], "Room_messages");
    let hostile = document(&fixtures::hostile());
    let uploads = hostile["operations"].as_object().unwrap().iter();
    let uploads: Vec<_> = uploads.filter(|(name, _)| name.ends_with("upload_items")).collect();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].1["action"], "receive");
}

/// Every reference leads somewhere in the document.
#[test]
fn no_reference_leads_nowhere() {
    let document = document(&fixtures::hostile());
    let mut queue = vec![&document];
    while let Some(part) = queue.pop() {
        if let Some(Value::String(reference)) = part.get("$ref") {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        queue.extend(part.as_object().into_iter().flat_map(Map::values));
        queue.extend(part.as_array().into_iter().flatten());
    }
}
