//! What a session does, by messages and virtual time alone.

mod calls;
mod cost_attacks;
mod model;
mod object_attacks;
mod object_model;
pub(crate) mod pair;
mod stream_attacks;
mod stream_model;
mod streams;
pub(crate) mod things;
