use super::*;

/// Of a value, half of the third digit's step is allowed.
fn is_near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= wanted * 0.001
}

fn one_to_thousand_us() -> Latencies {
    let mut latencies = Latencies::default();
    (1..=1_000).for_each(|us| latencies.record(Duration::from_micros(us)));
    latencies
}

#[test]
fn a_share_is_the_time_that_so_many_calls_took_at_most() {
    let latencies = one_to_thousand_us();
    assert!(is_near(latencies.at_us(0.5), 500.0));
    assert!(is_near(latencies.at_us(0.99), 990.0));
    assert!(is_near(latencies.max_us(), 1_000.0));
}

#[test]
fn what_another_process_is_told_is_the_same() {
    let latencies = one_to_thousand_us();
    let text = serde_json::to_string(&latencies).expect("numbers are JSON");
    let told: Latencies = serde_json::from_str(&text).expect("it is what was written");
    assert_eq!(told.count(), 1_000);
    assert!(is_near(told.at_us(0.9), latencies.at_us(0.9)));
}

#[test]
fn a_recorder_gives_what_all_of_its_shards_have() {
    let recorder = Recorder::default();
    (0..100).for_each(|hint| recorder.record(hint, Duration::from_micros(7)));
    assert_eq!(recorder.all().count(), 100);
}

#[test]
fn a_time_that_is_too_long_counts_as_the_longest() {
    let mut latencies = Latencies::default();
    latencies.record(Duration::from_secs(3_600));
    assert!(is_near(latencies.max_us(), 120e6));
}

#[test]
fn of_no_calls_nothing_is_known() {
    assert!(Latencies::default().at_us(0.5).is_nan());
}
