//! See `rpc_core::fuzzing::session`. Run with `cargo +nightly fuzz run session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_core::fuzzing::session(bytes));
