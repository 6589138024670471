//! The deadline of the handler that a thread is polling, which the calls it makes inherit.

use std::{cell::Cell, time::Duration};

use crate::time::{self, Time};

thread_local! {
    static AMBIENT_DEADLINE: Cell<Option<Time>> = const { Cell::new(None) };
}

/// The deadline of the handler that this thread is polling; calls it makes inherit it.
pub(crate) fn ambient_deadline() -> Option<Time> {
    AMBIENT_DEADLINE.get()
}

/// There is no time left for a call.
pub(crate) struct NoTimeLeft;

/// The deadline of a call that is made now and may take this long: the inherited one if that is earlier. Without either, the
/// clock is not read.
pub(crate) fn deadline_within(limit: Option<Duration>) -> Result<Option<Time>, NoTimeLeft> {
    let inherited = ambient_deadline();
    if limit.is_none() && inherited.is_none() {
        return Ok(None);
    }
    let now = time::now();
    let deadline = limit.map(|limit| now + limit).into_iter().chain(inherited).min();
    if deadline.is_some_and(|deadline| deadline <= now) { Err(NoTimeLeft) } else { Ok(deadline) }
}

/// Runs `poll` with a handler's deadline in scope.
pub(crate) fn with_deadline<R>(deadline: Option<Time>, poll: impl FnOnce() -> R) -> R {
    let _scope = DeadlineScope::enter(deadline);
    poll()
}

/// Restores the outer deadline when dropped, also by a panic.
struct DeadlineScope(Option<Time>);

impl DeadlineScope {
    fn enter(deadline: Option<Time>) -> Self {
        Self(AMBIENT_DEADLINE.replace(deadline))
    }
}

impl Drop for DeadlineScope {
    fn drop(&mut self) {
        AMBIENT_DEADLINE.set(self.0);
    }
}
