//! What all sessions of a process may keep together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A bound on the memory that the sessions which share it keep for their peers. Clones share it.
///
/// Each session takes of it what it is charged: waiting and running arguments, kept results, what waits to be sent or read. It
/// takes it in blocks of 64 KiB and gives it back when it is idle; its first 4 KiB are not counted, so that small calls do not
/// touch what all share. A session that finds nothing left refuses calls with `ResourceExhausted`, naming `memory_budget`,
/// stops streams that bring more, and goes on. What handlers allocate by themselves is not seen.
///
/// ```
/// let budget = rpc_core::MemoryBudget::new(256 << 20);
/// assert_eq!((budget.bytes_max(), budget.used()), (256 << 20, 0));
/// ```
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

struct Shared {
    bytes_max: usize,
    used: AtomicUsize,
}

impl MemoryBudget {
    /// A budget of this number of bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { bytes_max, used: AtomicUsize::new(0) }))
    }

    /// How many bytes there are in all.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// What sessions have taken, in bytes. More than there is for a moment where what a socket had received was too much.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// What is left.
    pub(crate) fn left(&self) -> usize {
        self.0.bytes_max.saturating_sub(self.used())
    }

    /// Takes all of it or nothing.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.bytes_max);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes it though there is too little.
    pub(crate) fn take_anyway(&self, bytes: usize) {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Unlimited.
impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBudget({} of {} bytes used)", self.used(), self.bytes_max())
    }
}
