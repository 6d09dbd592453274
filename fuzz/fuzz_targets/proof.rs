//! Runs `src/targets/proof.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::proof::run(bytes));
