//! Decoding of [`EncodedError`]: the caller names the type of the error.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DecodeBudget},
    error::EncodedError,
    limits::Limits,
    schema::layout::Layout,
};

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
