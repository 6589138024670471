//! The work account of a session: the processor time that a peer may make this side spend on it, without handlers.
//!
//! Work in proportion to the bytes received is not counted: reading, decoding and answering a call. Work is counted where a
//! few bytes can ask for much: searching kept results, copying parts of them, running maps, checking programs. The peer pays
//! with the bytes it sends and takes, with 50 ms that it has to begin with, and with a share of a processor that flows back
//! ([`Limits::work_per_second`]). Costs are estimates in nanoseconds, each a little above what was measured. They are the same
//! on any machine and in any run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{limits::Limits, time::Time, wire::Exhausted, wire::Failure, wire::Reached};

/// The credit that a session has to begin with, and again after it was idle for long enough.
const BURST_NS: i64 = 50_000_000;
/// The credit for a byte that the peer sent, and for one that it took.
const PER_BYTE_SENT_NS: i64 = 9_000;
const PER_BYTE_TAKEN_NS: i64 = 1_000;
/// The most credit that a session can save up.
const CREDIT_MAX_NS: i64 = 1_000_000_000;

/// The cost of passing over a value in a search.
pub(crate) const STEP_NS: u64 = 5;
/// The cost of a byte that is decoded or encoded, or walked over where values are not counted.
pub(crate) const BYTE_NS: u64 = 5;
/// The cost of a call that a map makes, apart from its arguments.
pub(crate) const CALL_NS: u64 = 2_000;
/// The cost of a byte of the layouts that a map makes of others.
pub(crate) const LAYOUT_BYTE_NS: u64 = 4;

/// The work account, shared by the session and its maps.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The credit left, in nanoseconds.
    credit: Arc<AtomicI64>,
    /// Nanoseconds that flow back in a second; `None` where work is not bounded.
    per_second: Option<i64>,
    since: Time,
}

impl Work {
    pub(crate) fn new(now: Time, limits: &Limits) -> Self {
        let per_second = (limits.work_per_second < Duration::from_secs(3_600))
            .then(|| i64::try_from(limits.work_per_second.as_nanos()).unwrap_or(i64::MAX));
        Self { credit: Arc::new(AtomicI64::new(BURST_NS)), per_second, since: now }
    }

    /// Adds credit for the time until `now`, and for `bytes` bytes that the peer has sent.
    pub(crate) fn earn(&mut self, now: Time, bytes: usize) {
        let Some(per_second) = self.per_second else { return };
        let credit = self.credit.load(Ordering::Relaxed);
        let sent = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(PER_BYTE_SENT_NS);
        let passed = i64::try_from(self.since.until(now).as_micros()).unwrap_or(i64::MAX);
        self.since = now;
        // Time fills the credit up to the initial burst and no further.
        let flowed = passed.saturating_mul(per_second) / 1_000_000;
        let flowed = flowed.min((BURST_NS - credit).max(0));
        let room = (CREDIT_MAX_NS - credit).max(0);
        self.credit.fetch_add(sent.saturating_add(flowed).min(room), Ordering::Relaxed);
    }

    /// Adds credit for `bytes` bytes that the peer took.
    pub(crate) fn took(&self, bytes: usize) {
        if self.per_second.is_some() {
            let taken = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(PER_BYTE_TAKEN_NS);
            let room = (CREDIT_MAX_NS - self.credit.load(Ordering::Relaxed)).max(0);
            self.credit.fetch_add(taken.min(room), Ordering::Relaxed);
        }
    }

    pub(crate) fn spend(&self, ns: u64) {
        if self.per_second.is_some() {
            self.credit.fetch_sub(i64::try_from(ns).unwrap_or(i64::MAX / 4), Ordering::Relaxed);
        }
    }

    /// Whether more was spent than the credit allowed.
    #[inline]
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.credit.load(Ordering::Relaxed) < 0
    }

    /// Whether work of this cost may begin.
    pub(crate) fn affords(&self, ns: u64) -> bool {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        self.per_second.is_none() || self.credit.load(Ordering::Relaxed) >= ns
    }

    /// The refusal of work of this cost, with the time to retry after; without one if the peer would have to send more.
    pub(crate) fn refusal(&self, ns: u64) -> Failure {
        let needed = i64::try_from(ns).unwrap_or(i64::MAX);
        let missing = needed.saturating_sub(self.credit.load(Ordering::Relaxed)).max(0);
        let per_second = self.per_second.unwrap_or(i64::MAX);
        // Waiting does not help where time alone never pays for the work.
        let retry_after_ms = match needed > BURST_NS || per_second == 0 {
            true => 0,
            false => u64::try_from(missing.saturating_mul(1_000) / per_second + 1).unwrap_or(0),
        };
        let reached = Reached { limit: "work_per_second", needed: 0, allowed: 0 };
        Failure::ResourceExhausted(Box::new(Exhausted { retry_after_ms, ..reached.into() }))
    }
}

#[cfg(test)]
mod tests;
