//! Runs `src/targets/entry.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::entry::run(bytes));
