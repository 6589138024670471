//! When calls are to be made that do not wait for each other: a Poisson process, the same in each run.

use std::time::Duration;

/// Numbers without a pattern, from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the first `count` numbers.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % (count.max(1) as u64)).unwrap_or(0)
    }

    /// A time until the next of events that are so far apart in the mean and know nothing of each other.
    pub(crate) fn pause(&mut self, mean: Duration) -> Duration {
        // Above zero, so that the logarithm is finite.
        let share = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        mean.mul_f64(-share.ln())
    }
}

/// The times of calls, from the start.
pub(crate) struct Arrivals {
    dice: Dice,
    mean: Duration,
    at: Duration,
}

impl Arrivals {
    pub(crate) fn new(per_second: f64, seed: u64) -> Self {
        Self { dice: Dice::new(seed), mean: Duration::from_secs_f64(1.0 / per_second), at: Duration::ZERO }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.at += self.dice.pause(self.mean);
        Some(self.at)
    }
}

#[cfg(test)]
mod tests;
