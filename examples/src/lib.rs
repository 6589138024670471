//! Modules shared by the example programs: a small chat, a slow link to run it on, and an upload; and the code that the
//! documents quote.

pub mod chat;
pub mod link;
// In the shape in which it is quoted.
#[rustfmt::skip]
pub mod readme;
pub mod upload;

#[cfg(test)]
mod recipes;
