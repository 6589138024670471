//! The error type of methods that cannot fail.

use serde::{Deserialize, Serialize};

/// The error of a method that does not return a `Result`: it has no value, so such a method never fails by itself.
///
/// A call of such a method can still fail, with every other variant of [`CallError`](crate::CallError). The standard
/// library's `Infallible` cannot be used, because serde cannot read it, and an error type must be readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[error("this error has no value")]
pub enum Never {}
