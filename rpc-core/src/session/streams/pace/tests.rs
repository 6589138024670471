use super::*;

const FIRST: u64 = 64 << 10;

/// Of a stream over this round trip.
fn pace(round_trip: Duration) -> (Pace, Time) {
    let mut pace = Pace::new(FIRST);
    let now = Time::ZERO + Duration::from_secs(1);
    pace.granting(now, FIRST);
    pace.arrived(now + round_trip, 2 * FIRST + ITEM_CHUNK_BYTES as u64);
    (pace, now + round_trip)
}

/// Reads so much each millisecond, beside calls; the window at last.
fn read(pace: &mut Pace, now: &mut Time, each: &[u64], mut window: u64) -> u64 {
    for bytes in each {
        *now = *now + Duration::from_millis(1);
        window = pace.window(*now, *bytes, window, true).unwrap_or(window);
    }
    window
}

#[test]
fn one_burst_makes_no_window_wider() {
    let (mut pace, mut now) = pace(Duration::from_millis(1));
    let window = read(&mut pace, &mut now, &[10_000; 10], FIRST);
    assert_eq!(window, 20_000);
    // What had piled up while nobody read.
    assert_eq!(read(&mut pace, &mut now, &[0, 500_000, 10_000, 10_000], window), 20_000);
    assert_eq!(read(&mut pace, &mut now, &[500_000, 10_000, 10_000, 500_000], window), 20_000);
}

#[test]
fn what_goes_on_makes_it_wider_and_narrower_again() {
    let (mut pace, mut now) = pace(Duration::from_millis(1));
    let wide = read(&mut pace, &mut now, &[500_000; 12], FIRST);
    assert_eq!(wide, 1_000_000);
    assert_eq!(read(&mut pace, &mut now, &[100_000; 2], wide), 200_000);
}

#[test]
fn it_is_at_most_twice_as_wide_at_once() {
    let (mut short, mut now) = pace(Duration::from_micros(500));
    let (mut window, mut widest) = (FIRST, FIRST);
    for _ in 0..40 {
        window = read(&mut short, &mut now, &[u64::MAX >> 20], window);
        assert!(window <= 2 * widest);
        widest = window;
    }
    let (mut long, mut now) = pace(Duration::from_millis(10));
    assert_eq!(read(&mut long, &mut now, &[1 << 30; 10], FIRST), 2 * FIRST);
}

#[test]
fn over_a_long_round_trip_it_stays_as_wide_as_it_was() {
    let (mut pace, mut now) = pace(Duration::from_millis(2));
    let wide = read(&mut pace, &mut now, &[500_000; 40], FIRST);
    assert_eq!(wide, 2_000_000);
    assert_eq!(read(&mut pace, &mut now, &[10; 40], wide), wide);
}

#[test]
fn round_trips_too_short_to_tell_count_as_what_the_sides_take_to_react() {
    let (mut pace, mut now) = pace(Duration::from_micros(3));
    assert_eq!(read(&mut pace, &mut now, &[1_000_000; 20], FIRST), 50_000);
}

#[test]
fn alone_it_stays_as_wide_as_it_was_and_has_room_for_the_sides_to_react() {
    let (mut pace, mut now) = pace(Duration::from_micros(3));
    let mut window = FIRST;
    for each in [[2_000_000_u64; 20], [10; 20]] {
        for bytes in each {
            now = now + Duration::from_millis(2);
            window = pace.window(now, bytes, window, false).unwrap_or(window);
        }
        assert_eq!(window, 400_000);
    }
    // It goes on from there when calls are made.
    assert_eq!(read(&mut pace, &mut now, &[1_000_000], window), 400_000);
    assert_eq!(read(&mut pace, &mut now, &[1_000_000], window), 50_000);
}
