//! Generates documentation of an RPC API from its traits, and checks which callers a change breaks.
//!
//! [`Api`] makes a [`Description`] from client types. A description is plain data in a versioned format. All outputs are made from
//! it:
//!
//! | output | item |
//! |---|---|
//! | all files at once, into a folder | [`outputs`] |
//! | web pages with search, without a server or a network | [`html`] |
//! | Markdown for a code host | [`markdown`] |
//! | OpenRPC and AsyncAPI documents | [`openrpc`], [`asyncapi`] |
//! | TypeScript declarations | [`typescript`] |
//! | `llms.txt` and `SKILL.md` | [`agents`] |
//! | changes since the version that is checked in, and the callers they break | [`assert_unchanged!`], [`compare`] |
//!
//! ```no_run
//! use rpc_docs::{Api, html::Theme, outputs};
//!
//! /// Says hello.
//! #[rpc_core::rpc]
//! trait Greeter {
//!     /// A greeting for somebody.
//!     async fn greet(&self, name: String) -> String;
//! }
//!
//! # fn main() -> Result<(), rpc_docs::WriteError> {
//! let api = Api::new("Greetings", "1.0.0").service::<GreeterClient>();
//! outputs(&api.describe(), &Theme::default()).write_to("target/docs")
//! # }
//! ```
//!
//! The crate needs no async runtime. A crate that declares an API does not depend on it; a binary, a build step or a test does.
//! Doc comments of types and fields are known if the type is under [`rpc_core::data`]; the fields and variants of all other types
//! are found by tracing their `Deserialize`.
//!
//! Feature `schemars`: types may have a JSON schema of their own.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain"))]

pub mod agents;
mod api;
pub mod asyncapi;
pub mod compare;
pub mod description;
pub mod examples;
mod files;
mod flows;
pub mod guard;
pub mod html;
pub mod json;
mod json_schema;
mod links;
pub mod markdown;
mod names;
pub mod openrpc;
mod outputs;
mod prose;
mod samples;
pub mod typescript;

#[cfg(test)]
mod fixtures;

pub use api::Api;
pub use description::{Description, DescriptionError};
pub use files::{Files, WriteError};
pub use outputs::outputs;
