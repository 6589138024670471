//! Modules shared by the example programs: a small chat, a slow link to run it on, and an upload.

pub mod chat;
pub mod link;
pub mod upload;

#[cfg(test)]
mod recipes;
