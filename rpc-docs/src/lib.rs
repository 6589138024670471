//! Documentation of an RPC API, made from its traits.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain"))]

pub mod agents;
mod api;
pub mod asyncapi;
pub mod compare;
pub mod description;
pub mod examples;
mod files;
pub mod flows;
pub mod guard;
pub mod html;
pub mod json;
pub mod json_schema;
pub mod links;
pub mod markdown;
pub mod names;
pub mod openrpc;
mod outputs;
pub mod prose;
pub mod samples;
pub mod typescript;

#[cfg(test)]
mod fixtures;

pub use api::Api;
pub use description::{Description, DescriptionError};
pub use files::{Files, WriteError};
pub use outputs::outputs;
