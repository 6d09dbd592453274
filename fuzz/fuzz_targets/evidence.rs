//! Runs `src/targets/evidence.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::evidence::run(bytes));
