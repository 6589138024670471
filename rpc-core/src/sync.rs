//! Locks, and tasks that wait for a condition.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

/// Locks the mutex, poisoned or not. No code under a lock can panic half-way through a change, so the guarded value is still
/// consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tasks that wait for a condition. They lie under the lock that guards the condition, and a task is added after it has
/// checked the condition under that lock: either it sees the change, or the change wakes it.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Waker>);

impl Waiters {
    /// Adds the task of `cx`, once.
    pub(crate) fn add(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            if self.0.capacity() == 0 {
                // Mostly one task waits.
                self.0.reserve_exact(1);
            }
            self.0.push(cx.waker().clone());
        }
    }

    /// Takes the wakers of all waiting tasks. The caller wakes them after it has released the lock.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}
