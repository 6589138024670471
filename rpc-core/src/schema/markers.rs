//! How clients and streams are told apart from other values while types are read.

use std::cell::Cell;

use crate::schema::descriptor::ServiceDescriptor;

/// The newtype that a client is to serde. Tracing knows it by this name.
pub(crate) const OBJECT: &str = "rpc_core::Object";
/// The newtype that a stream is to serde.
pub(crate) const STREAM: &str = "rpc_core::Stream";

thread_local! {
    static TRACED: Cell<Option<&'static ServiceDescriptor>> = const { Cell::new(None) };
    /// A value is written only to see how.
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
}

/// A client of this service is about to be deserialized on this thread.
pub(crate) fn trace_service(service: &'static ServiceDescriptor) {
    TRACED.set(Some(service));
}

/// The service of the client that is being deserialized on this thread.
pub(crate) fn traced_service() -> Option<&'static ServiceDescriptor> {
    TRACED.get()
}

/// Runs what writes a value that goes nowhere: clients and streams in it may be written without a table to lie in.
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

/// Whether such a value is being written on this thread.
pub(crate) fn is_recording() -> bool {
    IS_RECORDING.get()
}
