//! Permits for handlers of maps over streams, which no call waits for: a session has as many as it may have calls.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

#[derive(Debug, Clone)]
pub(in crate::driver) struct Permits(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    count: usize,
    waiting: Vec<Waker>,
}

/// Permits that are taken; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    home: Permits,
    pub(super) count: usize,
}

impl Permits {
    pub(in crate::driver) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Free { count, waiting: Vec::new() })))
    }

    /// Takes as many as are free, at most `most` and at least one.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, most: usize) -> Poll<Permit> {
        let mut free = self.lock();
        let count = free.count.min(most.max(1));
        if count == 0 {
            if !free.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                free.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        free.count -= count;
        Poll::Ready(Permit { home: self.clone(), count })
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Gives back what is not needed.
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
            std::mem::take(&mut free.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.home.give_back(self.count);
    }
}
