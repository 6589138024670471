use super::*;
use crate::fixtures;

#[test]
fn values_are_made_up_from_types() {
    let chat = fixtures::chat();
    assert_eq!(
        sample(&chat, &Type::Ref("Message".into()), "message"),
        Some(json!({"id": 1, "room": "room", "author": 1, "text": "text", "reply_to": 1}))
    );
    assert_eq!(sample(&chat, &Type::Object("Member".into()), "member"), None);
}

#[test]
fn recursive_types_end() {
    let hostile = fixtures::hostile();
    assert!(sample(&hostile, &Type::Ref("string".into()), "word").is_some());
    assert_eq!(sample(&hostile, &Type::Ref("Infinite".into()), "next"), None);
    assert_eq!(sample(&hostile, &Type::Ref("Endless".into()), "endless"), None);
    assert_eq!(sample(&hostile, &Type::Ref("Never".into()), "never"), None);
}
