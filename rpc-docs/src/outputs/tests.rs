use super::*;
use crate::{fixtures, prose::is_unprintable};

#[test]
fn nothing_in_a_file_is_unseen_or_turns_what_is_around_it() {
    for (name, contents) in outputs(&fixtures::hostile(), &Theme::default()).files() {
        // JSON gives names back as they are.
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
