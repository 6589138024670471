use super::*;

const MAX: Duration = Duration::from_micros(50);

/// After so many microseconds the peer answers, by the number of the exchange.
type Answers = fn(u32) -> u64;

/// A session and how soon its peer answers, by whether it stays awake.
struct Waiting {
    poll: BusyPoll,
    now: Instant,
    awake: Answers,
    asleep: Answers,
    exchanges: u32,
    /// What was spent awake.
    spent: Duration,
}

impl Waiting {
    /// Answers take so many microseconds, by their number.
    fn new(awake: Answers, asleep: Answers) -> Self {
        let (poll, now) = (BusyPoll::new(MAX), Instant::now());
        Self { poll, now, awake, asleep, exchanges: 0, spent: Duration::ZERO }
    }

    /// How many of so many answers found it awake.
    fn exchange(&mut self, count: u32) -> u32 {
        (0..count).map(|_| u32::from(self.exchange_one())).sum()
    }

    fn exchange_one(&mut self) -> bool {
        self.exchanges += 1;
        let began = self.now;
        self.poll.wait(|| began);
        let awake = Duration::from_micros((self.awake)(self.exchanges));
        let step = Duration::from_micros(1);
        let mut is_awake = false;
        while self.poll.is_awake(|| self.now) {
            self.now += step;
            self.spent += step;
            is_awake = self.now >= began + awake;
            if is_awake {
                break;
            }
        }
        if !is_awake {
            // Whether it tried to stay awake or not, it slept when the answer came.
            let stayed = self.now > began;
            let slept = if stayed { awake } else { Duration::from_micros((self.asleep)(self.exchanges)) };
            self.now = self.now.max(began + slept);
        }
        self.poll.received(|| self.now);
        is_awake
    }
}

#[test]
fn who_is_answered_sooner_when_awake_stays_awake() {
    let mut waiting = Waiting::new(|_| 12, |_| 85);
    assert_eq!(waiting.exchange(UNMEASURED_MIN + MEASURED), 0, "nothing is known yet");
    let awake = waiting.exchange(100_000);
    assert!(awake > 99_800, "asleep only to compare: {awake}");
}

#[test]
fn a_trial_gives_the_peer_time_to_wake() {
    let mut waiting = Waiting::new(|number| if number < 36 { 80 } else { 12 }, |_| 150);
    waiting.exchange(UNMEASURED_MIN + MEASURED);
    assert_eq!(waiting.exchange(10), 10);
    assert!(waiting.exchange(1_000) > 900);
}

#[test]
fn who_is_not_answered_sooner_sleeps() {
    // A peer that is far, one that needs this core, one whose machine wakes fast, and one that takes its time.
    let cases: [(Answers, Answers); 4] =
        [(|_| 300, |_| 300), (|_| 110, |_| 10), (|_| 20, |_| 25), (|_| 60, |_| 100)];
    for (awake, asleep) in cases {
        let mut waiting = Waiting::new(awake, asleep);
        waiting.exchange(100_000);
        let each = waiting.spent / 100_000;
        assert!(each < Duration::from_nanos(700), "{each:?} an exchange were spent awake");
    }
}

#[test]
fn what_changes_is_noticed() {
    // Two hundred thousand times this, and then that.
    let mut waiting = Waiting::new(|number| if number < 200_000 { 12 } else { 300 }, |_| 300);
    assert!(waiting.exchange(200_000) > 199_000);
    let before = waiting.spent;
    waiting.exchange(UNMEASURED_MAX + 2 * MEASURED);
    let noticing = waiting.spent - before;
    assert!(noticing <= MAX * (UNMEASURED_MAX + 3 * MEASURED));
    let before = waiting.spent;
    waiting.exchange(100_000);
    assert!((waiting.spent - before) / 100_000 < Duration::from_micros(1));
}

#[test]
fn a_pause_between_answers_counts_for_little() {
    // Every tenth answer is for somebody to type.
    let mut waiting = Waiting::new(
        |number| if number.is_multiple_of(10) { 1_000_000 } else { 12 },
        |number| if number.is_multiple_of(10) { 1_000_000 } else { 85 },
    );
    waiting.exchange(1_000);
    let awake = waiting.exchange(10_000);
    assert!(awake > 8_800, "{awake}");
}

#[test]
fn what_is_sent_meanwhile_does_not_make_a_wait_longer() {
    let mut waiting = Waiting::new(|_| 12, |_| 85);
    waiting.exchange(1_000);
    let start = waiting.now;
    waiting.poll.wait(|| start);
    assert!(waiting.poll.is_awake(|| start + MAX / 2));
    waiting.poll.wait(|| start + MAX / 2);
    assert!(!waiting.poll.is_awake(|| start + MAX));
    waiting.poll.wait(|| start + MAX);
    assert!(!waiting.poll.is_awake(|| start + MAX));
}

#[test]
fn any_time_may_be_asked_for() {
    let mut waiting = Waiting::new(|_| 12, |_| 85);
    waiting.poll = BusyPoll::new(Duration::MAX);
    assert!(waiting.exchange(1_000) > 900);
}

#[test]
fn zero_is_never() {
    let mut waiting = Waiting::new(|_| 1, |_| 85);
    waiting.poll = BusyPoll::new(Duration::ZERO);
    assert_eq!(waiting.exchange(10_000), 0);
    assert_eq!(waiting.spent, Duration::ZERO);
}
