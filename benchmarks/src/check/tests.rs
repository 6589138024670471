use super::{Recorded, Row, Verdict, judge, mean, median};

#[test]
fn fifteen_percent_less_are_noticed() {
    assert_eq!(Verdict::of(Some(2.0), 1.71), Verdict::Held);
    assert_eq!(Verdict::of(Some(2.0), 1.69), Verdict::Worse);
    assert_eq!(Verdict::of(Some(2.0), 5.0), Verdict::Held);
    assert_eq!(Verdict::of(Some(2.0), f64::NAN), Verdict::Worse);
    assert_eq!(Verdict::of(None, 2.0), Verdict::Unrecorded);
}

#[test]
fn a_cost_is_a_median_or_a_mean() {
    let costs = [1.0, 9.0, 2.0];
    assert!((median(&costs) - 2.0).abs() < 1e-9);
    assert!((mean(&costs) - 4.0).abs() < 1e-9);
    assert!(median(&[]).is_nan() && mean(&[]).is_nan());
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
