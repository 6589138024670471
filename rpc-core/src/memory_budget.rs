//! The memory budget that sessions share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A bound on the memory that several sessions together keep for their peers. Clones share one budget.
///
/// Each session takes from the budget what it is charged: waiting and running arguments, kept results, bytes waiting to be sent
/// or read. It takes blocks of 64 KiB and gives them back when it is idle. Its first 4 KiB are not counted, so that small calls
/// do not touch the shared counter. A session that finds no budget left refuses calls with `ResourceExhausted`, naming
/// `memory_budget`, stops streams that bring more, and goes on. Memory that handlers allocate themselves is not counted.
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
    /// A budget of `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { bytes_max, used: AtomicUsize::new(0) }))
    }

    /// The size of the budget, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// Bytes that sessions have taken. Exceeds [`bytes_max`](Self::bytes_max) for a moment if a socket received too much.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.0.bytes_max.saturating_sub(self.used())
    }

    /// Takes `bytes` and returns true, or takes nothing and returns false.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.bytes_max);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes `bytes` even if fewer are left.
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
