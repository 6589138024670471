//! Busy polling: a session stays awake for the peer's next message, where that makes the message arrive sooner.
//!
//! A task that waits for a socket lets its core sleep, and waking a core takes from a few to fifty microseconds, by machine:
//! more than a call. Linux polls network cards for that reason ("busy polling", `SO_BUSY_POLL`), and guests their idle loop
//! (`haltpoll`); here a session polls its socket for a moment before it sleeps. Other tasks of the runtime go first: busy
//! polling happens only where the worker would sleep.
//!
//! Measurements decide: from time to time some waits are spent the other way, awake or asleep, and the way with the shorter
//! waits is kept. Awake must be shorter by a quarter. So there is no busy polling where the peer is far or slow, or has to
//! wait for the very core that is kept awake.
//!
//! ```text
//!  Unmeasured, one way ──▶ Measured, the same way ──▶ Tried, the other way ──▶ Unmeasured, the better way
//! ```

use std::time::{Duration, Instant};

/// The number of waits that are measured each way.
const MEASURED: u32 = 16;
/// The number of waits between two measurements. It doubles each time that a measurement changes nothing.
const UNMEASURED_MIN: u32 = 16;
const UNMEASURED_MAX: u32 = 4_096;
/// The cap of a measured wait, as a multiple of `BusyPoll::max`: how much longer a wait takes says nothing.
const LONG: u32 = 4;
/// The upper bound of `BusyPoll::max`.
const LONGEST: Duration = Duration::from_secs(1);

pub(super) struct BusyPoll {
    /// How long a wait may be spent awake; twice as long in `Tried`, because the peer may not stay awake yet.
    max: Duration,
    is_awake: bool,
    phase: Phase,
    /// The number of waits in the next unmeasured phase.
    unmeasured: u32,
    /// The current wait, if it is measured or spent awake.
    wait: Option<Wait>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Unmeasured { waits: u32 },
    Measured(Sum),
    Tried { bar: Duration, tried: Sum },
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    waits: u32,
    time: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Instant,
    is_awake: bool,
}

impl Sum {
    fn add(&mut self, wait: Duration) {
        self.waits += 1;
        self.time += wait;
    }

    fn mean(self) -> Duration {
        self.time / self.waits.max(1)
    }
}

impl BusyPoll {
    pub(super) fn new(max: Duration) -> Self {
        let phase = Phase::Unmeasured { waits: UNMEASURED_MIN };
        let max = max.min(LONGEST);
        Self { max, is_awake: false, phase, unmeasured: UNMEASURED_MIN, wait: None }
    }

    /// Begins a wait for the peer: something was sent and nothing is left to do. Further calls change nothing until the peer
    /// has sent something.
    pub(super) fn wait(&mut self, clock: impl FnOnce() -> Instant) {
        if self.max.is_zero() || self.wait.is_some() {
            return;
        }
        let is_awake = match &mut self.phase {
            Phase::Unmeasured { waits: 0 } => {
                self.phase = Phase::Measured(Sum::default());
                self.is_awake
            }
            Phase::Unmeasured { waits } => {
                *waits -= 1;
                if !self.is_awake {
                    return;
                }
                true
            }
            Phase::Measured(_) => self.is_awake,
            Phase::Tried { .. } => !self.is_awake,
        };
        self.wait = Some(Wait { since: clock(), is_awake });
    }

    /// Whether to stay awake a while longer.
    pub(super) fn is_awake(&mut self, clock: impl FnOnce() -> Instant) -> bool {
        let Some(wait) = self.wait.as_mut().filter(|wait| wait.is_awake) else { return false };
        let max = if matches!(self.phase, Phase::Tried { .. }) { 2 * self.max } else { self.max };
        wait.is_awake = clock() - wait.since < max;
        wait.is_awake
    }

    /// Ends the wait: the peer has sent something.
    pub(super) fn received(&mut self, clock: impl FnOnce() -> Instant) {
        let Some(wait) = self.wait.take() else { return };
        let took = || (clock() - wait.since).min(LONG * self.max);
        match self.phase {
            Phase::Unmeasured { .. } => {}
            Phase::Measured(mut sum) => {
                sum.add(took());
                self.phase = match sum.waits {
                    MEASURED => Phase::Tried { bar: self.bar(sum.mean()), tried: Sum::default() },
                    _ => Phase::Measured(sum),
                };
            }
            Phase::Tried { bar, mut tried } => {
                tried.add(took());
                let is_lost = tried.time > bar * MEASURED;
                self.phase = Phase::Tried { bar, tried };
                if is_lost || tried.waits == MEASURED {
                    self.decide(!is_lost);
                }
            }
        }
    }

    /// The mean below which waits the other way are better, given the mean of the waits this way.
    fn bar(&self, mean: Duration) -> Duration {
        match self.is_awake {
            false => (mean * 3 / 4).min(self.max),
            true if mean > self.max => LONG * self.max,
            true => mean * 4 / 3,
        }
    }

    fn decide(&mut self, is_other_way_better: bool) {
        if is_other_way_better {
            self.is_awake = !self.is_awake;
            self.unmeasured = UNMEASURED_MIN;
        } else {
            self.unmeasured = (2 * self.unmeasured).min(UNMEASURED_MAX);
        }
        self.phase = Phase::Unmeasured { waits: self.unmeasured };
    }
}

#[cfg(test)]
mod tests;
