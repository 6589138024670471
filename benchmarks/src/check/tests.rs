use super::{Recorded, Round, Row, Verdict, judge, median_time, processor_time};

#[test]
fn fifteen_percent_less_are_noticed() {
    assert_eq!(Verdict::of(Some(2.0), 1.71), Verdict::Held);
    assert_eq!(Verdict::of(Some(2.0), 1.69), Verdict::Worse);
    assert_eq!(Verdict::of(Some(2.0), 5.0), Verdict::Held);
    assert_eq!(Verdict::of(Some(2.0), f64::NAN), Verdict::Worse);
    assert_eq!(Verdict::of(None, 2.0), Verdict::Unrecorded);
}

#[test]
fn a_cost_is_a_median_or_what_all_rounds_used_for_all_they_moved() {
    let round = |value, processor_seconds| Round { value, seconds: 0.5, processor_seconds };
    let rounds = [round(100.0, 0.5), round(300.0, 1.5), round(200.0, 1.0)];
    assert!((median_time(&rounds) - 200.0).abs() < 1e-9);
    assert!((processor_time(&rounds) - 0.01).abs() < 1e-9);
    assert!(median_time(&[]).is_nan() && processor_time(&[]).is_nan());
}

#[test]
fn a_worse_row_fails_on_the_recorded_machine_alone() {
    assert!(judge(true, "this", "this").is_ok());
    assert!(judge(false, "another", "this").is_ok());
    let said = judge(false, "this", "this").expect_err("a row is worse").to_string();
    assert!(said.contains("check --record"), "it does not say how to accept: {said}");
}

#[test]
fn every_row_that_is_recorded_exists_and_the_other_way_round() {
    let text = std::fs::read_to_string(super::file()).expect("the file is checked in");
    let recorded: Recorded = serde_json::from_str(&text).expect("the file is what the program writes");
    let mut names = Row::all().map(Row::name);
    names.sort_unstable();
    assert!(recorded.ratios.keys().eq(names.iter()));
}
