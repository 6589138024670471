//! How a call of the peer ended.

use crate::{
    buffer::small_bytes::SmallBytes,
    path::Path,
    value::encoded::Capability,
    wire::{CallId, Failure, map_program::ElementFailure},
};

/// How a call of the peer ended: as its handler says, or as the session does where none ran.
#[derive(Clone)]
pub(crate) enum Outcome {
    Value {
        /// The encoded value, if anybody wants it.
        payload: Option<SmallBytes>,
        /// The objects that it names.
        objects: Vec<Capability>,
    },
    Error(SmallBytes, Vec<Capability>),
    /// An element of a map failed.
    Element(ElementFailure),
    Failed(Failure),
    /// A call it is built on failed, or has nothing at the path.
    Upstream {
        origin: CallId,
        missed: Option<Path>,
    },
}

impl Outcome {
    /// Its encoded bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value { payload, .. } => payload.as_ref().map_or(0, SmallBytes::len),
            Self::Error(bytes, _) => bytes.len(),
            Self::Element(_) | Self::Failed(_) | Self::Upstream { .. } => 0,
        }
    }
}
