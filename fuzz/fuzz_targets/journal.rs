//! Runs `src/targets/journal.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::journal::run(bytes));
