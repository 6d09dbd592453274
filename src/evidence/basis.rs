//! What all of a file is held to: the directory from the founding on, both checkpoints, and who bears witness to them.
//!
//! Owns the order in which these are checked, for evidence and for an export alike. Never looks at what happened.

use bytes::Bytes;

use super::EvidenceError;
use super::directory::Directory;
use super::file::Entry;
use super::logged::Noted;
use super::proved::Logged;
use crate::model::id::DirectoryVersion;
use crate::proof::TreeHead;
use crate::wire::log::Log;
use crate::wire::trust::Trust;

/// The parts of a file by which the rest is judged.
#[derive(Clone, Copy)]
pub(super) struct Basis<'a> {
    /// The journal's checkpoint.
    pub(super) journal: &'a Bytes,
    /// The directory's.
    pub(super) logged: Option<&'a Bytes>,
    /// The directory's entries.
    pub(super) directory: &'a [Entry],
    /// The entries for which the directory is kept as it stood.
    pub(super) entries: &'a [Entry],
}

/// The same, where it holds.
pub(super) struct Held<'a> {
    /// The directory, at each version that was asked for, and whole.
    pub(super) directory: Directory<'a>,
    /// The journal's checkpoint.
    pub(super) journal: Logged,
    /// The directory's.
    pub(super) logged: Option<Logged>,
}

impl<'a> Basis<'a> {
    /// Holds all of it to what is trusted.
    ///
    /// # Errors
    /// [`EvidenceError`]: the first thing that does not hold.
    pub(super) fn hold(self, trust: &Trust) -> Result<Held<'a>, EvidenceError> {
        let (noted, noted_directory) = self.notes(trust)?;
        let head = noted_directory.as_ref().map(Noted::head);
        let size = head.map(|head| head.size);
        let directory = Directory::follow(self.directory, self.entries, *trust, size)?;
        let journal = noted.verify(directory.whole()?)?;
        if let Some(TreeHead { size, root }) = head {
            let short = || EvidenceError::DirectoryShort { size: *size, found: self.directory.len() };
            let found = directory.root().ok_or_else(short)?;
            if found != *root {
                return Err(EvidenceError::DirectoryRoot { size: *size, found, expected: *root });
            }
        }
        let logged = noted_directory.as_ref().map(|it| it.verify(directory.version(version(it))?));
        let logged = logged.transpose()?;
        Ok(Held { directory, journal, logged })
    }

    /// Gives both checkpoints with the lines of the hub and of witnesses that the directory names, and no other.
    ///
    /// # Errors
    /// [`EvidenceError`], as for what a note says.
    pub(super) fn tidied(self, trust: &Trust) -> Result<(Bytes, Option<Bytes>), EvidenceError> {
        let (noted, logged) = self.notes(trust)?;
        let size = logged.as_ref().map(|it| it.head().size);
        let directory = Directory::follow(self.directory, self.entries, *trust, size)?;
        let journal = noted.tidied(directory.whole()?)?;
        let logged = logged.as_ref().map(|it| it.tidied(directory.version(version(it))?));
        Ok((journal, logged.transpose()?))
    }

    fn notes(self, trust: &Trust) -> Result<(Noted<'_>, Option<Noted<'_>>), EvidenceError> {
        let founding = &trust.founding;
        let logged = self.logged.map(|note| Noted::read(Log::Directory, founding, note));
        Ok((Noted::read(Log::Journal, founding, self.journal)?, logged.transpose()?))
    }
}

fn version(noted: &Noted<'_>) -> usize {
    usize::try_from(noted.head().size).unwrap_or(usize::MAX)
}

/// How many entries of the directory a quorum of witnesses bears witness to, from the founding on.
pub(super) fn witnessed(logged: Option<&Logged>) -> DirectoryVersion {
    let enough = logged.filter(|it| it.witnessed.reached_at.is_some());
    DirectoryVersion(enough.map_or(0, |it| it.tree.size))
}

/// Holds each entry to its place in the journal's tree, and its time to the one before; ascending by index.
///
/// # Errors
/// [`EvidenceError::Path`], [`EvidenceError::Time`].
pub(super) fn in_tree(all: &[&Entry], tree: &TreeHead) -> Result<(), EvidenceError> {
    for entry in all {
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
