//! What the peer's calls take: counted here as it comes and goes, and held against the session's account.

use crate::session::account::{Account, Elsewhere};

/// The counts of everything that is kept for the calls of the peer.
pub(in crate::session) struct Books {
    /// Calls that wait or run.
    unfinished: usize,
    /// Answers the caller asked to keep and has not released, finished or not.
    keeping: usize,
    /// Results that are kept.
    held: usize,
    /// Arguments that are here, of calls that have not started.
    pending: usize,
    /// What handlers at work were given, as they have it.
    running: usize,
    /// What they are expected to return.
    expected: usize,
    /// The memory of the layouts that maps have made, kept beside their results, and of what maps at work hold.
    elsewhere: Elsewhere,
    account: Account,
    /// What else the session is charged, when it last looked.
    beside: usize,
    /// The limit that leaves no memory for more calls.
    short_of: Option<&'static str>,
}

impl Books {
    pub(in crate::session) fn new(account: Account) -> Self {
        Self {
            unfinished: 0,
            keeping: 0,
            held: 0,
            pending: 0,
            running: 0,
            expected: 0,
            elsewhere: Elsewhere::default(),
            account,
            beside: 0,
            short_of: None,
        }
    }

    // ---- calls ----

    /// A call has come; whether its result is to be kept.
    pub(in crate::session) fn came(&mut self, keeps: bool) {
        self.unfinished += 1;
        self.keeping += usize::from(keeps);
    }

    /// A call was answered and no handler runs for it.
    pub(in crate::session) fn is_over(&mut self) {
        self.unfinished -= 1;
    }

    pub(in crate::session) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(in crate::session) fn keeping(&self) -> usize {
        self.keeping
    }

    // ---- arguments ----

    pub(in crate::session) fn add_pending(&mut self, bytes: usize) {
        self.pending += bytes;
    }

    pub(in crate::session) fn remove_pending(&mut self, bytes: usize) {
        self.pending -= bytes;
    }

    pub(in crate::session) fn pending(&self) -> usize {
        self.pending
    }

    /// What would be pending with `bytes` more.
    pub(in crate::session) fn pending_with(&self, bytes: usize) -> usize {
        self.pending.saturating_add(bytes)
    }

    /// A handler that was given `given` bytes goes on by itself, and is expected to return `expected`.
    pub(in crate::session) fn goes_on(&mut self, given: usize, expected: usize) {
        self.running += given;
        self.expected += expected;
    }

    /// It is over.
    pub(in crate::session) fn came_back(&mut self, given: usize, expected: usize) {
        self.running -= given;
        self.expected -= expected;
    }

    // ---- results ----

    pub(in crate::session) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// The caller will not refer to an answer again, of which a result of `held` bytes was kept.
    pub(in crate::session) fn let_go(&mut self, held: usize) {
        self.keeping -= 1;
        self.held -= held;
    }

    /// Results, and the layouts beside them.
    pub(in crate::session) fn held(&self) -> usize {
        self.held + self.elsewhere.kept()
    }

    /// What maps charge that run by themselves.
    pub(in crate::session) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    // ---- the account ----

    /// All that is kept for the peer's calls.
    pub(in crate::session) fn bytes(&self) -> usize {
        self.pending + self.running + self.expected + self.held() + self.elsewhere.on_the_way()
    }

    /// Holds what is kept for the peer's calls, with `beside` bytes kept elsewhere and `more` that come, against the limits. Gives the limit
    /// that leaves no memory for more.
    pub(in crate::session) fn settle(&mut self, beside: usize, more: usize) -> Option<&'static str> {
        self.beside = beside;
        self.elsewhere.beside(beside + self.pending + self.running + self.held);
        let total = beside + self.bytes();
        self.short_of = self.account.settle(total).and_then(|()| self.account.cover(total + more)).err();
        self.short_of
    }

    /// The limit that has no room for `more` bytes, if any.
    pub(in crate::session) fn lacks(&mut self, more: usize) -> Option<&'static str> {
        self.account.cover((self.beside + self.bytes()).saturating_add(more)).err()
    }

    /// The limit that had no room at the last look.
    pub(in crate::session) fn short_of(&self) -> Option<&'static str> {
        self.short_of
    }

    /// What a value may take that is decoded now, and the limit that says so.
    pub(in crate::session) fn memory_left(&self) -> (usize, &'static str) {
        self.account.left(self.beside + self.bytes())
    }

    /// Whether what is kept must be looked at: something of the shared budget may have to be given back, or there was too
    /// little.
    pub(in crate::session) fn is_watched(&self) -> bool {
        self.account.has_taken() || self.short_of.is_some()
    }
}
