//! End-to-end tests: real traits, real sockets, real time only where it is paused.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]
#![allow(clippy::cast_possible_truncation, reason = "tests choose their numbers")]

mod attacks;
mod attacks_layouts;
mod batch;
mod busy_poll;
mod calls;
mod changes;
mod closing;
mod connector;
mod costs;
mod costs_attacks;
mod described;
mod endings;
mod error_texts;
mod generated;
mod handles;
mod identity;
mod limits;
mod listener;
mod local;
mod logs;
mod long_values;
mod map;
mod misread;
mod misuse;
mod network;
mod objects;
mod objects_attacks;
mod pipelining;
mod rederived;
mod repeat_attacks;
mod resume;
mod resume_attacks;
mod schemes;
mod services;
mod simulation;
mod sockets;
mod streams;
mod streams_attacks;
mod support;
mod tidy;
mod turns;
mod versions;
