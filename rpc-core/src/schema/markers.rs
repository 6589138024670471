//! Marks by which tracing tells clients and streams apart from other values.

use std::cell::Cell;

use crate::schema::descriptor::ServiceDescriptor;

/// The name of the newtype as which serde sees a client. Tracing knows clients by it.
pub(crate) const OBJECT: &str = "rpc_core::Object";
/// The name of the newtype as which serde sees a stream.
pub(crate) const STREAM: &str = "rpc_core::Stream";

thread_local! {
    static TRACED: Cell<Option<&'static ServiceDescriptor>> = const { Cell::new(None) };
    /// Whether a value is being serialized only to record how.
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
}

/// Takes note that a client of this service is about to be deserialized on this thread.
pub(crate) fn trace_service(service: &'static ServiceDescriptor) {
    TRACED.set(Some(service));
}

/// The service of the client that is being deserialized on this thread.
pub(crate) fn traced_service() -> Option<&'static ServiceDescriptor> {
    TRACED.get()
}

/// Runs `write`, which serializes a value only to record how. Clients and streams in the value then need no table.
pub(super) fn recording<R>(write: impl FnOnce() -> R) -> R {
    struct Outer(bool);

    impl Drop for Outer {
        fn drop(&mut self) {
            IS_RECORDING.set(self.0);
        }
    }

    let _outer = Outer(IS_RECORDING.replace(true));
    write()
}

/// Whether a value is being serialized on this thread only to record how.
pub(crate) fn is_recording() -> bool {
    IS_RECORDING.get()
}
