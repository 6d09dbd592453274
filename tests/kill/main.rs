//! Kills.
#[path = "../stage/mod.rs"]
mod stage;
