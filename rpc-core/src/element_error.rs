//! Why an element of a map has no value.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DecodeBudget},
    limits::Limits,
    schema::layout::Layout,
};

/// Why an element of a [`map_each`](crate::SequencePipe::map_each) has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ElementError<E> {
    /// The call whose result the closure returned failed by its own error.
    #[error("the method failed")]
    Method(#[source] E),
    /// Another call of the closure failed by its own error.
    #[error("`{method}`, which was called for the element, failed")]
    Upstream {
        /// The wire name of that method.
        method: String,
        /// What it returned.
        error: EncodedError,
    },
    /// Something else stopped the element: a panic, a deadline, a limit, a part that its values do not have.
    #[error("`{method}` did not run to its end: {reason}")]
    Failed {
        /// The wire name of the method that was called, or was to be.
        method: String,
        /// What happened.
        reason: String,
    },
}

/// The error of a method whose type is known to who asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedError {
    bytes: Vec<u8>,
    layout: u64,
}

impl EncodedError {
    pub(crate) fn new(bytes: &[u8], layout: Option<&Layout>) -> Self {
        Self { bytes: bytes.to_vec(), layout: layout.map_or(0, Layout::fingerprint) }
    }

    /// The error, if the method's error type has the layout of `E`.
    pub fn downcast<E: Serialize + DeserializeOwned>(&self) -> Option<E> {
        if Layout::of_exchanged::<E>("E").fingerprint() != self.layout {
            return None;
        }
        codec::decode(&self.bytes, DecodeBudget::from(&Limits::default())).ok()
    }
}

#[cfg(test)]
mod tests;
