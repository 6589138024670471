//! Permits for elements of maps over streams, which no call waits for: a session has as many permits as it may have calls.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use crate::sync::{Waiters, lock};

#[derive(Debug, Clone)]
pub(in crate::driver) struct Permits(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    count: usize,
    waiting: Waiters,
}

/// Taken permits; dropping this gives them back.
#[derive(Debug)]
pub(super) struct Permit {
    home: Permits,
    pub(super) count: usize,
}

impl Permits {
    pub(in crate::driver) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Free { count, waiting: Waiters::default() })))
    }

    /// Takes as many permits as are free, at most `most`; waits while none is free.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, most: usize) -> Poll<Permit> {
        let mut free = self.lock();
        let count = free.count.min(most.max(1));
        if count == 0 {
            free.waiting.add(cx);
            return Poll::Pending;
        }
        free.count -= count;
        Poll::Ready(Permit { home: self.clone(), count })
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        lock(&self.0)
    }
}

impl Permit {
    /// Keeps `count` permits and gives back the others.
    pub(super) fn keep(&mut self, count: usize) {
        let spare = self.count.saturating_sub(count);
        self.count -= spare;
        self.home.give_back(spare);
    }
}

impl Permits {
    fn give_back(&self, count: usize) {
        let waiting = {
            let mut free = self.lock();
            free.count += count;
            free.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.home.give_back(self.count);
    }
}
