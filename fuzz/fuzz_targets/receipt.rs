//! Runs `src/targets/receipt.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::receipt::run(bytes));
