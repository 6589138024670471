use super::{Path, Recorded, Verdict, collected, judge};

fn recorded_with(tools: &str) -> Recorded {
    Recorded { tools: tools.to_owned(), instructions: [("call".to_owned(), 1_000)].into(), baseline: None }
}

#[test]
fn three_percent_either_way_are_noticed() {
    assert_eq!(Verdict::of(Some(1_000), None, 1_030), Verdict::Held);
    assert_eq!(Verdict::of(Some(1_000), None, 1_031), Verdict::Dearer);
    assert_eq!(Verdict::of(Some(1_000), None, 970), Verdict::Held);
    assert_eq!(Verdict::of(Some(1_000), None, 969), Verdict::Cheaper);
    assert_eq!(Verdict::of(None, None, 1_000), Verdict::Unrecorded);
}

#[test]
fn small_steps_add_up_to_five_percent_and_no_more() {
    assert_eq!(Verdict::of(Some(1_050), Some(1_000), 1_050), Verdict::Held);
    assert_eq!(Verdict::of(Some(1_050), Some(1_000), 1_051), Verdict::MuchDearer);
    let recorded = recorded_with("these tools");
    let verdicts = [Verdict::MuchDearer, Verdict::Dearer, Verdict::Held];
    let said = judge(verdicts.into_iter(), Some(&recorded), "these tools").expect_err("it is much dearer");
    assert!(said.to_string().contains("at the fixed commit: make it cheaper"), "{said}");
}

#[test]
fn a_dearer_path_or_one_that_is_not_recorded_fails_and_a_cheaper_one_does_not() {
    let recorded = recorded_with("these tools");
    let judged = |verdict| judge([Verdict::Held, verdict].into_iter(), Some(&recorded), "these tools");
    assert!(judged(Verdict::Held).is_ok());
    assert!(judged(Verdict::Cheaper).is_ok());
    assert!(judged(Verdict::Unrecorded).is_err());
    let said = judged(Verdict::Dearer).expect_err("it is dearer").to_string();
    assert!(said.contains("instructions --update"), "it does not say how to accept: {said}");
}

#[test]
fn nothing_is_decided_with_other_tools() {
    let recorded = recorded_with("older tools");
    assert!(judge([Verdict::Dearer].into_iter(), Some(&recorded), "these tools").is_ok());
}

#[test]
fn a_missing_file_fails() {
    assert!(judge([Verdict::Unrecorded].into_iter(), None, "these tools").is_err());
}

#[test]
fn the_total_is_found_in_what_callgrind_prints() {
    let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7==\n==7== I   refs:      123,456\n";
    assert_eq!(collected(said), Some(123_456));
    assert_eq!(collected("==7== Events    : Ir\n"), None);
}

#[test]
fn every_path_that_is_recorded_exists_and_the_other_way_round() {
    let text = std::fs::read_to_string(super::file()).expect("the file is checked in");
    let recorded: Recorded = serde_json::from_str(&text).expect("the file is what the program writes");
    let mut names = Path::ALL.map(Path::name);
    names.sort_unstable();
    assert!(recorded.instructions.keys().eq(names.iter()));
    assert!(recorded.baseline.expect("it is there for good").instructions.keys().eq(names.iter()));
}

#[test]
fn every_path_can_be_walked() {
    for path in Path::ALL {
        super::repeat(path.name(), 1).expect("what is walked below valgrind works without it");
    }
}
