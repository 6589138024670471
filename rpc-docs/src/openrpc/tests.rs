use super::*;
use crate::fixtures;

#[test]
fn a_method_says_all_that_is_known() {
    let document = document(&fixtures::chat());
    let methods = document["methods"].as_array().unwrap();
    let enter = methods.iter().find(|method| method["name"] == "Member.enter").unwrap();
    assert_eq!(enter["x-object"], json!({"result": ["Room"]}));
    assert_eq!(enter["params"][0]["schema"], json!({"$ref": "#/components/schemas/RoomId"}));
    assert_eq!(enter["x-pipelines"]["arguments"][0]["argument"], "room");
    assert_eq!(enter["errors"][1], json!({"$ref": "#/components/errors/ChatError_NoSuchUser"}));
    let messages = methods.iter().find(|method| method["name"] == "Room.messages").unwrap();
    assert_eq!(messages["x-stream"]["result"][0]["item"], json!({"$ref": "#/components/schemas/Message"}));
    assert_eq!(messages["x-ordered"], true);
    let profile = methods.iter().find(|method| method["name"] == "Chat.profile").unwrap();
    assert_eq!(profile["examples"][0]["params"][0]["value"], 1);
    assert_eq!(profile["x-idempotent"], true);
}

#[test]
fn errors_have_the_codes_of_their_variants() {
    let document = document(&fixtures::chat());
    let error = &document["components"]["errors"]["ChatError_NoSuchMessage"];
    assert_eq!(error["code"], 3);
    assert_eq!(error["message"], "there is no message {0:?}");
    assert_eq!(error["data"]["schema"]["required"], json!(["NoSuchMessage"]));
}

#[test]
fn every_extension_is_explained() {
    let mut document = document(&fixtures::hostile());
    let explained = document["x-extensions"].take();
    let mut queue = vec![&document];
    while let Some(part) = queue.pop() {
        for (name, part) in part.as_object().into_iter().flatten() {
            let is_extension = name.starts_with("x-") && name != "x-extensions";
            assert!(!is_extension || explained.get(name).is_some(), "{name}");
            queue.push(part);
        }
        queue.extend(part.as_array().into_iter().flatten());
    }
}

#[test]
fn the_same_description_gives_the_same_bytes() {
    assert_eq!(render(&fixtures::hostile()), render(&fixtures::hostile()));
}
