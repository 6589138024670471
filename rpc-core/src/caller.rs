//! The calling side: clients, promises and pipes, and how calls are made.

pub(crate) mod args;
pub(crate) mod arguments;
pub(crate) mod arrived;
pub(crate) mod call;
pub(crate) mod joined;
pub(crate) mod outcomes;
pub(crate) mod passing;
pub(crate) mod pipeline;
pub(crate) mod promise;
pub(crate) mod record;
pub(crate) mod session_handle;
pub(crate) mod stub;
