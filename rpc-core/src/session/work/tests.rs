use super::*;

fn work(per_second: Duration) -> Work {
    Work::new(Time::ZERO, &Limits { work_per_second: per_second, ..Limits::default() })
}

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

#[test]
fn a_burst_and_then_a_share_of_a_processor() {
    let mut work = work(Duration::from_millis(100));
    assert!(work.affords(50_000_000) && !work.affords(50_000_001));
    work.spend(50_000_001);
    assert!(work.is_overdrawn());
    work.earn(at(100), 0);
    assert!(!work.is_overdrawn() && work.affords(9_999_999) && !work.affords(10_000_000));
    work.earn(at(100_000), 0);
    assert!(work.affords(50_000_000) && !work.affords(50_000_001), "time alone saves nothing up");
}

#[test]
fn bytes_pay_for_work() {
    let mut work = work(Duration::ZERO);
    work.spend(50_000_000);
    work.earn(at(1_000), 1_000);
    assert!(work.affords(9_000_000) && !work.affords(9_000_001));
    work.took(1_000);
    assert!(work.affords(10_000_000) && !work.affords(10_000_001));
    work.earn(at(2_000), usize::MAX);
    assert!(work.affords(1_000_000_000) && !work.affords(1_000_000_001));
}

#[test]
fn a_refusal_says_when_to_try_again() {
    let work = work(Duration::from_millis(100));
    work.spend(60_000_000);
    let Failure::ResourceExhausted(refused) = work.refusal(0) else { panic!("it is exhausted") };
    let Exhausted { limit, retry_after_ms, .. } = *refused;
    assert_eq!((&*limit, retry_after_ms), ("work_per_second", 101));
}

#[test]
fn work_without_a_bound_is_not_counted() {
    let work = work(Duration::MAX);
    work.spend(u64::MAX);
    assert!(!work.is_overdrawn() && work.affords(u64::MAX));
}
