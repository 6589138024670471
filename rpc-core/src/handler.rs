//! The answering side: services, their contexts, batches, and objects that forward calls.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod encoding;
pub(crate) mod forward;
pub(crate) mod incoming;
pub(crate) mod served;
