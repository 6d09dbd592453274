//! Runs `src/targets/content.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::content::run(bytes));
