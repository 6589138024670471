//! Encoded values, with the objects and streams that they name.

pub(crate) mod encoded;
pub(crate) mod held;
pub(crate) mod inlet;
pub(crate) mod object;
pub(crate) mod outcome;
pub(crate) mod returned;
pub(crate) mod stream;
