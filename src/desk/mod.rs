//! The office side: what a desk keeps, hands in, receives and acknowledges.
//!
//! Owns a desk's home: its settings, its outbox, its inbox, and the session with the hub.
//! Never acknowledges before its own disk has it; never states `read` or any other person's stage by itself.
//! At a crash: what was acknowledged is in the inbox, what was handed in is in the outbox; the rest comes again.

mod clocks;
pub mod compose;
pub mod confirmed;
pub mod content;
pub mod dial;
pub mod enrol;
pub mod epochs;
pub mod erasure;
pub mod exec;
pub mod find;
pub mod hand_in;
pub mod heard;
pub mod home;
pub mod inbox;
pub mod included;
pub mod keys;
mod live;
pub mod members;
pub mod notes;
mod numbers;
pub mod officers;
pub mod opener;
pub mod outbox;
pub mod packet;
pub mod persons;
pub mod record;
pub mod release;
pub mod renew;
pub mod reseal;
#[cfg(test)]
mod sample;
pub mod sealer;
pub mod session;
pub mod signer;
pub mod stated;
pub mod store;
pub mod unseal;
pub mod witness;
