//! The memory account of a session: the memory it keeps for its peer, against its own limit and the budget that it shares.
//!
//! The parts are counted where they are kept; here their sum is checked against the limits. That does not happen for each
//! call. A session that has nothing of the shared budget settles when 4 KiB have come or much waits to be sent; other sessions
//! settle with each message and at the end of each turn. Payloads that calls announce beyond their message are checked before
//! they are taken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::memory_budget::MemoryBudget;

/// The bytes that a session may have without taking anything of the shared budget.
const FREE_BYTES: usize = 4 << 10;
/// The unit in which a session takes bytes of the shared budget.
const BLOCK_BYTES: usize = 64 << 10;

/// The limits that refusals name: the shared budget, and the session's own.
pub(crate) const MEMORY_BUDGET: &str = "memory_budget";
pub(crate) const SESSION_BYTES_MAX: &str = "session_bytes_max";

pub(crate) struct Account {
    bytes_max: usize,
    budget: MemoryBudget,
    /// Bytes taken of the shared budget.
    taken: usize,
}

impl Account {
    pub(crate) fn new(bytes_max: usize, budget: MemoryBudget) -> Self {
        Self { bytes_max, budget, taken: 0 }
    }

    /// Checks whether the session may have `total` bytes; takes the bytes it needs from the shared budget.
    ///
    /// # Errors
    /// The name of the limit that leaves no room.
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

    /// Records that the session has `total` bytes. They are taken from the shared budget even if too many, so that other
    /// sessions see them. Gives back what is not needed.
    ///
    /// # Errors
    /// The name of the limit that it has exceeded.
    pub(crate) fn settle(&mut self, total: usize) -> Result<(), &'static str> {
        let needed = total.saturating_sub(FREE_BYTES).next_multiple_of(BLOCK_BYTES);
        // One spare block is kept: a session that grows and shrinks by a block does not take and give it back each time.
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

    /// The bytes that the session may have beside `total`, and the limit that bounds them.
    pub(crate) fn left(&self, total: usize) -> (usize, &'static str) {
        let covered = self.taken + FREE_BYTES;
        let of_budget = self.budget.left().saturating_add(covered.saturating_sub(total));
        let own = self.bytes_max.saturating_sub(total);
        if own <= of_budget { (own, SESSION_BYTES_MAX) } else { (of_budget, MEMORY_BUDGET) }
    }

    /// Whether the session has taken anything of the shared budget.
    pub(crate) fn has_taken(&self) -> bool {
        self.taken > 0
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

/// Bytes that tasks of the session keep outside of its tables; shared with those tasks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elsewhere(Arc<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    /// Bytes that tasks keep.
    kept: AtomicUsize,
    /// Bytes of results on their way to the session.
    on_the_way: AtomicUsize,
    /// Other bytes that the session is charged, when it last settled.
    rest: AtomicUsize,
}

/// The shortest result that is counted on its way to the session. Shorter ones arrive before they add up.
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

    /// Records the other bytes that the session is charged.
    pub(crate) fn beside(&self, rest: usize) {
        self.0.rest.store(rest, Ordering::Relaxed);
    }

    /// Counts a result of `bytes` bytes on its way to the session. False, and not counted, if the session would have more than
    /// `bytes_max` in all.
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

    /// Ends the count of a result that has reached the session.
    pub(crate) fn received(&self, bytes: usize) {
        if bytes >= COUNTED_BYTES_MIN {
            self.0.on_the_way.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes that a task keeps; counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    elsewhere: Elsewhere,
    bytes: usize,
}

impl Charge {
    /// Charges `bytes` more, in any case. False if the sum of all charges exceeds `bytes_max`.
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
