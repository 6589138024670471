//! placeholder
use crate::error::*;
use serde::{Serialize, de::DeserializeOwned};
#[derive(Clone, Copy)]
pub(crate) struct DecodeBudget;
impl From<&crate::Limits> for DecodeBudget {
    fn from(_: &crate::Limits) -> Self {
        Self
    }
}
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend(
        bincode::serde::encode_to_vec(value, bincode::config::standard())
            .map_err(|e| EncodeError(e.to_string()))?,
    );
    Ok(())
}
pub(crate) fn encoded_len<T: Serialize + ?Sized>(value: &T) -> Result<usize, EncodeError> {
    let mut v = vec![];
    encode(value, &mut v)?;
    Ok(v.len())
}
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], _: DecodeBudget) -> Result<T, DecodeError> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard())
        .map(|x| x.0)
        .map_err(|e| DecodeError::Invalid(e.to_string()))
}
pub(crate) const SOME: u8 = 1;
