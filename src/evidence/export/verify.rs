//! Holding an export to what is trusted, a frame at a time.
//!
//! Owns the order: directory and checkpoints, then each entry of the range, then that they come to the tree under the checkpoint.
//! Never gives a part of what a file says: it is given after the last byte held.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use super::ExportError;
use super::file::{Frame, Frames, Head, Shown};
use super::judge::{Said, Wrong, said};
use super::statistics::Statistics;
use super::tally::Tally;
use super::walk::Walk;
use crate::evidence::basis::{Basis, Held, in_tree, witnessed};
use crate::evidence::proved::Logged;
use crate::evidence::{EVIDENCE_BYTES_MAX, Entry, EvidenceError};
use crate::model::entry::EntryKind;
use crate::model::id::{DirectoryVersion, Index, UnixMicros};
use crate::proof::{ConsistencyProof, Frontier, PathError, TreeHead};
use crate::wire::trust::Trust;

/// What an export proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The founding that all follows from, as the trust file names it.
    pub founding: [u8; 32],
    /// The first entry.
    pub from: Index,
    /// The one after the last.
    pub until: Index,
    /// The journal's checkpoint under which all of it is.
    pub journal: Logged,
    /// Entries of the directory that are in the file.
    pub directory_version: DirectoryVersion,
    /// How many of them stand before the end of the range: by these it was judged whose key counts.
    pub directory_needed: DirectoryVersion,
    /// The directory's checkpoint; `None`: there is none.
    pub directory: Option<Logged>,
    /// What it says in numbers.
    pub statistics: Statistics,
}

impl Exported {
    /// Says whether enough witnesses bear witness to the journal, and that nothing was left out of the directory by which it was
    /// judged.
    pub fn is_witnessed(&self) -> bool {
        self.journal.witnessed.reached_at.is_some() && self.directory_witnessed() >= self.directory_needed
    }

    /// How many entries of the directory a quorum of witnesses bears witness to, from the founding on.
    pub fn directory_witnessed(&self) -> DirectoryVersion {
        witnessed(self.directory.as_ref())
    }

    /// How many entries the range has.
    pub fn entries(&self) -> u64 {
        self.until.0 - self.from.0
    }
}

/// Reads a file and holds it to a trust file. What it gives holds, whoever wrote the file; whether enough witnesses bear witness to
/// it, [`Exported::is_witnessed`] says. `seen` is told after each entry how many there were, and how many there are.
///
/// # Errors
/// [`ExportError`]: the first thing that does not hold.
pub fn verify(
    file: impl Read,
    trust: Trust,
    seen: &mut dyn FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let mut frames = Frames::of(file)?;
    let head = head(&mut frames)?;
    let directory = directory(&mut frames, head.directory)?;
    let basis = basis(&head, &directory);
    let Held { directory: followed, journal, logged } = basis.hold(&trust)?;
    let tree = journal.tree;
    let (from, until) = (head.from.0, head.until.0);
    if from >= until || until > tree.size {
        return Err(ExportError::Range { from, until, size: tree.size });
    }
    in_tree(&directory.iter().collect::<Vec<_>>(), &tree)?;
    let whole = Arc::clone(followed.whole()?);
    let mut range = Range {
        walk: Walk::new(&directory, whole.entries()),
        own: directory.iter().map(|it| (it.index, it)).collect(),
        tree: edge(&head)?,
        tally: Tally::default(),
        last: latest(&directory, head.from),
    };
    for index in from..until {
        range.take(&mut frames, Index(index))?;
        seen(index + 1 - from, until - from);
    }
    if frames.frame()?.is_some() {
        return Err(ExportError::Further { at: frames.at() });
    }
    let Range { tree: grown, tally, .. } = range;
    comes_to(&head, &grown, &tree)?;
    let needed = directory.partition_point(|it| it.index.0 < until);
    Ok(Exported {
        founding: trust.founding,
        from: head.from,
        until: head.until,
        journal,
        directory_version: DirectoryVersion(directory.len() as u64),
        directory_needed: DirectoryVersion(needed as u64),
        directory: logged,
        statistics: tally.into_statistics(),
    })
}

/// Gives a head without the lines of others than the hub and its witnesses, for a file.
///
/// # Errors
/// [`ExportError::Basis`]: the directory, or a checkpoint, does not hold.
pub fn tidied(head: Head, directory: &[Entry], trust: Trust) -> Result<Head, ExportError> {
    let (journal_checkpoint, directory_checkpoint) = basis(&head, directory).tidied(&trust)?;
    Ok(Head { journal_checkpoint, directory_checkpoint, ..head })
}

fn basis<'a>(head: &'a Head, directory: &'a [Entry]) -> Basis<'a> {
    Basis {
        journal: &head.journal_checkpoint,
        logged: head.directory_checkpoint.as_ref(),
        directory,
        entries: &[],
    }
}

fn head<R: Read>(frames: &mut Frames<R>) -> Result<Head, ExportError> {
    let at = frames.at();
    match frames.frame()? {
        Some(Frame::Head(head)) => Ok(head),
        Some(other) => Err(ExportError::Place { at, found: other.name(), expected: "a head" }),
        None => Err(ExportError::Cut { at }),
    }
}

/// All entries of the directory: they are kept, as each desk keeps them.
fn directory<R: Read>(frames: &mut Frames<R>, count: u64) -> Result<Vec<Entry>, ExportError> {
    let begin = frames.at();
    let mut directory: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let at = frames.at();
        let entry = match frames.frame()? {
            Some(Frame::Directory(entry)) => entry,
            Some(other) => {
                let expected = "an entry of the directory";
                return Err(ExportError::Place { at, found: other.name(), expected });
            }
            None => return Err(ExportError::Cut { at }),
        };
        let found = usize::try_from(frames.at() - begin).unwrap_or(usize::MAX);
        if found > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::Bytes { found }.into());
        }
        if directory.last().is_some_and(|last| last.index >= entry.index) {
            return Err(EvidenceError::Order { index: entry.index.0 }.into());
        }
        if entry.cover.is_some() {
            return Err(EvidenceError::Opening { index: entry.index.0 }.into());
        }
        directory.push(entry);
    }
    Ok(directory)
}

fn edge(head: &Head) -> Result<Frontier, ExportError> {
    let (from, found) = (head.from.0, head.edge.len());
    let wrong = || ExportError::Edge { from, found, expected: from.count_ones() };
    Frontier::of(from, head.edge.clone()).ok_or_else(wrong)
}

/// The time of the last entry before an index that is told at all.
fn latest(directory: &[Entry], from: Index) -> UnixMicros {
    let before = directory.partition_point(|it| it.index < from);
    directory[..before].last().map_or(UnixMicros(0), |it| it.time)
}

/// Holds what the entries came to, to the tree of the checkpoint.
fn comes_to(head: &Head, grown: &Frontier, tree: &TreeHead) -> Result<(), ExportError> {
    let proof = ConsistencyProof::from_hashes(head.consistency.clone());
    let proof = proof.ok_or(ExportError::Root(PathError::Length {
        found: head.consistency.len(),
        expected: crate::proof::PATH_HASHES_MAX,
    }))?;
    let here = TreeHead { size: grown.size(), root: grown.root() };
    proof.verify(&here, tree).map_err(ExportError::Root)
}

/// The range, as far as it was read.
struct Range<'a> {
    walk: Walk<'a>,
    /// Entries of the directory, which have no frame here.
    own: BTreeMap<Index, &'a Entry>,
    tree: Frontier,
    tally: Tally,
    /// The time of the last entry that is told.
    last: UnixMicros,
}

impl Range<'_> {
    fn take<R: Read>(&mut self, frames: &mut Frames<R>, index: Index) -> Result<(), ExportError> {
        if let Some(entry) = self.own.get(&index) {
            self.tree.append(entry.record().leaf());
            return self.counted(index, entry.time, EntryKind::Directory);
        }
        let at = frames.at();
        match frames.frame()? {
            Some(Frame::Hidden(record)) => {
                self.tree.append(record.leaf());
                self.tally.statistics().hidden += 1;
                Ok(())
            }
            Some(Frame::Shown(entry)) => self.shown(index, &entry),
            Some(other) => {
                Err(ExportError::Place { at, found: other.name(), expected: "an entry of the range" })
            }
            None => Err(ExportError::Cut { at }),
        }
    }

    fn shown(&mut self, index: Index, entry: &Shown) -> Result<(), ExportError> {
        self.tree.append(entry.record(index).leaf());
        self.counted(index, entry.time, entry.kind)?;
        let taken = match said(&mut self.walk, index, entry) {
            Ok(Said::LeftOut) => return Err(ExportError::LeftOut { index: index.0 }),
            Ok(said) => self.tally.take(index, entry.time, said),
            Err(Wrong::Covers(refusal)) => return Err(ExportError::Covers { index: index.0, refusal }),
            Err(Wrong::Entry(refusal)) => Err(refusal.to_string()),
        };
        if let Err(why) = taken {
            self.tally.uncounted(index, why);
        }
        Ok(())
    }

    fn counted(&mut self, index: Index, time: UnixMicros, kind: EntryKind) -> Result<(), ExportError> {
        if time < self.last {
            return Err(ExportError::Time { index: index.0, found: time.0 });
        }
        self.last = time;
        let statistics = self.tally.statistics();
        let first = statistics.recorded.map_or(time, |(first, _)| first);
        statistics.recorded = Some((first, time));
        *statistics.shown.entry(kind).or_default() += 1;
        Ok(())
    }
}
