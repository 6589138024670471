use super::*;

fn description() -> Description {
    let value = |ty: Type| Value { ty, rust: String::new() };
    Description {
        format: FORMAT,
        title: "T".into(),
        version: "1".into(),
        docs: String::new(),
        services: vec![Service {
            name: "S".into(),
            rust_name: None,
            docs: String::new(),
            implemented_by: Side::Server,
            is_root: true,
            offered_by: None,
            ordered: false,
            methods: vec![Method {
                name: "m".into(),
                rust_name: None,
                docs: String::new(),
                arguments: vec![Argument { name: "a".into(), value: value(Type::Ref("A".into())) }],
                result: value(Type::Object("S".into())),
                error: None,
                idempotent: false,
                oneway: false,
                no_cancel: false,
                batch: None,
                deprecated: None,
                fingerprint: "00".into(),
                problems: Vec::new(),
            }],
        }],
        types: ["A", "B"]
            .map(|name| TypeDefinition {
                name: name.into(),
                path: String::new(),
                docs: String::new(),
                shape: Shape::Unit,
                json: None,
                schema: None,
                deprecated: None,
                pipelined: false,
            })
            .into(),
        flows: Vec::new(),
        limits: Vec::new(),
    }
}

#[track_caller]
fn check_refused(damage: impl FnOnce(&mut Description), told: &str) {
    let mut description = description();
    damage(&mut description);
    let error = Description::from_json(&description.to_json()).unwrap_err().to_string();
    assert!(error.contains(told), "{error}");
}

#[test]
fn a_description_survives_being_written() {
    let description = description();
    assert_eq!(Description::from_json(&description.to_json()).unwrap(), description);
}

#[test]
fn what_does_not_hold_together_is_refused_with_its_place() {
    check_refused(
        |d| d.services[0].methods[0].result.ty = Type::Ref("C".into()),
        "method `S.m` names the type `C`",
    );
    check_refused(
        |d| d.services[0].methods[0].result.ty = Type::List(Type::Object("X".into()).into()),
        "names the service `X`",
    );
    check_refused(
        |d| d.types[1].shape = Shape::Newtype(Type::Ref("C".into())),
        "type `B` names the type `C`",
    );
    check_refused(|d| d.types[1].json = Some(Type::Ref("C".into())), "type `B` names the type `C`");
    check_refused(|d| d.types[1].name = "A".into(), "the type `A` twice");
    check_refused(|d| d.types.reverse(), "not in the order");
    check_refused(|d| d.services.push(d.services[0].clone()), "the service `S` twice");
    check_refused(
        |d| {
            let again = d.services[0].methods[0].clone();
            d.services[0].methods.push(again);
        },
        "the method of `S` `m` twice",
    );
    check_refused(|d| d.services[0].methods[0].batch = Some("n".into()), "the method `S.n`");
    check_refused(|d| d.services[0].methods[0].fingerprint = "x".into(), "the fingerprint `x`");
    let source = Source { service: "S".into(), method: "n".into(), path: Vec::new() };
    let flow = |from, into| Flow { ty: Type::Bool, from, into };
    check_refused(|d| d.flows.push(flow(vec![source], Vec::new())), "the method `S.n`");
    let sink = Sink::Target { service: "X".into() };
    check_refused(|d| d.flows.push(flow(Vec::new(), vec![sink])), "the service `X`");
}

#[test]
fn a_newer_format_is_told_even_if_all_else_differs() {
    let error = Description::from_json(r#"{"format": 7, "apis": []}"#).unwrap_err();
    assert!(matches!(error, DescriptionError::Newer { found: 7 }), "{error}");
    let error = Description::from_json(r#"{"format": "1"}"#).unwrap_err();
    assert!(matches!(error, DescriptionError::Damaged(_)), "{error}");
}

#[test]
fn nesting_without_end_is_damage() {
    let deep = "{\"option\":".repeat(100_000);
    let text = format!("{{\"format\": 1, \"title\": {deep}");
    assert!(matches!(Description::from_json(&text), Err(DescriptionError::Damaged(_))));
}
