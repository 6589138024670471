use super::*;
use crate::fixtures;

#[track_caller]
fn check(ty: &Value, schema: &Value) {
    let hostile = fixtures::hostile();
    let names = Names::of(&hostile);
    let ty: Type = serde_json::from_value(ty.clone()).unwrap();
    assert_eq!(Schemas::new(&hostile, &names).of(&ty), *schema);
}

#[test]
fn options_of_what_may_be_null_wrap_it() {
    check(&json!({"option": "bool"}), &json!({"anyOf": [{"type": "null"}, {"type": "boolean"}]}));
    let wrapped = json!({"type": "array", "items": [{"type": "null"}], "minItems": 1, "maxItems": 1});
    check(&json!({"option": "unit"}), &json!({"oneOf": [{"type": "null"}, wrapped]}));
}

#[test]
fn maps_are_objects_where_keys_are_text() {
    let booleans = json!({"type": "boolean"});
    check(
        &json!({"map": {"key": {"ref": "Plain"}, "value": "bool"}}),
        &json!({"type": "object", "additionalProperties": booleans, "propertyNames": {"enum": ["A", "B */"]}}),
    );
    check(
        &json!({"map": {"key": "i8", "value": "bool"}}),
        &json!({"type": "object", "additionalProperties": booleans, "propertyNames": {"pattern": "^-?[0-9]+$"}}),
    );
    let pair = json!({"type": "array", "items": [{"$ref": "#/components/schemas/Key"}, booleans], "minItems": 2, "maxItems": 2});
    check(
        &json!({"map": {"key": {"ref": "Key"}, "value": "bool"}}),
        &json!({"type": "array", "items": pair}),
    );
}

#[test]
fn long_integers_are_numbers_or_digits() {
    check(
        &json!("u64"),
        &json!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64},
            {"type": "string", "pattern": "^[0-9]+$"},
        ]}),
    );
}

#[test]
fn definitions_are_documented_and_tagged() {
    let chat = fixtures::chat();
    let names = Names::of(&chat);
    let definitions = Schemas::new(&chat, &names).definitions();
    let error = &definitions["ChatError"];
    assert_eq!(error["description"], "Why the chat did not do what was asked.");
    assert_eq!(error["oneOf"][0]["required"], json!(["BadName"]));
    assert_eq!(
        definitions["Message"]["properties"]["id"],
        json!({"description": "Names this message.", "allOf": [{"$ref": "#/components/schemas/MessageId"}]})
    );
}

#[test]
fn a_type_without_values_accepts_nothing() {
    let hostile = fixtures::hostile();
    let names = Names::of(&hostile);
    let definitions = Schemas::new(&hostile, &names).definitions();
    assert_eq!(definitions["Never"]["not"], json!({}));
    assert_eq!(definitions["Void"]["not"], json!({}));
    assert_eq!(definitions["Endless"]["not"], json!({}));
    assert_eq!(definitions["Wide"]["oneOf"].as_array().unwrap().len(), 65, "what is never sent is left out");
}

#[test]
fn an_authors_schema_stays_and_finds_its_parts() {
    let hostile = fixtures::hostile();
    let names = Names::of(&hostile);
    let definitions = Schemas::new(&hostile, &names).definitions();
    assert_eq!(definitions["Uuid"], json!({"type": "string", "format": "uuid"}));
    assert_eq!(definitions["Own"]["$ref"], "#/components/schemas/Own/definitions/Part");
    assert_eq!(
        definitions["Own"]["definitions"]["Part"]["properties"]["own"]["$ref"],
        "#/components/schemas/Own"
    );
}

/// Every reference leads to a definition.
#[test]
fn no_reference_leads_nowhere() {
    for description in [fixtures::chat(), fixtures::hostile(), fixtures::big()] {
        let names = Names::of(&description);
        let document = json!({"components": {"schemas": Schemas::new(&description, &names).definitions()}});
        let mut queue = vec![&document];
        while let Some(part) = queue.pop() {
            if let Some(Value::String(reference)) = part.get("$ref") {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
            }
            match part {
                Value::Object(parts) => queue.extend(parts.values()),
                Value::Array(parts) => queue.extend(parts),
                _ => {}
            }
        }
    }
}
