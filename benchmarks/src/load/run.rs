//! What is noted of calls while they are made, by whichever task makes them.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{clients::Reply, latencies::Recorder};

/// What is noted of calls while they are made.
pub(super) struct Run {
    pub(super) started: Instant,
    /// Calls that are to be made then count.
    pub(super) measured: Range<Instant>,
    begun: AtomicU64,
    ended: AtomicU64,
    done: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
    latencies: Recorder,
    early: Recorder,
    late: Recorder,
    lag: Recorder,
}

impl Run {
    pub(super) fn new(warm: Duration, time: Duration) -> Self {
        let started = Instant::now();
        Self {
            started,
            measured: started + warm..started + warm + time,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: Mutex::default(),
            latencies: Recorder::default(),
            early: Recorder::default(),
            late: Recorder::default(),
            lag: Recorder::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.measured.end
    }

    /// A call is made that was to be made at `due`.
    pub(super) fn begin(&self, hint: usize, due: Instant) {
        if self.measured.contains(&due) {
            self.begun.fetch_add(1, Ordering::Relaxed);
            self.lag.record(hint, due.elapsed());
        }
    }

    pub(super) fn end(&self, hint: usize, due: Instant, failure: Option<String>) {
        let now = Instant::now();
        if failure.is_none() && self.measured.contains(&now) {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        if !self.measured.contains(&due) {
            return;
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
        if let Some(failure) = failure {
            self.note(failure);
            return;
        }
        self.latencies.record(hint, now - due);
        let quarter = (self.measured.end - self.measured.start) / 4;
        if due < self.measured.start + quarter {
            self.early.record(hint, now - due);
        } else if due >= self.measured.end - quarter {
            self.late.record(hint, now - due);
        }
    }

    pub(super) fn note(&self, failure: String) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(failure).or_default() += 1;
    }

    pub(super) fn reply(&self) -> Reply {
        let begun = self.begun.load(Ordering::Relaxed);
        Reply {
            done: self.done.load(Ordering::Relaxed) as f64,
            seconds: (self.measured.end - self.measured.start).as_secs_f64(),
            begun,
            failed: self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            unfinished: begun.saturating_sub(self.ended.load(Ordering::Relaxed)),
            latencies: self.latencies.all(),
            early: self.early.all(),
            late: self.late.all(),
            lag: self.lag.all(),
        }
    }
}
