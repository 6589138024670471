//! A server whose clock is wrong, or is set while it runs.

use super::*;

const DAY: i64 = 24 * 60 * 60;

/// A server whose clock is off by what a file says.
struct Clock {
    file: std::path::PathBuf,
    server: Actor,
    address: String,
}

impl Clock {
    fn start(name: &str, offset: &str) -> Self {
        let library = env::var("RPC_TEST_FAKETIME").expect("tests/network/run runs this test");
        let file = env::temp_dir().join(format!("rpc-clock-{name}-{}", std::process::id()));
        fs::write(&file, offset).unwrap();
        let path = file.to_str().unwrap().to_owned();
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &path),
            ("FAKETIME_NO_CACHE", "1"),
            // The clock that sleeps and timeouts go by runs on, as that of the system does when its date is set.
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let (server, address) = Actor::server("127.0.0.1:0", &[], &variables);
        Self { file, server, address }
    }

    /// Sets the clock; that the server's date differs from the true one by so many days.
    fn set(&mut self, offset: &str, days: i64) {
        // Renamed, so that no half of it is read.
        let next = self.file.with_extension("next");
        fs::write(&next, offset).unwrap();
        fs::rename(&next, &self.file).unwrap();
        self.check(days);
    }

    fn check(&mut self, days: i64) {
        let from = self.server.now();
        self.server.order("clock");
        let told = self.server.until("clock ", from);
        let told: i64 = told.trim_start_matches("clock ").parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let off = told - now.as_secs().cast_signed();
        assert!((off - days * DAY).abs() < 60, "the clock is off by {off} s and not by {days} days");
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // It may be gone.
        let _ = fs::remove_file(&self.file);
    }
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_server_whose_clock_is_a_day_ahead_serves_as_any_other() {
    let mut clock = Clock::start("ahead", "+1d");
    clock.check(1);
    let client = Actor::client(&clock.address, &[], &[]);
    client.until("ok 100", 0);
    assert_eq!(client.count("state Detached"), 0, "{:#?}", client.lines());
    client.check_no_call_lost(&clock.server);
}

#[test]
#[ignore = "tests/network/run runs it"]
fn a_clock_that_is_set_ends_no_connection_and_no_session() {
    let mut clock = Clock::start("set", "+0");
    clock.check(0);
    let client = Actor::client(&clock.address, &[], &[]);
    client.until("ok 10", 0);
    for (offset, days) in [("+1d", 1), ("-1d", -1), ("+365d", 365), ("+0", 0)] {
        clock.set(offset, days);
        for _ in 0..50 {
            client.until_next_call();
        }
    }
    assert_eq!(client.count("state Detached"), 0, "{:#?}", client.lines());
    // While the session waits for its client as well.
    for (offset, days) in [("+1d", 1), ("-1d", -1)] {
        let (of_server, of_client) = (clock.server.now(), client.now());
        client.signal("-STOP");
        clock.server.until("connections 0", of_server);
        clock.set(offset, days);
        client.signal("-CONT");
        client.until("state Resumed", of_client);
        client.until_next_call();
    }
    assert_eq!((client.count("state Lost"), client.count("stay ended")), (0, 0));
    assert_eq!(clock.server.count("stay over"), 0);
    client.check_no_call_lost(&clock.server);
}
