//! Checkpoints of a file: whose they are, and who bears witness to them.
//!
//! Owns that a note has lines of the hub and of witnesses that the directory names, and no other: so a file cannot be altered into
//! one with fewer witnesses but by taking out whole cosignatures.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::EvidenceError;
use super::proved::{Logged, Witnessed};
use crate::model::policy::Policy;
use crate::proof::{
    Checkpoint, CheckpointError, LogVerifier, Note, NoteKey, Quorum, SignatureLine, SignedCheckpoint,
    TreeHead,
};
use crate::wire::log::{Log, quorum};

/// A log's checkpoint, as a file has it.
pub(super) struct Noted<'a> {
    log: Log,
    founding: &'a [u8; 32],
    note: Note,
    head: TreeHead,
}

impl<'a> Noted<'a> {
    /// Reads one, without looking at a signature.
    ///
    /// # Errors
    /// [`EvidenceError::Note`], [`EvidenceError::Checkpoint`].
    pub(super) fn read(log: Log, founding: &'a [u8; 32], bytes: &Bytes) -> Result<Self, EvidenceError> {
        let note = Note::parse(bytes).map_err(|error| EvidenceError::Note { log: log.name(), error })?;
        let head = Checkpoint::parse(note.text()).map(|it| *it.tree());
        let head = head.map_err(|error| EvidenceError::Checkpoint { log: log.name(), error })?;
        Ok(Self { log, founding, note, head })
    }

    /// What it says of the tree; it counts once [`Self::verify`] has returned.
    pub(super) fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Holds it to the hub's keys, and its other lines to the witnesses, by the directory as it stood under it.
    ///
    /// # Errors
    /// [`EvidenceError::Checkpoint`], [`EvidenceError::Stranger`], [`EvidenceError::Cosignature`], [`EvidenceError::Half`].
    pub(super) fn verify(&self, policy: &Policy) -> Result<Logged, EvidenceError> {
        let log = self.log.name();
        let (signed, by_log) = self.signed(policy)?;
        // A rule that cannot be kept yet is kept by nobody.
        let quorum = quorum(policy).ok();
        let members = quorum.as_ref().map_or(&[][..], Quorum::members);
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_log = 0;
        for line in self.note.lines() {
            if is_by(&by_log.keys(), line) {
                of_log += 1;
            } else if members.iter().any(|it| is_by(&it.witness.keys(), line)) {
                *lines.entry(line.name()).or_default() += 1;
            } else {
                let (name, id) = (line.name().to_owned(), line.id().to_string());
                return Err(EvidenceError::Stranger { log, name, id });
            }
        }
        let cosignature = |error| EvidenceError::Cosignature { log, error };
        let half = |name: &str| EvidenceError::Half { log, name: name.to_owned() };
        if of_log != 2 {
            return Err(half(self.log.origin(self.founding).as_str()));
        }
        for member in members {
            let at = member.witness.cosigned(signed.checkpoint(), signed.note()).map_err(cosignature)?;
            let name = member.witness.name().as_str();
            if lines.get(name).copied().unwrap_or(0) != if at.is_some() { 2 } else { 0 } {
                return Err(half(name));
            }
        }
        let tally = quorum.map(|quorum| quorum.tally(&signed)).transpose().map_err(cosignature)?;
        let none = Witnessed {
            by: Vec::new(),
            needed: policy.quorum() as usize,
            missing: Vec::new(),
            reached_at: None,
        };
        let witnessed = tally.map_or(none, |tally| Witnessed {
            by: tally.cosigned,
            needed: tally.offices_needed,
            missing: tally.institutions_missing.into_iter().collect(),
            reached_at: tally.reached_at,
        });
        Ok(Logged { tree: self.head, signed_at: signed.signed_at(), witnessed })
    }

    /// Gives the note with the lines of the hub and of the witnesses that the directory names, for a file.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(super) fn tidied(&self, policy: &Policy) -> Result<Bytes, EvidenceError> {
        let (signed, by_log) = self.signed(policy)?;
        let mut lines = Vec::new();
        for key in by_log.keys() {
            lines.extend(key.lines_in(&self.note).next().cloned());
        }
        let quorum = quorum(policy).ok();
        for member in quorum.iter().flat_map(Quorum::members) {
            // What does not count beside what does is no reason to write no file.
            if matches!(member.witness.cosigned(signed.checkpoint(), signed.note()), Ok(Some(_))) {
                let keys = member.witness.keys();
                lines.extend(keys.into_iter().filter_map(|key| key.lines_in(&self.note).next().cloned()));
            }
        }
        let log = self.log.name();
        let note = Note::new(self.note.text().to_owned(), lines);
        let note = note.map_err(|error| EvidenceError::Note { log, error })?;
        Ok(note.to_string().into_bytes().into())
    }

    /// Holds both of the log's signatures to the note, by the key that the hub has or one that it had.
    fn signed(&self, policy: &Policy) -> Result<(SignedCheckpoint, LogVerifier), EvidenceError> {
        let origin = self.log.origin(self.founding);
        let mut wrong = None;
        for key in policy.hub_keys().iter().rev() {
            let verifier = LogVerifier::new(origin.clone(), key);
            match verifier.verify(self.note.clone()) {
                Ok(signed) => return Ok((signed, verifier)),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        let error = wrong.unwrap_or(CheckpointError::NoKey);
        Err(EvidenceError::Checkpoint { log: self.log.name(), error })
    }
}

fn is_by(keys: &[&NoteKey; 2], line: &SignatureLine) -> bool {
    keys.iter().any(|key| key.name().as_str() == line.name() && key.id() == line.id())
}
