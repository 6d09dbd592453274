//! Evidence: one file that proves, to somebody who has the trust file and nothing else, what happened to one message.
//!
//! Owns the file ([`Evidence`]: its bounds and its one order), what makes it hold ([`verify`]) and what it then says ([`Proved`]).
//! Never reads a disk, a network or a clock, and never takes the hub's word for what a signature can show: what rests on that
//! word alone, its times and that a deadline was missed, is named so. Nothing is shown of a file before all of it holds. Touches
//! no disk, so a crash leaves nothing behind.
//!
//! Format and rules: `docs/evidence.md`. Sources: RFC 6962, C2SP `tlog-checkpoint` and `tlog-cosignature`, DSSE 1.0.0.

mod about;
mod basis;
mod directory;
mod error;
pub mod export;
mod file;
mod logged;
mod proved;
mod verify;

#[cfg(test)]
mod tests;

pub use error::EvidenceError;
pub use file::{EVIDENCE_BYTES_MAX, Entry, Evidence, Note};
pub use proved::{
    Erased, Logged, Message, Missed, NotBefore, Officer, Orderer, Proved, Published, Recipient, Statement,
    Witnessed,
};
pub use verify::{make, verify};
