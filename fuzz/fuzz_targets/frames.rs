//! See `rpc_core::fuzzing::frames`. Run with `cargo +nightly fuzz run frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_core::fuzzing::frames(bytes));
