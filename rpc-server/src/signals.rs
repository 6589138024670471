//! What a server tells all its sessions: that it shuts down, and whose identity is revoked.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rpc_core::Principal;
use tokio::sync::Notify;

/// The signals. They wake their waiters in the order in which they came, so that a simulated shutdown is the same each time.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    is_shutting_down: AtomicBool,
    revocations: Mutex<Revocations>,
    waiting: Notify,
}

#[derive(Debug, Default)]
struct Revocations {
    count: u64,
    /// The number of each principal's last revocation.
    last: HashMap<Principal, u64>,
}

/// The number of revocations before a peer was authenticated: those do not concern it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since(u64);

/// The way in which a session is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// In good order.
    Close,
    /// At once: the identity of its peer is revoked.
    Revoked,
}

impl Signals {
    pub(crate) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    pub(crate) fn revoke(&self, principal: Principal) {
        let mut revocations = self.revocations();
        revocations.count += 1;
        let number = revocations.count;
        revocations.last.insert(principal, number);
        drop(revocations);
        self.waiting.notify_waiters();
    }

    /// The time from which on revocations concern a peer that is authenticated now.
    pub(crate) fn now(&self) -> Since {
        Since(self.revocations().count)
    }

    /// Whether the principal was revoked since then.
    pub(crate) fn is_revoked(&self, principal: &Principal, Since(since): Since) -> bool {
        self.revocations().last.get(principal).is_some_and(|number| *number > since)
    }

    /// Completes when the server begins to shut down.
    pub(crate) async fn shutdown(&self) {
        loop {
            // Made before the flag is read: it hears of a shutdown that begins in between.
            let notified = self.waiting.notified();
            if self.is_shutting_down.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// Completes when the identity of a peer is revoked.
    pub(crate) async fn revoked(&self, principal: &Principal, since: Since) {
        loop {
            let notified = self.waiting.notified();
            if self.is_revoked(principal, since) {
                return;
            }
            notified.await;
        }
    }

    /// Completes when the server begins to shut down, or the identity of a peer is revoked.
    pub(crate) async fn concerning(&self, principal: &Principal, since: Since) -> Signal {
        loop {
            let notified = self.waiting.notified();
            if self.is_revoked(principal, since) {
                return Signal::Revoked;
            }
            if self.is_shutting_down.load(Ordering::SeqCst) {
                return Signal::Close;
            }
            notified.await;
        }
    }

    fn revocations(&self) -> MutexGuard<'_, Revocations> {
        // No change stops half-way.
        self.revocations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
