use std::time::Duration;

use super::Outcome;
use crate::drive::{Done, Moved, Work};

#[test]
fn what_a_client_says_is_read_back() {
    let moved = Done::moved(9_000_000_000, Duration::from_millis(1_500));
    let expected = Moved { count: 9_000_000_000, time: Duration::from_millis(1_500) };
    let outcome: Outcome = moved.to_string().parse().expect("its own words");
    assert_eq!(outcome, Outcome { moved: expected, p50_us: None, p99_us: None });

    let latencies = (1..=1_000).rev().map(Duration::from_micros).collect();
    let outcome: Outcome =
        Done::timed(latencies, Duration::from_secs(1)).to_string().parse().expect("its own words");
    assert_eq!(outcome.moved.count, 1_000);
    let is_close = |figure: Option<f64>, expected: f64| (figure.expect("timed") - expected).abs() < 0.01;
    assert!(is_close(outcome.p50_us, 501.0) && is_close(outcome.p99_us, 991.0), "{outcome:?}");
}

#[test]
fn what_is_no_result_is_refused() {
    for line in ["", "ready", "done", "done 1 2", "done x 1 - -", "done 1 -1 - -", "done 1 1 - - -"] {
        assert!(line.parse::<Outcome>().is_err(), "{line:?}");
    }
}

#[test]
fn work_is_read_back() {
    let all = [
        Work::One,
        Work::Calls { connections: 64, in_flight: 16 },
        Work::Payloads { bytes: 1 << 20 },
        Work::Chain { depth: 8, is_pipelined: false },
        Work::Chain { depth: 8, is_pipelined: true },
        Work::Items,
        Work::Idle { connections: 2_000 },
        Work::IdleStreams { streams: 10_000 },
    ];
    for work in all {
        assert_eq!(work.to_string().parse::<Work>().expect("its own words"), work);
    }
    assert!("calls/1".parse::<Work>().is_err());
}
