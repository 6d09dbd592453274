//! What a fuzzer does to any bytes ([`targets`]), and what seeds and targets share: a small exchange with all its keys, the hub of it,
//! which may be anybody's, and segments of a journal. `tests/mutated` runs the same in the gate.

pub mod exchange;
pub mod hub;
pub mod segment;
pub mod targets;
