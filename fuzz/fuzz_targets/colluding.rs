//! Runs `src/targets/colluding.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::colluding::run(bytes));
