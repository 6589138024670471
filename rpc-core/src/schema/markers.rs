//! How clients and streams are told apart from other values while types are read.

use std::cell::Cell;

use crate::schema::descriptor::ServiceDescriptor;

/// The newtype that a client is to serde. Tracing knows it by this name.
pub(crate) const OBJECT: &str = "rpc_core::Object";

thread_local! {
    static TRACED: Cell<Option<&'static ServiceDescriptor>> = const { Cell::new(None) };
}

/// A client of this service is about to be deserialized on this thread.
pub(crate) fn trace_service(service: &'static ServiceDescriptor) {
    TRACED.set(Some(service));
}

/// The service of the client that is being deserialized on this thread.
pub(crate) fn traced_service() -> Option<&'static ServiceDescriptor> {
    TRACED.get()
}

/// The newtype that a stream is to serde. Tracing knows it by this name.
pub(crate) const STREAM: &str = "rpc_core::Stream";
