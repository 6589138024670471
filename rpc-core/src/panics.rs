//! Panics of user code: caught where a value is dropped, and turned into text.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Drops a user's value. If its `Drop` panics, the panic is caught and logged; `what` names the value in the log.
pub(crate) fn drop_quietly<T>(value: T, what: &str) {
    let result: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(panic) = result {
        log_panic(&*panic, what);
    }
}

// A function of its own: every type that is dropped quietly would have a copy of the log line.
#[cold]
fn log_panic(panic: &(dyn Any + Send), what: &str) {
    crate::log_rate::log_rarely!(error, "{what} panicked when it was dropped: {}", panic_text(panic));
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)")
}
