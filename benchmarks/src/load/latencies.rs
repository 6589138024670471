//! How long calls took: a histogram of three digits, which other processes can be told and others be added to.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Anything longer counts as this.
const LONGEST: Duration = Duration::from_secs(120);
/// Threads that record at once rarely meet in one of so many.
const SHARDS: usize = 8;

/// Times of calls. Travels as pairs of nanoseconds and how often they were seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let longest = nanoseconds(LONGEST);
        Self(
            Histogram::new_with_bounds(1, longest, 3).expect("the bounds and the precision are allowed ones"),
        )
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(nanoseconds(latency));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Microseconds that this share of all calls, like 0.99, took at most.
    pub(crate) fn at_us(&self, share: f64) -> f64 {
        if self.0.is_empty() { f64::NAN } else { self.0.value_at_quantile(share) as f64 / 1e3 }
    }

    pub(crate) fn max_us(&self) -> f64 {
        if self.0.is_empty() { f64::NAN } else { self.0.max() as f64 / 1e3 }
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut latencies = Self::default();
        for (value, count) in pairs {
            latencies.0.saturating_record_n(value, count);
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        latencies.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

/// Latencies that many tasks record.
#[derive(Default)]
pub(crate) struct Recorder {
    shards: [Mutex<Latencies>; SHARDS],
}

impl Recorder {
    /// `hint` spreads those that record.
    pub(crate) fn record(&self, hint: usize, latency: Duration) {
        let shard = &self.shards[hint % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).record(latency);
    }

    pub(crate) fn all(&self) -> Latencies {
        let mut all = Latencies::default();
        for shard in &self.shards {
            all.merge(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}

fn nanoseconds(latency: Duration) -> u64 {
    u64::try_from(latency.min(LONGEST).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
