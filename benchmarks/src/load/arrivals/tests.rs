use super::*;

#[test]
fn arrivals_come_at_the_rate_asked_for() {
    let last = Arrivals::new(1_000.0, 1).take(100_000).last().expect("they never end");
    assert!((last.as_secs_f64() - 100.0).abs() < 2.0, "{last:?}");
}

#[test]
fn arrivals_do_not_know_of_each_other() {
    // Of exponential pauses, e⁻¹ are longer than their mean.
    let mut dice = Dice::new(2);
    let mean = Duration::from_millis(1);
    let long = (0..100_000).filter(|_| dice.pause(mean) > mean).count();
    assert!((long as f64 / 100_000.0 - (-1.0_f64).exp()).abs() < 0.01, "{long}");
}

#[test]
fn the_same_seed_gives_the_same_arrivals() {
    let first: Vec<Duration> = Arrivals::new(50.0, 3).take(10).collect();
    assert_eq!(first, Arrivals::new(50.0, 3).take(10).collect::<Vec<_>>());
}

#[test]
fn dice_fall_on_each_side() {
    let mut dice = Dice::new(4);
    let mut seen = [0_u32; 6];
    (0..6_000).for_each(|_| seen[dice.below(6)] += 1);
    assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
}
