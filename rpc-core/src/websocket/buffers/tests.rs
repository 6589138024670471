use super::*;

struct Traffic {
    sizing: BufferSizing,
    now: Instant,
}

impl Traffic {
    fn new() -> Self {
        let now = Instant::now();
        Self { sizing: BufferSizing::new(now), now }
    }

    /// One on which something has been said.
    fn awake() -> Self {
        let mut traffic = Self::new();
        traffic.check_is_idle();
        traffic.reads(4, 10);
        traffic.check_read_kib(2);
        traffic
    }

    /// `times` reads of `bytes` each, of which the codec takes what it has room for.
    fn reads(&mut self, times: u32, bytes: usize) {
        for _ in 0..times {
            let offered = self.sizing.read_bytes();
            self.sizing.observe_read(self.now, offered, bytes.min(offered));
            self.rebuild();
        }
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
        if self.sizing.quiet_deadline().is_some_and(|at| at <= self.now) {
            let _ = self.sizing.give_back(self.now);
            self.rebuild();
        }
    }

    fn rebuild(&mut self) -> bool {
        let wants = self.sizing.wants_rebuild();
        if wants {
            self.sizing.rebuild();
        }
        wants
    }

    #[track_caller]
    fn check_read_kib(&self, kib: usize) {
        assert_eq!(self.sizing.read_bytes(), kib << 10);
    }

    #[track_caller]
    fn check_is_idle(&self) {
        assert_eq!(self.sizing.read_bytes(), 512);
    }
}

#[test]
fn the_read_buffer_grows_while_reads_fill_it_and_shrinks_when_they_do_not() {
    let mut traffic = Traffic::awake();
    traffic.reads(4, 100_000);
    traffic.check_read_kib(4);
    traffic.reads(4, 100_000);
    traffic.check_read_kib(16);
    traffic.reads(4, 100_000);
    traffic.check_read_kib(64);
    traffic.reads(100, 100_000);
    traffic.check_read_kib(64);
    traffic.reads(256, 500);
    traffic.check_read_kib(16);
    traffic.reads(256, 500);
    traffic.check_read_kib(4);
    traffic.reads(256, 500);
    traffic.check_read_kib(2);
    traffic.reads(10_000, 500);
    traffic.check_read_kib(2);
}

#[test]
fn now_and_then_a_full_read_changes_nothing() {
    let mut traffic = Traffic::awake();
    for _ in 0..100 {
        traffic.reads(3, 100_000);
        traffic.reads(61, 500);
    }
    traffic.check_read_kib(2);
}

#[test]
fn a_quiet_socket_gives_its_buffers_back_and_takes_them_again() {
    let mut traffic = Traffic::new();
    traffic.reads(8, 100_000);
    for _ in 0..6 {
        traffic.passes(Duration::from_secs(1));
        traffic.reads(1, 100);
    }
    traffic.check_read_kib(2);
    traffic.passes(QUIET);
    traffic.check_is_idle();
    assert_eq!(traffic.sizing.quiet_deadline(), None, "nothing is left to give back");
    // Pongs, one in each heartbeat.
    for _ in 0..10 {
        traffic.passes(Duration::from_secs(20));
        traffic.reads(1, 2);
    }
    traffic.check_is_idle();
    traffic.reads(4, 100);
    traffic.check_read_kib(2);
}

#[test]
fn a_write_buffer_that_grew_shrinks_when_nothing_large_is_sent() {
    let mut traffic = Traffic::awake();
    traffic.sizing.observe_write(16 << 10);
    assert_eq!(traffic.sizing.large_write, None, "that much is kept");
    traffic.sizing.observe_write(64 << 10);
    traffic.now = Instant::now() + Duration::from_secs(4);
    traffic.reads(1, 10);
    traffic.now += Duration::from_secs(1);
    assert!(traffic.sizing.quiet_deadline().is_some_and(|at| at <= traffic.now));
    assert!(traffic.sizing.give_back(traffic.now));
    assert!(!traffic.sizing.give_back(traffic.now), "once");
    assert!(!traffic.rebuild());
    traffic.check_read_kib(2);
}

#[test]
fn a_decision_stands_until_the_codec_can_be_rebuilt() {
    let mut traffic = Traffic::awake();
    for _ in 0..4 {
        traffic.sizing.observe_read(traffic.now, 2 << 10, 2 << 10);
    }
    // Reads that end with messages, so that the codec becomes empty.
    for _ in 0..100 {
        traffic.sizing.observe_read(traffic.now, 2 << 10, 14);
    }
    assert!(traffic.rebuild());
    traffic.check_read_kib(4);
}
