//! Documentation of an RPC API, made from its traits.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain"))]

pub mod description;
pub mod html;
pub mod json;

pub use description::{Description, DescriptionError};
