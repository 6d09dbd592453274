//! Evidence of a small exchange, and what is tried on it.

mod colluding;
mod forged;
mod holds;
mod random;
pub(in crate::evidence) mod sample;
