//! Runs `src/targets/exported.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::exported::run(bytes));
