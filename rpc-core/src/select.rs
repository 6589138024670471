//! placeholder
use crate::error::*;
use crate::path::Step;
use serde::Serialize;
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectError {
    #[error("m")]
    Missed,
    #[error("e")]
    Encode(EncodeError),
}
pub(crate) fn select<T: Serialize + ?Sized>(
    value: &T,
    _path: &[Step],
    out: &mut Vec<u8>,
) -> Result<(), SelectError> {
    crate::codec::encode(value, out).map_err(SelectError::Encode)
}
