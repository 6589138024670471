//! Documentation of an RPC API, made from its traits.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain"))]

mod api;
pub mod compare;
pub mod description;
pub mod guard;
pub mod html;
pub mod json;

pub use api::Api;
pub use description::{Description, DescriptionError};
