//! Holding a file to what is trusted, from the founding to the last receipt.
//!
//! Owns the order: directory, checkpoints, places in the tree, then what stands there. Never gives a part of what a file says.

use bytes::Bytes;

use super::EvidenceError;
use super::about::{About, Said};
use super::directory::Directory;
use super::file::{Entry, Evidence};
use super::logged::Noted;
use super::proved::Proved;
use crate::model::id::DirectoryVersion;
use crate::proof::TreeHead;
use crate::wire::log::Log;
use crate::wire::trust::Trust;

/// Holds a file's exact bytes to a trust file. What it gives holds, whoever wrote the file; whether enough witnesses bear witness
/// to it, [`Proved::is_witnessed`] says.
///
/// # Errors
/// [`EvidenceError`]: the first thing that does not hold.
pub fn verify(bytes: &Bytes, trust: Trust) -> Result<Proved, EvidenceError> {
    held(&Evidence::parse(bytes)?, trust)
}

/// Makes a file's exact bytes of what a hub gave: lines of others than the hub and its witnesses are left out of the checkpoints.
/// What it makes holds; what it says is given with it.
///
/// # Errors
/// As [`verify`]: of what does not hold, no file is made.
pub fn make(mut given: Evidence, trust: Trust) -> Result<(Bytes, Proved), EvidenceError> {
    let noted = Both::read(&given, &trust)?;
    let directory = Directory::follow(&given, trust, noted.directory.as_ref().map(|it| it.head().size))?;
    let journal = noted.journal.tidied(directory.whole()?)?;
    let logged = noted.directory.as_ref().map(|it| {
        let policy = directory.version(usize::try_from(it.head().size).unwrap_or(usize::MAX));
        it.tidied(policy?)
    });
    let logged = logged.transpose()?;
    (given.journal_checkpoint, given.directory_checkpoint) = (journal, logged);
    let bytes = given.to_bytes();
    let proved = verify(&bytes, trust)?;
    Ok((bytes, proved))
}

/// Both checkpoints of a file.
struct Both<'a> {
    journal: Noted<'a>,
    directory: Option<Noted<'a>>,
}

impl<'a> Both<'a> {
    fn read(evidence: &Evidence, trust: &'a Trust) -> Result<Self, EvidenceError> {
        let founding = &trust.founding;
        let noted = evidence.directory_checkpoint.as_ref();
        Ok(Self {
            journal: Noted::read(Log::Journal, founding, &evidence.journal_checkpoint)?,
            directory: noted.map(|note| Noted::read(Log::Directory, founding, note)).transpose()?,
        })
    }
}

fn held(evidence: &Evidence, trust: Trust) -> Result<Proved, EvidenceError> {
    let noted = Both::read(evidence, &trust)?;
    let logged = noted.directory.as_ref().map(Noted::head);
    let directory = Directory::follow(evidence, trust, logged.map(|head| head.size))?;
    let journal = noted.journal.verify(directory.whole()?)?;
    if let Some(TreeHead { size, root }) = logged {
        let short = || EvidenceError::DirectoryShort { size: *size, found: evidence.directory.len() };
        let found = directory.root().ok_or_else(short)?;
        if found != *root {
            return Err(EvidenceError::DirectoryRoot { size: *size, found, expected: *root });
        }
    }
    let logged = noted
        .directory
        .as_ref()
        .map(|it| it.verify(directory.version(usize::try_from(it.head().size).unwrap_or(usize::MAX))?));
    let logged = logged.transpose()?;
    in_tree(evidence, &journal.tree)?;
    let (about, published) = About::of(evidence, &directory)?;
    let needed = evidence.entries.last().map_or(0, |it| directory.version_at(it));
    let Said { statements, missed, erased } = about.said(evidence)?;
    Ok(Proved {
        founding: trust.founding,
        journal,
        directory_version: DirectoryVersion(evidence.directory.len() as u64),
        directory_needed: DirectoryVersion(needed as u64),
        directory: logged,
        published,
        statements,
        missed,
        erased,
    })
}

/// Each entry is where it says, and none was recorded before the one before it.
fn in_tree(evidence: &Evidence, tree: &TreeHead) -> Result<(), EvidenceError> {
    let mut all: Vec<&Entry> = evidence.directory.iter().chain(&evidence.entries).collect();
    all.sort_unstable_by_key(|it| it.index);
    for entry in &all {
        let index = entry.index.0;
        let placed = entry.path.verify(&entry.record().leaf(), index, tree);
        placed.map_err(|error| EvidenceError::Path { index, error })?;
    }
    for pair in all.windows(2) {
        let (before, index, found) = (pair[0].index.0, pair[1].index.0, pair[1].time.0);
        if found < pair[0].time.0 {
            return Err(EvidenceError::Time { index, found, before });
        }
    }
    Ok(())
}
