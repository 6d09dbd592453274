//! Why a file proves nothing: what is wrong, in which entry, and what was expected.

use crate::model::refusal::Refusal;
use crate::proof::{CheckpointError, LineError, NoteError, PathError, TreeHash};
use crate::seal::OpenError;
use crate::wire::note::NoteError as OfficerNoteError;

/// Why a file proves nothing. An entry is named by its index in the journal.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It is too long.
    #[error("a file of {found} bytes, at most {} expected", super::EVIDENCE_BYTES_MAX)]
    Bytes {
        /// How long.
        found: usize,
    },
    /// It is no such file.
    #[error("not a file of evidence, or a damaged one: {0}")]
    Form(String),
    /// It is of a version that is not known here.
    #[error("a file of evidence of version {found}, 1 expected: take a newer program")]
    Version {
        /// Which.
        found: u32,
    },
    /// An entry is where none may be, or there twice.
    #[error("entry {index} is out of order: ascending indexes expected, each once")]
    Order {
        /// Which.
        index: u64,
    },
    /// An entry records something else than what stands in its place.
    #[error("entry {index} is of kind {found}, {expected} expected")]
    Kind {
        /// Which.
        index: u64,
        /// The number of its kind.
        found: i32,
        /// What was expected.
        expected: &'static str,
    },
    /// Times go backwards.
    #[error(
        "entry {index} was recorded {found} µs after 1970, before entry {before}: the hub's time only grows"
    )]
    Time {
        /// Which.
        index: u64,
        /// Its time.
        found: u64,
        /// The entry before it.
        before: u64,
    },
    /// The directory is another exchange's than the one that is trusted.
    #[error("{0}")]
    Founding(Refusal),
    /// An entry of the directory does not follow from those before it, or is not signed as it must be.
    #[error("the directory's entry {index} does not count: {refusal}")]
    Directory {
        /// Which.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// A checkpoint does not count.
    #[error("the checkpoint of the {log} does not count: {error}")]
    Checkpoint {
        /// Of which log.
        log: &'static str,
        /// Why.
        error: CheckpointError,
    },
    /// A checkpoint is no signed note.
    #[error("the checkpoint of the {log}: {error}")]
    Note {
        /// Of which log.
        log: &'static str,
        /// Why.
        error: NoteError,
    },
    /// A checkpoint has a line of somebody who bears no witness.
    #[error(
        "the checkpoint of the {log} has a line of {name} with key {id}, whom the directory does not name as a witness"
    )]
    Stranger {
        /// Of which log.
        log: &'static str,
        /// Whose.
        name: String,
        /// With which key.
        id: String,
    },
    /// A witness's cosignature does not hold.
    #[error("a cosignature of the {log}'s checkpoint: {error}")]
    Cosignature {
        /// Of which log.
        log: &'static str,
        /// Why.
        error: LineError,
    },
    /// Not both of a witness's two lines are there, at one time.
    #[error(
        "the cosignature of {name} over the {log}'s checkpoint: one line by each algorithm at one time expected, and no other"
    )]
    Half {
        /// Of which log.
        log: &'static str,
        /// Whose.
        name: String,
    },
    /// The directory that is here is not the one that its log's checkpoint is over.
    #[error(
        "the directory's first {size} entries come to {found}, {expected} expected by its checkpoint: one was exchanged or left out"
    )]
    DirectoryRoot {
        /// How many.
        size: u64,
        /// What they come to.
        found: TreeHash,
        /// The checkpoint's root.
        expected: TreeHash,
    },
    /// The directory's checkpoint is over more entries than are here.
    #[error("the directory's checkpoint is over {size} entries, and {found} are here: some were left out")]
    DirectoryShort {
        /// How many it is over.
        size: u64,
        /// How many are here.
        found: usize,
    },
    /// An entry is not in the journal's tree.
    #[error("entry {index} is not in the journal where the file says: {error}")]
    Path {
        /// Which.
        index: u64,
        /// Why.
        error: PathError,
    },
    /// There is no entry of the message itself.
    #[error("the file has no entry of the message itself")]
    NoMessage,
    /// A statement cannot be read, or is not signed as it must be.
    #[error("entry {index} does not count: {refusal}")]
    Statement {
        /// Which.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Somebody else answers for an entry than states what it records.
    #[error("entry {index} is answered for by {found}, {expected} expected")]
    Identity {
        /// Which.
        index: u64,
        /// Who answers for it.
        found: String,
        /// Who states it.
        expected: String,
    },
    /// The envelope names a version of the directory that has more entries than stand before it here.
    #[error(
        "the message was written by version {found} of the directory, and {here} of its entries stand before it here: some were left out"
    )]
    DirectoryBehind {
        /// The version that it names.
        found: u64,
        /// Entries before it.
        here: usize,
    },
    /// An entry is about another message.
    #[error("entry {index} is about another message")]
    OtherMessage {
        /// Which.
        index: u64,
    },
    /// An office states something about a message that was not for it.
    #[error("entry {index} is of {office}, which the message was not for")]
    NotRecipient {
        /// Which.
        index: u64,
        /// The office.
        office: String,
    },
    /// A cover is opened where there is none, or not where there is one.
    #[error("entry {index}: a receipt has the opening of one cover, and nothing else has")]
    Opening {
        /// Which.
        index: u64,
    },
    /// A note goes with no receipt of the file.
    #[error("a note goes with entry {index}, which is no receipt here that names one")]
    NoteAlone {
        /// Which.
        index: u64,
    },
    /// A receipt names another note.
    #[error("the note of entry {index} is not the one that the receipt names")]
    NoteDigest {
        /// Which.
        index: u64,
    },
    /// A note is not opened by the key beside it.
    #[error("the note of entry {index} is not opened by the key beside it: {error}")]
    NoteSealed {
        /// Which.
        index: u64,
        /// Why.
        error: OpenError,
    },
    /// What stands in a note does not count.
    #[error("the note of entry {index} does not count: {error}")]
    NoteInside {
        /// Which.
        index: u64,
        /// Why.
        error: OfficerNoteError,
    },
}
