//! Runs `src/targets/cap.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::cap::run(bytes));
