use super::*;
use crate::fixtures;

#[test]
fn names_that_fit_are_kept() {
    let chat = fixtures::chat();
    let names = Names::of(&chat);
    assert_eq!(names.ty("UserId"), Some("UserId"));
    assert_eq!(names.service("Room"), Some("Room"));
    assert_eq!(names.implementation("Listener"), Some("ListenerImplementation"));
    assert_eq!(names.ty("Nobody"), None);
}

#[test]
fn names_that_do_not_fit_are_mended_and_unique() {
    let hostile = fixtures::hostile();
    let names = Names::of(&hostile);
    let all: Vec<&String> =
        names.types.values().chain(names.services.values()).chain(names.implementations.values()).collect();
    let distinct: BTreeSet<&String> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len());
    for name in all {
        assert_eq!(identifier(name), *name);
        assert!(!RESERVED.split_whitespace().chain(OWN).any(|reserved| reserved == name), "{name}");
    }
}

#[test]
fn identifiers_are_made_of_anything() {
    assert_eq!(identifier("Page<User>"), "Page_User");
    assert_eq!(identifier("a::User"), "a_User");
    assert_eq!(identifier("<b>"), "_b");
    assert_eq!(identifier("1st"), "_1st");
    assert_eq!(identifier("日本"), "_");
    assert_eq!(identifier(""), "_");
}

#[test]
fn many_equal_names_are_numbered() {
    let mut taken = Taken::none();
    let names: Vec<String> = (0..3).map(|_| taken.name("User")).collect();
    assert_eq!(names, ["User", "User_2", "User_3"]);
}
