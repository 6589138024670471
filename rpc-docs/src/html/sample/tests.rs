use serde_json::{Value, json};

use super::{
    super::{
        Theme,
        tests::{chat, described},
    },
    *,
};

fn of(shape: Value) -> Vec<String> {
    let (described, theme) =
        (described(json!([]), json!([{ "name": "T", "shape": shape }]), json!([])), Theme::default());
    samples(&Atlas::new(&described, &theme, &crate::names::Names::of(&described)), 0)
}

#[test]
fn samples_are_json_and_keep_the_order_of_fields() {
    let (chat, theme) = (chat(), Theme::default());
    let names = crate::names::Names::of(&chat);
    let atlas = Atlas::new(&chat, &theme, &names);
    for at in 0..chat.types.len() {
        for sample in samples(&atlas, at) {
            serde_json::from_str::<Value>(&sample).unwrap();
        }
    }
    let (user, _) = atlas.definition("User").unwrap();
    let expected = "{\n  \"id\": 7,\n  \"name\": \"Ann\",\n  \"friends\": [7],\n  \"presence\": \"hello\"\n}";
    assert_eq!(samples(&atlas, user), [expected]);
}

#[test]
fn an_enum_has_a_sample_a_variant() {
    let variants = json!([{ "name": "One" }, { "name": "Two", "content": { "newtype": "u8" } }, { "name": "Old", "content": "unreadable" }]);
    assert_eq!(of(json!({ "enum": variants })), ["\"One\"", "{ \"Two\": 7 }"]);
}

#[test]
fn options_of_options_are_lists_and_maps_follow_their_keys() {
    assert_eq!(of(json!({ "newtype": { "option": { "option": "u8" } } })), ["[7]"]);
    assert_eq!(
        of(json!({ "newtype": { "map": { "key": "string", "value": "bool" } } })),
        ["{ \"hello\": true }"]
    );
    assert_eq!(of(json!({ "newtype": { "map": { "key": "f64", "value": "bool" } } })), ["[[0.5, true]]"]);
}

#[test]
fn recursive_and_wide_types_have_small_samples() {
    let fields: Value =
        (0..40).map(|at| json!({ "name": format!("f{at}"), "type": { "list": { "ref": "T" } } })).collect();
    assert!(of(json!({ "struct": fields }))[0].len() < 6_000);
}

#[test]
fn what_leads_back_ends_and_arrays_keep_their_length() {
    let node = json!([{ "name": "next", "type": { "option": { "ref": "T" } } }, { "name": "all", "type": { "list": { "ref": "T" } } }]);
    let sample = of(json!({ "struct": node })).remove(0);
    assert!(!sample.contains('…') && sample.contains("\"next\": null"), "{sample}");
    assert_eq!(of(json!({ "struct": [{ "name": "next", "type": { "ref": "T" } }] })), [""; 0]);
    assert_eq!(of(json!({ "newtype": { "array": { "element": "u8", "len": 5 } } })), ["[7, 7, 7, 7, 7]"]);
    assert_eq!(
        of(json!({ "newtype": { "array": { "element": "u8", "len": 32 } } })),
        ["[7, 7, 7, \"… 32 in all\"]"]
    );
}

#[track_caller]
fn check_text(name: &str, expected: &str) {
    let types = json!([{ "name": name, "shape": { "opaque": {} }, "json": "string" }]);
    let (described, theme) = (described(json!([]), types, json!([])), Theme::default());
    let names = crate::names::Names::of(&described);
    assert_eq!(samples(&Atlas::new(&described, &theme, &names), 0), [format!("{expected:?}")]);
}

#[test]
fn texts_look_like_what_their_types_are_called() {
    check_text("Uuid", "67e55044-10b1-426f-9247-bb680e5fe0c8");
    check_text("chrono::DateTime<Utc>", "2026-01-31T12:00:00Z");
    check_text("Word", "hello");
}
