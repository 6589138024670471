//! What the example programs share: a small chat, and a slow link to run it on.

pub mod chat;
pub mod link;
