//! Panics of user code, as what is said about them.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a value that is no longer used may do when it is dropped; see [`LocalObject`].
pub(crate) fn drop_quietly<T>(value: T, what: &str) {
    let result: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(panic) = result {
        crate::log_rate::log_rarely!(error, "{what} panicked when it was dropped: {}", panic_text(&*panic));
    }
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)")
}
