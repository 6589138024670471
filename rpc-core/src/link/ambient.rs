//! The session whose handlers or producers the current thread is polling.

use std::{cell::Cell, sync::Arc};

use crate::link::Link;

thread_local! {
    /// The session whose user code this thread is polling; null outside of all. Only compared, never dereferenced.
    static AMBIENT_SESSION: Cell<*const Link> = const { Cell::new(std::ptr::null()) };
}

/// Whether this thread is polling a handler of the session, or the producer of one of its streams. Code that waits for the
/// session's end there would wait for itself.
pub(crate) fn is_inside(session: &Arc<Link>) -> bool {
    std::ptr::eq(AMBIENT_SESSION.get(), Arc::as_ptr(session))
}

/// Runs `poll`, which polls handlers or producers of this session. The pointer is only compared, never dereferenced.
#[inline]
pub(crate) fn inside<R>(session: *const Link, poll: impl FnOnce() -> R) -> R {
    let _scope = InsideScope(AMBIENT_SESSION.replace(session));
    poll()
}

/// Restores the outer session when dropped, also by a panic.
struct InsideScope(*const Link);

impl Drop for InsideScope {
    fn drop(&mut self) {
        AMBIENT_SESSION.set(self.0);
    }
}
