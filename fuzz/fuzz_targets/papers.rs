//! Runs `src/targets/papers.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::papers::run(bytes));
