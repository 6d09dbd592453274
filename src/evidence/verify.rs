//! Holding a file to what is trusted, from the founding to the last receipt.
//!
//! Owns the order: directory, checkpoints, places in the tree, then what stands there. Never gives a part of what a file says.

use bytes::Bytes;

use super::EvidenceError;
use super::about::{About, Said};
use super::basis::{Basis, Held, in_tree};
use super::file::{Entry, Evidence};
use super::proved::Proved;
use crate::model::id::DirectoryVersion;
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
    let (journal, logged) = basis(&given).tidied(&trust)?;
    (given.journal_checkpoint, given.directory_checkpoint) = (journal, logged);
    let bytes = given.to_bytes();
    let proved = verify(&bytes, trust)?;
    Ok((bytes, proved))
}

fn basis(evidence: &Evidence) -> Basis<'_> {
    Basis {
        journal: &evidence.journal_checkpoint,
        logged: evidence.directory_checkpoint.as_ref(),
        directory: &evidence.directory,
        entries: &evidence.entries,
    }
}

fn held(evidence: &Evidence, trust: Trust) -> Result<Proved, EvidenceError> {
    let Held { directory, journal, logged } = basis(evidence).hold(&trust)?;
    let mut all: Vec<&Entry> = evidence.directory.iter().chain(&evidence.entries).collect();
    all.sort_unstable_by_key(|it| it.index);
    in_tree(&all, &journal.tree)?;
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
