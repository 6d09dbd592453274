//! Runs `src/targets/answers.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::answers::run(bytes));
