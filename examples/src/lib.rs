//! Modules shared by the example programs: a small chat, a slow link to run it on, an upload, and a ride in
//! an elevator.

pub mod chat;
pub mod elevator;
pub mod link;
pub mod upload;

#[cfg(test)]
mod recipes;
