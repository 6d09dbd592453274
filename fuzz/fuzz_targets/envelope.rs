//! Runs `src/targets/envelope.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::envelope::run(bytes));
