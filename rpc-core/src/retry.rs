//! Repeating calls that failed in a way that time may mend.

use std::time::Duration;

/// How often a call is made, and how long a caller waits in between.
///
/// A call is made again where that is safe, and where it can help:
///
/// | how the attempt ended | made again |
/// |---|---|
/// | the server refused it and said when to retry, as a limit does that is about time | after that time at the earliest |
/// | the server refused it because it is closing | in the next session |
/// | its session was lost before it returned | in the next session, if the method is `#[rpc(idempotent)]` |
///
/// In the first two, no handler ran. In the last, one may have run; the server is told that this is the same call, and answers it with the
/// result of the first attempt if it still has that. Before each further attempt the caller waits for a random time of up to `delay`,
/// which doubles with each attempt up to `delay_max`. The deadline of a call is that of all its attempts.
///
/// Methods that are `#[rpc(idempotent)]` have the [default](Self::default) policy in sessions that another one may follow, as those
/// of a client are that reconnects. All other calls have [`none`](Self::none).
/// [`ServiceClient::retry`](crate::ServiceClient::retry) chooses another one.
///
/// Only a call that stands by itself is made again: one whose promise is awaited, and neither built on a promise nor passed into another call.
/// In a chain, the call that fails takes the others with it, and the caller repeats the chain. A call that passes objects, callbacks or
/// streams of its own is made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The attempts, the first one included. Default 4.
    pub attempts: u32,
    /// The longest wait before the second attempt. Default 100 ms.
    pub delay: Duration,
    /// The longest wait before any attempt, unless the server asks for a longer one. Default 5 s.
    pub delay_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, delay: Duration::from_millis(100), delay_max: Duration::from_secs(5) }
    }
}

impl Retry {
    /// One attempt.
    pub fn none() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The wait before the next attempt, when `failed` attempts have failed: `random`, from 0 to 1, of a time that doubles with each.
    pub fn wait(&self, failed: u32, random: f64) -> Duration {
        let Some(doublings) = failed.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(self.delay_max).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        let waits: Vec<_> = (0..9).map(|failed| retry.wait(failed, 1.0).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(retry.wait(u32::MAX, 0.5).as_millis(), 2_500);
        assert_eq!(retry.wait(1, f64::NAN.max(0.0)), Duration::ZERO);
    }
}
