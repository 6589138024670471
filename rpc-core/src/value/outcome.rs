//! How a handler ended.

use crate::{
    buffer::small_bytes::SmallBytes,
    value::encoded::Capability,
    wire::{Failure, map_program::ElementFailure},
};

/// How a handler ended.
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
}

impl Outcome {
    /// Its encoded bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value { payload, .. } => payload.as_ref().map_or(0, SmallBytes::len),
            Self::Error(bytes, _) => bytes.len(),
            Self::Element(_) | Self::Failed(_) => 0,
        }
    }
}
