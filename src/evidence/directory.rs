//! The directory as it stood at each entry, made again from its own entries.
//!
//! Owns which version of it counts for what. Never takes an entry that policy does not take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::EvidenceError;
use super::file::Entry;
use super::proved::NotBefore;
use crate::model::entry::EntryKind;
use crate::model::envelope::Envelope;
use crate::model::fact::Fact;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::{Policy, When};
use crate::model::refusal::{Reason, Refusal};
use crate::proof::{Frontier, TreeHash};
use crate::seal::sha256;
use crate::wire::amendment;
use crate::wire::log::directory_record;
use crate::wire::trust::Trust;

/// How long after it was replaced a key may still be met in an entry, in microseconds: what the hub let in before came into the
/// journal after.
const ON_THE_WAY_US: u64 = 10_000_000;

/// The directory that was replayed.
pub(super) struct Directory<'a> {
    entries: &'a [Entry],
    /// The versions that something of the file needs.
    versions: BTreeMap<usize, Arc<Policy>>,
    /// The log's root at the version that its checkpoint names.
    root: Option<TreeHash>,
    /// Offices' keys by their ids, and where each came.
    keys: BTreeMap<[u8; 32], NotBefore>,
}

/// How many entries of the directory stand before a place in the journal, and how many of them so long before its time that nothing
/// of the time before is on its way any more.
pub(super) fn places(directory: &[Entry], (index, time): (Index, UnixMicros)) -> [usize; 2] {
    let before = directory.partition_point(|it| it.index < index);
    let long = time.0.saturating_sub(ON_THE_WAY_US);
    [before, directory[..before].partition_point(|it| it.time.0 < long)]
}

impl<'a> Directory<'a> {
    /// Follows all entries, and holds the first to what is trusted. `logged` is the size that the directory's checkpoint names.
    /// It is kept as it stood at each of the entries that are judged by it.
    ///
    /// # Errors
    /// [`EvidenceError::Founding`], [`EvidenceError::Directory`], [`EvidenceError::Kind`].
    pub(super) fn follow(
        entries: &'a [Entry],
        judged: &[Entry],
        trust: Trust,
        logged: Option<u64>,
    ) -> Result<Self, EvidenceError> {
        let mut directory = Self { entries, versions: BTreeMap::new(), root: None, keys: BTreeMap::new() };
        let logged = logged.and_then(|size| usize::try_from(size).ok());
        let mut needed: BTreeSet<_> = judged.iter().flat_map(|it| directory.places(it)).collect();
        needed.extend([entries.len()].into_iter().chain(logged));
        let (mut policy, mut tree) = (Policy::default(), Frontier::new());
        for (version, entry) in (1..).zip(entries) {
            let index = entry.index.0;
            if entry.kind != EntryKind::Directory {
                let (found, expected) = (entry.kind as i32, "1 (the directory)");
                return Err(EvidenceError::Kind { index, found, expected });
            }
            let wrong = |refusal| EvidenceError::Directory { index, refusal };
            let signed = amendment::read(&entry.statement).map_err(wrong)?;
            if version == 1 {
                trust.check(&signed).map_err(EvidenceError::Founding)?;
            }
            let signed = Arc::new(signed);
            policy.amend(&signed).map_err(wrong)?;
            for fact in signed.entry.facts() {
                let Fact::OfficeKey { office, recipient } = fact else { continue };
                let (made, recorded) = (signed.entry.made(), entry.time);
                let key = NotBefore { office: office.clone(), made, recorded };
                directory.keys.insert(sha256(&recipient.to_bytes()), key);
            }
            tree.append(directory_record(&amendment::bytes(&signed)).leaf());
            if logged == Some(version) {
                directory.root = Some(tree.root());
            }
            if needed.contains(&version) {
                directory.versions.insert(version, Arc::new(policy.clone()));
            }
        }
        Ok(directory)
    }

    /// How many entries stand before one, and how many of them so long that nothing of the time before is on its way any more.
    fn places(&self, entry: &Entry) -> [usize; 2] {
        places(self.entries, (entry.index, entry.time))
    }

    /// How many entries stand before one.
    pub(super) fn version_at(&self, entry: &Entry) -> usize {
        self.places(entry)[0]
    }

    /// All of it.
    ///
    /// # Errors
    /// [`EvidenceError::Founding`] where there is nothing.
    pub(super) fn whole(&self) -> Result<&Arc<Policy>, EvidenceError> {
        self.version(self.entries.len())
    }

    /// The directory at a version that something of the file needs.
    ///
    /// # Errors
    /// [`EvidenceError::Founding`] where nothing stands before it.
    pub(super) fn version(&self, version: usize) -> Result<&Arc<Policy>, EvidenceError> {
        self.versions.get(&version).ok_or_else(|| {
            let message = "the file has no founding of the directory before what is said by it";
            EvidenceError::Founding(Refusal::new(Reason::FoundingForeign, message))
        })
    }

    /// The root of its log at the size that was named; `None` where it has fewer entries.
    pub(super) fn root(&self) -> Option<TreeHash> {
        self.root
    }

    /// Checks something by the keys that counted when an entry was put in the journal.
    ///
    /// # Errors
    /// [`EvidenceError::Statement`]
    pub(super) fn check(
        &self,
        entry: &Entry,
        holds: impl Fn(&Policy, When) -> Result<(), Refusal>,
    ) -> Result<(), EvidenceError> {
        let [now, before] = self.places(entry);
        let checked = holds(self.version(now)?, When::Now);
        let checked = match checked {
            Err(refusal) if refusal.reason == Reason::DirectoryStale && (1..now).contains(&before) => {
                holds(self.version(before)?, When::Now)
            }
            checked => checked,
        };
        checked.map_err(|refusal| EvidenceError::Statement { index: entry.index.0, refusal })
    }

    /// The newest of the keys that an envelope names, but for the sender's own: it cannot have been written before.
    pub(super) fn newest_key(&self, envelope: &Envelope) -> Option<NotBefore> {
        let others = envelope.recipients.iter().filter(|it| it.office != envelope.sender.office);
        others.filter_map(|it| self.keys.get(&it.key)).max_by_key(|it| it.recorded).cloned()
    }
}
