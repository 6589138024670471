//! The signal that a server shuts down: sent once, heard by its listeners and by each of its sessions.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The signal. It wakes its waiters in the order in which they came, so that a simulated shutdown is the same each time.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    has_begun: AtomicBool,
    waiting: Notify,
}

impl Shutdown {
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Completes when the shutdown has begun.
    pub(crate) async fn begun(&self) {
        // Made before the flag is read: it hears of a shutdown that begins in between.
        let notified = self.waiting.notified();
        if !self.has_begun.load(Ordering::SeqCst) {
            notified.await;
        }
    }
}
