//! A small chat: its API, a server that keeps it in memory, a client, a face in the terminal, and a measurement on a slow link.
//!
//! In a project of its own, each of the first three would be a crate; the API would depend on `rpc-core` alone.

pub mod api;
pub mod client;
pub mod demonstration;
pub mod server;
pub mod terminal;

#[cfg(test)]
mod tests;
