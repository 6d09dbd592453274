//! Runs `src/targets/stanza.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resguardo_fuzz::targets::stanza::run(bytes));
