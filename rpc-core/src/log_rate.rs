//! A rate limit for log lines whose number a peer decides: ten at once, then one a second, each with the number left out before it.
//!
//! ```text
//! log_rarely!(warn, "the peer broke the protocol: {violation}");
//! ```

use crate::sync::lock;
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// The number of lines that may be written at once.
const BURST: u32 = 10;
/// The time after which one more line may be written.
const EVERY: Duration = Duration::from_secs(1);

/// The rate limit of one log line for the whole process: a `static` where the line is written.
#[derive(Debug)]
pub struct LogRate(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    /// When `left` was last raised.
    raised: Option<Instant>,
    left_out: u64,
}

impl LogRate {
    /// A rate limit that has admitted no line yet.
    #[expect(clippy::new_without_default, reason = "only statics hold one")]
    pub const fn new() -> Self {
        Self(Mutex::new(State { left: BURST, raised: None, left_out: 0 }))
    }

    /// The number of lines left out before this one, if it may be written; `None` if it must be left out, too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = lock(&self.0);
        let since = now.saturating_duration_since(*state.raised.get_or_insert(now));
        let earned = u32::try_from(since.as_secs() / EVERY.as_secs()).unwrap_or(u32::MAX);
        if earned > 0 {
            state.left = state.left.saturating_add(earned).min(BURST);
            state.raised = Some(now);
        }
        let Some(left) = state.left.checked_sub(1) else {
            state.left_out += 1;
            return None;
        };
        state.left = left;
        Some(std::mem::take(&mut state.left_out))
    }
}

/// Writes a line at a level of `tracing`, unless the rate limit leaves it out.
macro_rules! log_rarely {
    ($level:ident, $($text:tt)+) => {{
        static RATE: $crate::log_rate::LogRate = $crate::log_rate::LogRate::new();
        if let Some(left_out) = RATE.admit() {
            // A field that is `None` is not written.
            tracing::$level!(left_out = (left_out > 0).then_some(left_out), $($text)+);
        }
    }};
}
pub(crate) use log_rarely;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_at_once_are_ten_and_then_one_a_second() {
        let rate = LogRate::new();
        let start = Instant::now();
        let written = |at: Duration| (0..10_000).filter(|_| rate.admit_at(start + at).is_some()).count();
        assert_eq!(written(Duration::ZERO), 10);
        assert_eq!(written(Duration::from_millis(900)), 0);
        assert_eq!(written(Duration::from_millis(1_100)), 1);
        assert_eq!(written(Duration::from_secs(4)), 2);
        assert_eq!(written(Duration::from_secs(1_000)), 10);
    }

    #[test]
    fn what_was_left_out_is_counted() {
        let rate = LogRate::new();
        let start = Instant::now();
        let admitted = (0..25).filter_map(|_| rate.admit_at(start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; 10]);
        assert_eq!(rate.admit_at(start + EVERY), Some(15));
        assert_eq!(rate.admit_at(start + 2 * EVERY), Some(0));
    }
}
