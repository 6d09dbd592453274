//! Runs `src/targets/directory.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::directory::run(bytes));
