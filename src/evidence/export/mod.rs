//! An export: one file of all entries of the journal from one to another, as far as who asked for it may see them.
//!
//! Owns the file ([`Frame`]: its frames and their bounds), what makes it hold ([`verify`]) and what it then says ([`Exported`],
//! with its [`Statistics`]). Between the first entry and the last none can be missing, moved or changed: an entry that is not shown is
//! there by its record, which tells nothing of it, and how many are not shown is told. Never holds the file in memory: it is read a frame
//! at a time, and what is kept of it grows with the directory and by some 200 bytes for each message. Touches no disk, so a crash
//! leaves nothing behind.
//!
//! Format and rules: `docs/evidence.md`, "An export".

mod error;
mod file;
mod judge;
mod spread;
mod statistics;
mod tally;
mod verify;
mod walk;

#[cfg(test)]
mod tests;

pub use error::ExportError;
pub use file::{EXPORT_FRAME_BYTES_MAX, EXPORT_MAGIC, Frame, Frames, Head, Opened, Shown};
pub use spread::Spread;
pub use statistics::{Counts, OfOffice, STAGES, Statistics, Uncounted};
pub use verify::{Exported, tidied, verify};
