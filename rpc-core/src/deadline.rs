//! The deadline of the handler that a thread is polling. Calls that the handler makes inherit it.

use std::{cell::Cell, time::Duration};

use crate::time::{self, Time};

thread_local! {
    static AMBIENT_DEADLINE: Cell<Option<Time>> = const { Cell::new(None) };
}

/// The deadline of the handler that this thread is polling, if it has one.
pub(crate) fn ambient_deadline() -> Option<Time> {
    AMBIENT_DEADLINE.get()
}

/// The deadline of a call has passed before the call was made.
pub(crate) struct NoTimeLeft;

/// The deadline of a call made at this moment: `limit` from now or the inherited deadline, whichever is earlier. Without
/// either, the clock is not read.
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
