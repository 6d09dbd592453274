//! What a file says once all of it holds: plain data, in the order in which it happened.
//!
//! Owns its shape. Never has what was not verified; what rests on the hub's word alone says so.

use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapMsgType, CapStatus, FileRef, MessageClass, MessageId, Priority};
use crate::model::id::{DirectoryVersion, Index, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::receipt::{Action, Stage};
use crate::proof::{Cosigned, TreeHead, UnixSeconds};

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The founding that all follows from, as the trust file names it.
    pub founding: [u8; 32],
    /// The journal's checkpoint under which all of it is.
    pub journal: Logged,
    /// Entries of the directory that are in the file.
    pub directory_version: DirectoryVersion,
    /// How many of them stand before the last of what is told: by these it was judged whose key counts.
    pub directory_needed: DirectoryVersion,
    /// The directory's checkpoint; `None`: there is none, so nobody bears witness that nothing was left out of the directory.
    pub directory: Option<Logged>,
    /// Who published what.
    pub published: Published,
    /// What offices stated about it, in the journal's order, repetitions too.
    pub statements: Vec<Statement>,
    /// What the hub says that offices missed, in the journal's order.
    pub missed: Vec<Missed>,
    /// Why its payload is no longer kept, in the journal's order.
    pub erased: Vec<Erased>,
}

/// A log's checkpoint and who bears witness to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Size and root.
    pub tree: TreeHead,
    /// When the hub signed it, by its own clock; `None`: it says no time.
    pub signed_at: Option<UnixSeconds>,
    /// Who cosigned it.
    pub witnessed: Witnessed,
}

/// Who cosigned a checkpoint, by the directory as it stood under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Offices and outside bodies, each once, in order of their times.
    pub by: Vec<Cosigned>,
    /// How many the directory asks for.
    pub needed: usize,
    /// Institutions that must be among them and are not.
    pub missing: Vec<Box<str>>,
    /// When enough had cosigned, by their own clocks; `None`: there are not enough.
    pub reached_at: Option<UnixSeconds>,
}

/// A message as its sender signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place in the journal.
    pub index: Index,
    /// When the hub recorded it.
    pub recorded: UnixMicros,
    /// The desk that signed it.
    pub sender: Desk,
    /// The sending office's institution.
    pub institution: Name,
    /// What it says of itself.
    pub message: Message,
    /// Whom it was for, by name.
    pub recipients: Vec<Recipient>,
    /// The newest of the other offices' keys that it names: it was not sealed before that key was made.
    pub not_before: Option<NotBefore>,
}

/// What the envelope of a message says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// SHA-256 of the envelope.
    pub envelope_digest: [u8; 32],
    /// SHA-256 of the sealed payload.
    pub payload_digest: [u8; 32],
    /// Bytes of the sealed payload.
    pub payload_bytes: u64,
    /// The files that belong to it, sealed.
    pub files: Vec<FileRef>,
    /// What kind of thing it is.
    pub class: MessageClass,
    /// Its stream.
    pub stream: Name,
    /// How soon it must be seen.
    pub priority: Priority,
    /// Whether it is real.
    pub status: CapStatus,
    /// What it does to earlier ones.
    pub msg_type: CapMsgType,
    /// When it was written, by the sender's clock.
    pub sent: UnixMicros,
    /// By when it asks to be received, read and acted on.
    pub deadlines: Deadlines,
}

/// An office that a message was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The office.
    pub office: Name,
    /// Its institution.
    pub institution: Name,
}

/// A key that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotBefore {
    /// The office whose key it is.
    pub office: Name,
    /// When the key came into the directory, by the clock of who wrote that entry.
    pub made: UnixMicros,
    /// When the hub recorded that entry.
    pub recorded: UnixMicros,
}

/// What an office stated, and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its place in the journal.
    pub index: Index,
    /// When the hub recorded it.
    pub recorded: UnixMicros,
    /// The desk that signed it.
    pub desk: Desk,
    /// The stage.
    pub stage: Stage,
    /// When it happened, by the office's clock.
    pub at: UnixMicros,
    /// What was done, with `acted`.
    pub action: Option<Action>,
    /// Why it could not be read, with `unreadable`.
    pub reason: String,
    /// Whether it was signed by the key for which somebody must be there.
    pub attended: bool,
    /// Who stated it; `None`: the file does not show it, or a machine did.
    pub officer: Option<Officer>,
}

/// The officer who stated something, by a note that the receipt names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Officer {
    /// The name, as the office knows it.
    pub name: String,
    /// The id of the key that signed the note: SHA-256. The desk vouches for it.
    pub key: [u8; 32],
    /// What was said.
    pub text: String,
}

/// A deadline that the hub says an office missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The place of the entry that says so.
    pub index: Index,
    /// When the hub recorded that.
    pub recorded: UnixMicros,
    /// The office.
    pub office: Name,
    /// When it fell due, by the hub's time.
    pub due: UnixMicros,
    /// The stage; `None`: an answer that an obligation asks for.
    pub stage: Option<Stage>,
    /// The obligation.
    pub obligation: Option<Name>,
}

/// Why a payload is no longer kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The place of the entry.
    pub index: Index,
    /// When the hub recorded it.
    pub recorded: UnixMicros,
    /// Who ordered it, and signed that; `None`: by the hub's word it was kept as long as policy asks.
    pub ordered: Option<Orderer>,
}

/// Who ordered an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orderer {
    /// A desk as in its certificate, or `registrar <name>`.
    pub by: String,
    /// When, by their clock.
    pub at: UnixMicros,
    /// Why.
    pub reason: String,
}

impl Proved {
    /// Says whether enough witnesses bear witness to the journal, and that nothing was left out of the directory by which all of
    /// it was judged.
    pub fn is_witnessed(&self) -> bool {
        self.journal.witnessed.reached_at.is_some() && self.directory_witnessed() >= self.directory_needed
    }

    /// Says by when all of it was in the journal, by the witnesses' clocks; `None` while they are not enough.
    pub fn not_after(&self) -> Option<UnixSeconds> {
        self.journal.witnessed.reached_at
    }

    /// How many entries of the directory a quorum of witnesses bears witness to, from the founding on.
    pub fn directory_witnessed(&self) -> DirectoryVersion {
        super::basis::witnessed(self.directory.as_ref())
    }

    /// What one office stated, the first of each stage.
    pub fn first_of<'a>(&'a self, office: &'a Name) -> impl Iterator<Item = &'a Statement> {
        let firsts = self.statements.iter().enumerate().filter(|(place, it)| {
            let same = |other: &Statement| other.desk.office == it.desk.office && other.stage == it.stage;
            !self.statements[..*place].iter().any(same)
        });
        firsts.map(|(_, it)| it).filter(move |it| it.desk.office == *office)
    }
}
