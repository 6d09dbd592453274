//! Exports of small exchanges, and what is tried on them.

mod counted;
mod forged;
mod history;
mod random;
