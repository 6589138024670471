use super::*;
use crate::{
    compare::compare,
    description::{Argument, Flow, PathStep, Shape, Sink, Source, Type, Value},
    fixtures,
    prose::is_unprintable,
};

#[test]
fn nothing_in_a_file_is_unseen_or_turns_what_is_around_it() {
    for (name, contents) in outputs(&fixtures::hostile(), &Theme::default()).files() {
        // JSON keeps names unchanged.
        if name.ends_with(".json") {
            continue;
        }
        let text = std::str::from_utf8(contents).unwrap();
        let found =
            text.char_indices().find(|(_, letter)| !['\n', '\t'].contains(letter) && is_unprintable(*letter));
        assert_eq!(found, None, "{name}");
    }
}

#[test]
fn services_have_files_that_every_system_takes() {
    let mut description = fixtures::hostile();
    let names = ["CON", "con", "Lpt1", "com", "..", "/etc/passwd", "C:\\x", "a\0b", "README", "index"];
    description.flows.clear();
    description.services = names
        .iter()
        .map(|name| {
            let mut service = fixtures::hostile().services[3].clone();
            service.name = (*name).into();
            service
        })
        .collect();
    let files = outputs(&description, &Theme::default());
    let mut seen = std::collections::BTreeSet::new();
    for (name, _) in files.files() {
        assert!(seen.insert(name.to_lowercase()), "{name} is there twice where case does not count");
        for part in name.split('/') {
            let stem = part.split('.').next().unwrap().to_lowercase();
            assert!(!part.starts_with('.') && !["con", "aux", "lpt1"].contains(&&*stem), "{name}");
            assert!(
                part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-~".contains(letter)),
                "{name}"
            );
        }
    }
    let services = |start: &str| files.files().filter(|(name, _)| name.starts_with(start)).count();
    assert_eq!((services("service."), services("markdown/services/")), (names.len(), names.len()));
}

/// A description that was built by hand is not checked, and still gets outputs.
#[test]
fn a_description_that_does_not_hold_together_still_has_outputs() {
    let mut description = fixtures::chat();
    let value = |ty: Type| Value { ty, rust: "?".into() };
    let nowhere = || Type::Ref("Nowhere".into());
    let method = &mut description.services[0].methods[0];
    method.arguments = vec![
        Argument { name: "ring".into(), value: value(Type::Option(Type::Ref("Ring".into()).into())) },
        Argument {
            name: "many".into(),
            value: value(Type::Array { element: Type::U8.into(), len: usize::MAX }),
        },
    ];
    method.result = value(Type::Map {
        name: "HashMap".into(),
        key: nowhere().into(),
        value: Type::Object("Nobody".into()).into(),
    });
    method.error = Some(value(nowhere()));
    method.batch = Some("nothing".into());
    method.fingerprint = "none".into();
    let mut ring = description.types[0].clone();
    ring.name = "Ring".into();
    ring.shape = Shape::Newtype(Type::Ref("Ring".into()));
    description.types.insert(0, ring.clone());
    description.types.push(ring);
    let (service, method) = ("Nobody".to_owned(), "nothing".to_owned());
    let path = vec![PathStep::Index(usize::MAX), PathStep::Field(String::new()), PathStep::Element];
    description.flows.push(Flow {
        ty: nowhere(),
        from: vec![Source { service: service.clone(), method: method.clone(), path }],
        into: vec![
            Sink::Target { service: service.clone() },
            Sink::Argument { service, method, argument: "none".into() },
        ],
    });
    description.services.push(description.services[0].clone());
    for (name, contents) in outputs(&description, &Theme::default()).files() {
        assert!(!contents.is_empty(), "{name}");
    }
    let comparison = compare(&description, &description);
    assert!(!comparison.to_string().is_empty());
    assert!(Description::from_json(&description.to_json()).is_err());
}
