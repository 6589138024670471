//! The books: counts of the memory that the peer's calls take, settled against the session's account.

use crate::session::account::{Account, Elsewhere};

/// The counts of everything that is kept for the calls of the peer.
pub(in crate::session) struct Books {
    /// The number of calls that wait or run.
    unfinished: usize,
    /// The number of answers the caller asked to keep and has not released, finished or not.
    keeping: usize,
    /// Bytes of results that are kept.
    held: usize,
    /// Bytes of arguments that are here, of calls that have not started.
    pending: usize,
    /// Bytes of the decoded arguments of running handlers.
    running: usize,
    /// Bytes that running handlers are expected to return.
    expected: usize,
    /// The memory of the layouts that maps have made, kept beside their results, and of what maps at work hold.
    elsewhere: Elsewhere,
    account: Account,
    /// Other bytes that the session is charged, when it last settled.
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

    /// Counts a call that has come; `keeps` says whether its result is to be kept.
    pub(in crate::session) fn came(&mut self, keeps: bool) {
        self.unfinished += 1;
        self.keeping += usize::from(keeps);
    }

    /// Ends the count of a call that was answered and has no running handler.
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

    /// The pending bytes with `bytes` more.
    pub(in crate::session) fn pending_with(&self, bytes: usize) -> usize {
        self.pending.saturating_add(bytes)
    }

    /// Charges a handler that goes on by itself: `given` bytes of arguments, and `expected` bytes of its result.
    pub(in crate::session) fn goes_on(&mut self, given: usize, expected: usize) {
        self.running += given;
        self.expected += expected;
    }

    /// Ends the charge of [`goes_on`](Self::goes_on): the handler is over.
    pub(in crate::session) fn came_back(&mut self, given: usize, expected: usize) {
        self.running -= given;
        self.expected -= expected;
    }

    // ---- results ----

    pub(in crate::session) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// Ends the count of an answer that the caller will not refer to again; `held` bytes of its result were kept.
    pub(in crate::session) fn let_go(&mut self, held: usize) {
        self.keeping -= 1;
        self.held -= held;
    }

    /// Bytes of kept results, of the layouts beside them, and of what running maps hold.
    pub(in crate::session) fn held(&self) -> usize {
        self.held + self.elsewhere.kept()
    }

    /// The account that maps, which run by themselves, charge.
    pub(in crate::session) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    // ---- the account ----

    /// All bytes that are kept for the peer's calls.
    pub(in crate::session) fn bytes(&self) -> usize {
        self.pending + self.running + self.expected + self.held() + self.elsewhere.on_the_way()
    }

    /// Checks the bytes kept for the peer's calls, with `beside` bytes kept elsewhere and `more` that come, against the limits.
    /// Returns the limit that leaves no memory for more.
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

    /// The limit that had no room when the account was last settled.
    pub(in crate::session) fn short_of(&self) -> Option<&'static str> {
        self.short_of
    }

    /// The memory that a value decoded now may take, and the limit that bounds it.
    pub(in crate::session) fn memory_left(&self) -> (usize, &'static str) {
        self.account.left(self.beside + self.bytes())
    }

    /// Whether the account must be settled often: shared memory may have to be given back, or memory was short.
    pub(in crate::session) fn is_watched(&self) -> bool {
        self.account.has_taken() || self.short_of.is_some()
    }
}
