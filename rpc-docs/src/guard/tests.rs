use std::{
    env, process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

mod v1 {
    #[rpc_core::rpc]
    pub(super) trait Greeter {
        async fn greet(&self, name: String) -> String;
    }
}

mod v2 {
    #[rpc_core::rpc]
    pub(super) trait Greeter {
        async fn greet(&self, name: String) -> String;
        async fn part(&self) -> String;
    }
}

fn old() -> Api {
    Api::new("Greetings", "1").service::<v1::GreeterClient>()
}

fn new() -> Api {
    Api::new("Greetings", "1").service::<v2::GreeterClient>()
}

/// A path in a temporary folder, which is removed with the value.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("rpc-docs-{}-{number}", process::id())))
    }

    fn file(&self) -> PathBuf {
        self.0.join("api/greetings.json")
    }

    fn holding(api: &Api) -> Self {
        let place = Self::new();
        assert_eq!(check(place.file(), api, Accept::Compatible).unwrap(), Checked::Created);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_missing_description_is_written_only_on_demand() {
    let place = Place::new();
    let error = check(place.file(), &old(), Accept::Nothing).unwrap_err();
    assert!(error.to_string().contains("UPDATE_API=compatible"), "{error}");
    assert!(!place.file().exists());
    assert_eq!(check(place.file(), &old(), Accept::Compatible).unwrap(), Checked::Created);
    assert_eq!(check(place.file(), &old(), Accept::Nothing).unwrap(), Checked::Unchanged);
}

#[test]
fn a_compatible_change_fails_until_it_is_accepted() {
    let place = Place::holding(&old());
    let error = check(place.file(), &new(), Accept::Nothing).unwrap_err().to_string();
    assert!(error.contains("COMPATIBLE") && error.contains("the method `part` is new"), "{error}");
    let Checked::Accepted(comparison) = check(place.file(), &new(), Accept::Compatible).unwrap() else {
        panic!("it is written")
    };
    assert_eq!(comparison.verdict(), Verdict::Compatible);
    assert_eq!(check(place.file(), &new(), Accept::Nothing).unwrap(), Checked::Unchanged);
}

#[test]
fn a_breaking_change_must_be_accepted_as_such() {
    let place = Place::holding(&new());
    let error = check(place.file(), &old(), Accept::Compatible).unwrap_err().to_string();
    assert!(error.contains("BREAKING") && error.contains("UPDATE_API=breaking"), "{error}");
    assert!(error.contains("Old clients that call new servers are refused:\n  Greeter.part"), "{error}");
    assert_eq!(
        check(place.file(), &new(), Accept::Nothing).unwrap(),
        Checked::Unchanged,
        "nothing is written"
    );
    assert!(matches!(check(place.file(), &old(), Accept::Breaking), Ok(Checked::Accepted(_))));
    assert_eq!(check(place.file(), &old(), Accept::Nothing).unwrap(), Checked::Unchanged);
}

#[test]
fn a_damaged_description_is_told_and_replaced_only_on_demand() {
    let place = Place::holding(&old());
    for damaged in ["", "{", "\u{0}", "{\"format\": 1}", "[1, 2]"] {
        fs::write(place.file(), damaged).unwrap();
        let error = check(place.file(), &old(), Accept::Compatible).unwrap_err();
        assert!(matches!(error, GuardError::Unreadable { .. }), "{error}");
    }
    fs::write(place.file(), [0xff, 0xfe, 0x00]).unwrap();
    let error = check(place.file(), &old(), Accept::Compatible).unwrap_err();
    assert!(matches!(error, GuardError::Unreadable { .. }), "{error}");
    assert_eq!(check(place.file(), &old(), Accept::Breaking).unwrap(), Checked::Created);
}

#[test]
fn a_description_of_a_newer_format_is_told_as_such() {
    let place = Place::holding(&old());
    let text = fs::read_to_string(place.file()).unwrap().replacen("\"format\": 1", "\"format\": 2", 1);
    fs::write(place.file(), text).unwrap();
    let error = check(place.file(), &old(), Accept::Nothing).unwrap_err().to_string();
    assert!(error.contains("format 2") && error.contains("update rpc-docs"), "{error}");
}

#[test]
fn line_ends_of_another_system_are_no_change() {
    let place = Place::holding(&old());
    let text = fs::read_to_string(place.file()).unwrap().replace('\n', "\r\n");
    fs::write(place.file(), text).unwrap();
    assert_eq!(check(place.file(), &old(), Accept::Nothing).unwrap(), Checked::Unchanged);
}

#[test]
fn an_edited_description_is_stale() {
    let place = Place::holding(&old());
    let text = fs::read_to_string(place.file()).unwrap().replacen("  \"title\"", " \"title\"", 1);
    fs::write(place.file(), text).unwrap();
    assert!(matches!(check(place.file(), &old(), Accept::Nothing), Err(GuardError::Stale { .. })));
    assert!(matches!(check(place.file(), &old(), Accept::Compatible), Ok(Checked::Accepted(_))));
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let place = Place::holding(&old());
    let below_a_file = place.file().join("deeper.json");
    let error = check(&below_a_file, &old(), Accept::Breaking).unwrap_err();
    assert!(matches!(error, GuardError::File { .. }) && error.to_string().contains("deeper.json"), "{error}");
}

#[test]
fn a_mark_in_front_is_no_change() {
    let place = Place::holding(&old());
    let text = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    assert_eq!(check(place.file(), &old(), Accept::Nothing).unwrap(), Checked::Unchanged);
}

#[test]
fn a_failed_test_says_what_the_system_says() {
    let place = Place::new();
    fs::create_dir_all(place.file()).unwrap();
    for accept in [Accept::Nothing, Accept::Breaking] {
        let error = check(place.file(), &old(), accept).unwrap_err();
        let GuardError::File { error: why, .. } = &error else { panic!("{error:?}") };
        assert!(told(&error).ends_with(&why.to_string()), "{}", told(&error));
    }
}

#[test]
fn what_two_people_have_merged_by_halves_is_damaged() {
    let place = Place::holding(&old());
    let text = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")).unwrap();
    let error = check(place.file(), &old(), Accept::Compatible).unwrap_err();
    assert!(matches!(error, GuardError::Unreadable { .. }), "{error:?}");
    assert_eq!(check(place.file(), &old(), Accept::Breaking).unwrap(), Checked::Created);
}
