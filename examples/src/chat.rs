//! A small chat: API, server, client, a conversation in a terminal, and a measurement on a slow link.
//!
//! In a real project, API, server and client would be a crate each. The API's crate would depend on `rpc-core` without its default
//! features, and on `thiserror` for the messages of its errors.

pub mod api;
pub mod client;
pub mod demonstration;
pub mod docs;
pub mod server;
pub mod terminal;

#[cfg(test)]
mod tests;
