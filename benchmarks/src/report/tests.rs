use super::Report;
use crate::{
    Subject,
    process::Placement,
    workloads::{Sample, Workload},
};

const ONE: Workload = Workload::OneAtATime(Placement::SameCore);
const MANY: Workload = Workload::InFlight(1_024);

fn report(figures: &[(Workload, Subject, f64, f64)]) -> Report {
    let mut report = Report::new(1, 2);
    for (workload, subject, value, processor) in figures {
        let sample = Sample { value: *value, processor_us: Some(*processor), ..Sample::default() };
        report.add(*workload, *subject, sample);
    }
    report
}

#[track_caller]
fn check_target(report: &Report, what: &str, expected: &str) {
    let lines: Vec<String> = report.targets().iter().map(super::targets::Target::line).collect();
    let line =
        lines.iter().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what} in {lines:?}"));
    let words: Vec<&str> = line[what.len()..].split_whitespace().collect();
    assert_eq!(words.join(" "), expected);
}

#[test]
fn a_cell_is_the_median_of_its_rounds() {
    let values = [5.0, 1.0, 9.0].map(|value| (ONE, Subject::Rpc, value, 1.0));
    let cell = report(&values).cell(ONE, Subject::Rpc).expect("measured");
    assert_eq!((cell.low, cell.median, cell.high), (1.0, 5.0, 9.0));
    assert!(report(&values).cell(ONE, Subject::Tarpc).is_none());
}

#[test]
fn latency_counts_against_the_better_raw_echo() {
    let report = report(&[
        (ONE, Subject::Rpc, 12.0, 1.0),
        (ONE, Subject::WsFlush, 16.0, 1.0),
        (ONE, Subject::WsBatch, 10.0, 1.0),
        (ONE, Subject::Tarpc, 20.0, 1.0),
    ]);
    check_target(&report, "W1 same core / the better raw echo", "1.20 <= 1.10 missed aim <= 1.00 not yet");
    check_target(&report, "W1 same core / tarpc", "0.60 <= 0.65 met");
}

#[test]
fn throughput_and_processor_time_are_ratios_to_the_same_workload() {
    let report = report(&[
        (MANY, Subject::Rpc, 800.0, 1.0),
        (MANY, Subject::Tarpc, 100.0, 20.0),
        (MANY, Subject::WsBatch, 900.0, 1.0),
    ]);
    check_target(&report, "W2/1024 / tarpc", "8.00 >= 7.00 met aim >= 12.00 not yet");
    check_target(&report, "W2/1024 / ws-batch", "0.89 >= 0.70 met aim >= 1.00 not yet");
    check_target(&report, "W2/1024 processor time per call / tarpc", "0.05 <= 0.17 met aim <= 0.08 reached");
}

#[test]
fn targets_need_their_subjects() {
    let targets = report(&[(MANY, Subject::Rpc, 800.0, 1.0)]).targets();
    assert!(targets.is_empty(), "{targets:?}");
}

#[test]
fn the_table_has_figures_ratios_and_targets() {
    let table =
        report(&[(MANY, Subject::Rpc, 1_234_567.0, 1.0), (MANY, Subject::Tarpc, 100_000.0, 20.0)]).table();
    for expected in ["1,234,567", "12.35", "20.00", "W2/1024 / tarpc"] {
        assert!(table.contains(expected), "{expected} in {table}");
    }
}
