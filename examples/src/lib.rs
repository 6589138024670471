//! What the example programs share: a small chat and a slow link to run it on, and an upload.

pub mod chat;
pub mod link;
pub mod upload;
