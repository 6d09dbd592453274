//! What the machine gives: disk, time of day, randomness, sockets, tasks; handed in, so that a simulation can give its own.
//!
//! Owns the traits, the real ones and memory ones, which pass the same contract suites.
//! Never knows what is stored, timed or run. At a crash: each trait says what of it is still there.

pub mod clock;
pub mod disk;
pub mod network;
pub mod random;
pub mod tasks;
