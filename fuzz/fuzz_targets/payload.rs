//! See `rpc_core::fuzzing::payload`. Run with `cargo +nightly fuzz run payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_core::fuzzing::payload(bytes));
