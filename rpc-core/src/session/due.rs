//! Deadlines of calls, and releases that wait for a message to ride on.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use crate::{time::Time, wire::CallId};

/// The number of stale deadlines that are not worth sweeping out.
const DEADLINES_KEPT: usize = 64;
/// How long a release waits for a message to ride on.
pub(crate) const RELEASE_DELAY: Duration = Duration::from_millis(20);
/// The number of releases that make a message of their own.
pub(crate) const RELEASES_MAX: usize = 256;

/// The deadlines of calls, soonest first. Calls that end leave their deadlines behind; these are swept out when most deadlines
/// are stale.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<(Time, CallId)>>);

impl Deadlines {
    /// Adds the deadline of one of `live` calls. `is_due` tells whether a deadline still counts.
    pub(crate) fn watch(
        &mut self,
        deadline: Time,
        id: CallId,
        live: usize,
        is_due: impl Fn(CallId, Time) -> bool,
    ) {
        if self.0.len() >= 2 * live + DEADLINES_KEPT {
            self.0.retain(|Reverse((at, id))| is_due(*id, *at));
        }
        self.0.push(Reverse((deadline, id)));
    }

    /// The first deadline that still counts.
    pub(crate) fn next(&mut self, is_due: impl Fn(CallId, Time) -> bool) -> Option<Time> {
        while let Some(Reverse((at, id))) = self.0.peek() {
            if is_due(*id, *at) {
                return Some(*at);
            }
            self.0.pop();
        }
        None
    }

    /// Takes out a deadline that has passed.
    #[inline]
    pub(crate) fn pop_passed(&mut self, now: Time) -> Option<(Time, CallId)> {
        let Reverse(first) = *self.0.peek()?;
        (first.0 <= now).then(|| {
            self.0.pop();
            first
        })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Results or objects that the peer may release, until it is told so.
#[derive(Debug)]
pub(crate) struct Releases<T> {
    waiting: Vec<T>,
    due: Option<Time>,
}

impl<T> Default for Releases<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), due: None }
    }
}

impl<T: Ord> Releases<T> {
    pub(crate) fn push(&mut self, release: T) {
        self.waiting.push(release);
    }

    /// Takes a release back.
    pub(crate) fn remove(&mut self, release: &T) {
        self.waiting.retain(|waiting| waiting != release);
    }

    /// Takes all releases in order, if a message leaves anyway or they have waited for long enough; none otherwise.
    pub(crate) fn take(&mut self, now: Time, message_leaves: bool) -> Vec<T> {
        if self.waiting.is_empty() {
            self.due = None;
            return Vec::new();
        }
        if !message_leaves && self.waiting.len() < RELEASES_MAX && !self.is_overdue(now) {
            self.due.get_or_insert(now + RELEASE_DELAY);
            return Vec::new();
        }
        self.due = None;
        self.waiting.sort_unstable();
        std::mem::take(&mut self.waiting)
    }

    /// When the releases leave at the latest.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.due
    }

    /// Whether [`take`](Self::take) has something to do: releases leave, or their time begins.
    pub(crate) fn needs_a_look(&self, now: Time) -> bool {
        !self.waiting.is_empty()
            && (self.due.is_none_or(|due| due <= now) || self.waiting.len() >= RELEASES_MAX)
    }

    /// Whether the releases leave even if no other frame does. Overdue releases are written even when the socket has no room:
    /// a timeout that stays due would make the driver spin.
    pub(crate) fn is_overdue(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
