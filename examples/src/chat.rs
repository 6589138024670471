//! A small chat: API, server, client, a conversation in a terminal, and a measurement on a slow link.
//!
//! In a project of its own each of the first three would be a crate. The API's would depend on `rpc-core` alone, without
//! its default features, beside `thiserror` for the texts of its errors.

pub mod api;
pub mod client;
pub mod demonstration;
pub mod docs;
pub mod server;
pub mod terminal;

#[cfg(test)]
mod tests;
