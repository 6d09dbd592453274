//! The office side: what a desk keeps, hands in, receives and acknowledges.
//!
//! Owns a desk's home: its settings, its outbox, its inbox, and the session with the hub.
//! Never acknowledges before its own disk has it; never states `read` or any other person's stage by itself.
//! At a crash: what was acknowledged is in the inbox, what was handed in is in the outbox; the rest comes again.

#[cfg(test)]
mod crash;
pub mod find;
pub mod home;
pub mod inbox;
pub mod outbox;
pub mod record;
pub mod store;
