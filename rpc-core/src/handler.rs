//! What answers calls: services, their contexts, batches, and objects that pass calls on.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod dispatch;
pub(crate) mod encoding;
pub(crate) mod forward;
pub(crate) mod incoming;
pub(crate) mod served;
