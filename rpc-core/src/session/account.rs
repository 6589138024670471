//! What a session is charged: the memory that it keeps for its peer, against its own bound and the budget that it shares.
//!
//! The parts are counted where they are kept; here their sum is held against what the session may have. That does not happen for
//! each call: a session that has nothing of the shared budget is looked at when 4 KiB have come or much waits to be sent, others
//! with each message and at the end of each turn. What calls announce beyond their message is asked for before it is taken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::memory_budget::MemoryBudget;

/// What a session may have without taking anything of the shared budget.
const FREE_BYTES: usize = 4 << 10;
/// It takes of the shared budget in multiples of this.
const BLOCK_BYTES: usize = 64 << 10;

/// What refusals name that have nothing left of the shared budget, or of the session's own.
pub(crate) const MEMORY_BUDGET: &str = "memory_budget";
pub(crate) const SESSION_BYTES_MAX: &str = "session_bytes_max";

pub(crate) struct Account {
    bytes_max: usize,
    budget: MemoryBudget,
    /// Taken of the budget.
    taken: usize,
}

impl Account {
    pub(crate) fn new(bytes_max: usize, budget: MemoryBudget) -> Self {
        Self { bytes_max, budget, taken: 0 }
    }

    /// Whether the session may have `total` bytes; takes of the budget what that needs.
    ///
    /// # Errors
    /// The name of the limit.
    pub(crate) fn cover(&mut self, total: usize) -> Result<(), &'static str> {
        if total > self.bytes_max {
            return Err(SESSION_BYTES_MAX);
        }
        let missing = total.saturating_sub(self.taken + FREE_BYTES);
        if missing == 0 {
            return Ok(());
        }
        let more = missing.next_multiple_of(BLOCK_BYTES);
        if self.budget.take(more) {
            self.taken += more;
            return Ok(());
        }
        Err(MEMORY_BUDGET)
    }

    /// The session has `total` bytes, whether it may or not: others are to see it. Gives back what is not needed for that.
    ///
    /// # Errors
    /// The name of the limit that it has exceeded.
    pub(crate) fn settle(&mut self, total: usize) -> Result<(), &'static str> {
        let needed = total.saturating_sub(FREE_BYTES).next_multiple_of(BLOCK_BYTES);
        // What grows and shrinks by a block does not take and give it back each time.
        if self.taken > needed + BLOCK_BYTES || needed == 0 {
            let kept = self.taken.min(needed);
            self.budget.give_back(self.taken - kept);
            self.taken = kept;
        }
        let covered = self.cover(total);
        if covered.is_err() {
            let more = needed.saturating_sub(self.taken);
            self.budget.take_anyway(more);
            self.taken += more;
        }
        covered
    }

    /// What the session may have beside `total` bytes, and the limit that says so.
    pub(crate) fn left(&self, total: usize) -> (usize, &'static str) {
        let covered = self.taken + FREE_BYTES;
        let of_budget = self.budget.left().saturating_add(covered.saturating_sub(total));
        let own = self.bytes_max.saturating_sub(total);
        if own <= of_budget { (own, SESSION_BYTES_MAX) } else { (of_budget, MEMORY_BUDGET) }
    }

    /// Whether it has anything of the budget.
    pub(crate) fn has_taken(&self) -> bool {
        self.taken > 0
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

/// Bytes that are kept elsewhere than in the session's tables, by tasks of their own; shared with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elsewhere(Arc<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    /// What they keep.
    kept: AtomicUsize,
    /// Results that go to the session.
    on_the_way: AtomicUsize,
    /// What else the session is charged, when it last looked.
    rest: AtomicUsize,
}

/// A result that is shorter is not counted on its way to the session: it is there before many of them are.
const COUNTED_BYTES_MIN: usize = 16 << 10;

impl Elsewhere {
    pub(crate) fn kept(&self) -> usize {
        self.0.kept.load(Ordering::Relaxed)
    }

    pub(crate) fn on_the_way(&self) -> usize {
        self.0.on_the_way.load(Ordering::Relaxed)
    }

    /// Charges `bytes`, until the charge is dropped.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.0.kept.fetch_add(bytes, Ordering::Relaxed);
        Charge { elsewhere: self.clone(), bytes }
    }

    /// The session is charged `rest` bytes beside.
    pub(crate) fn beside(&self, rest: usize) {
        self.0.rest.store(rest, Ordering::Relaxed);
    }

    /// A result of `bytes` bytes goes to the session, if that may have `bytes_max` in all.
    pub(crate) fn sends(&self, bytes: usize, bytes_max: usize) -> bool {
        if bytes < COUNTED_BYTES_MIN {
            return true;
        }
        let before = self.0.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        let rest = self.kept().saturating_add(self.0.rest.load(Ordering::Relaxed));
        let total = before.saturating_add(bytes).saturating_add(rest);
        if total > bytes_max {
            self.0.on_the_way.fetch_sub(bytes, Ordering::Relaxed);
        }
        total <= bytes_max
    }

    /// It has come there.
    pub(crate) fn received(&self, bytes: usize) {
        if bytes >= COUNTED_BYTES_MIN {
            self.0.on_the_way.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes that are kept; counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    elsewhere: Elsewhere,
    bytes: usize,
}

impl Charge {
    /// Charges `bytes` more. The sum of all charges there may be at most `bytes_max`; it is charged in any case.
    pub(crate) fn add(&mut self, bytes: usize, bytes_max: usize) -> bool {
        let before = self.elsewhere.0.kept.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        before.saturating_add(bytes) <= bytes_max
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.elsewhere.0.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
