//! The outcome of a call of the peer.

use crate::{
    buffer::small_bytes::SmallBytes,
    path::Path,
    value::encoded::Capability,
    wire::{CallId, Failure, map_program::ElementFailure},
};

/// The outcome of a call of the peer, as its handler says or as the session says where none ran.
#[derive(Clone)]
pub(crate) enum Outcome {
    Value {
        /// The encoded value, if anybody wants it.
        payload: Option<SmallBytes>,
        /// The objects and streams that the value names.
        objects: Vec<Capability>,
    },
    Error(SmallBytes, Vec<Capability>),
    /// An element of a map failed.
    Element(ElementFailure),
    Failed(Failure),
    /// A call that this one is built on failed, or its result has nothing at the path.
    Upstream {
        origin: CallId,
        missed: Option<Path>,
    },
}

impl Outcome {
    /// The number of encoded bytes of the value or error.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value { payload, .. } => payload.as_ref().map_or(0, SmallBytes::len),
            Self::Error(bytes, _) => bytes.len(),
            Self::Element(_) | Self::Failed(_) | Self::Upstream { .. } => 0,
        }
    }
}
