//! Checking the logs of a hub that is not running, and making their tiles again.
//!
//! Owns the comparison: every entry of the journal and of the directory is hashed anew, and each tile, each bundle and the last
//! checkpoint are held to what comes of it. Changes nothing, but for `rebuild`, which writes tiles and no checkpoint.

use std::sync::Arc;

use super::keeper::{Keeper, LogError, last};
use super::source::{Directory, Source};
use super::tree::FullTiles;
use super::{dir_of, founding};
use crate::host::disk::Disk;
use crate::journal::Reader;
use crate::model::policy::Policy;
use crate::proof::{EntryBundle, Grower, TILE_WIDTH, TreeHead};
use crate::wire::log::{Log, opened};

/// A log that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedLog {
    /// Which.
    pub log: Log,
    /// Entries that it has, with those that no checkpoint has yet.
    pub entries: u64,
    /// Size and root of the last checkpoint; `None` where nothing was signed yet.
    pub signed: Option<TreeHead>,
    /// Tiles and bundles that were compared.
    pub tiles: u64,
}

/// What the logs of a hub are held to.
pub(in crate::hub) struct Held<'a> {
    /// Files.
    pub disk: &'a Arc<dyn Disk>,
    /// The folder of the logs.
    pub dir: &'a std::path::Path,
    /// The journal.
    pub reader: &'a Reader,
    /// The directory as it stands.
    pub policy: Arc<Policy>,
}

impl Held<'_> {
    fn source(&self, log: Log) -> Source {
        match log {
            Log::Journal => Source::of_journal(self.reader.clone()),
            Log::Directory => Source::Directory(Directory::Then(Arc::clone(&self.policy))),
        }
    }
}

/// Checks one log.
///
/// # Errors
/// [`LogError`]: the first thing that is not as it must be.
pub(in crate::hub) fn check(held: &Held<'_>, log: Log) -> Result<CheckedLog, LogError> {
    let (dir, origin) = (dir_of(held.dir, log), log.origin(&founding(&held.policy)));
    let mut source = held.source(log);
    let (entries, full) = (source.count(), FullTiles::at(Arc::clone(held.disk), &dir));
    let signed = last(held.disk.as_ref(), &dir, &origin)?;
    let Some((note, tree)) = signed else { return Ok(CheckedLog { log, entries, signed: None, tiles: 0 }) };
    let disagrees = |found: String| LogError::Disagrees { log: log.name(), signed: tree, found };
    if opened(&held.policy, log, &note).is_err() {
        return Err(disagrees("and no key that the directory names for the hub has signed it".into()));
    }
    if entries < tree.size {
        return Err(disagrees(format!("and only {entries} are here")));
    }
    let (mut grower, mut records, mut tiles) = (Grower::new(), Vec::new(), 0);
    while grower.size() < tree.size {
        let record = source.record(grower.size())?;
        grower.append(record.leaf());
        records.push(record);
        for (tile, bytes) in grower.take_finished() {
            tiles += full.holds(&tile, &bytes)?;
        }
        if records.len() == usize::from(TILE_WIDTH) {
            let bundle = EntryBundle::new(grower.size() / u64::from(TILE_WIDTH) - 1, TILE_WIDTH);
            tiles += full.holds(&bundle.expect("it is full"), &EntryBundle::encode(&records))?;
            records.clear();
        }
    }
    let root = grower.root();
    if root != tree.root {
        return Err(disagrees(format!("and these here have root {root}")));
    }
    Ok(CheckedLog { log, entries, signed: Some(tree), tiles })
}

/// Makes the tiles of one log again, as far as it was signed; gives its size.
///
/// # Errors
/// [`LogError`]
pub(in crate::hub) fn rebuild(held: &Held<'_>, log: Log) -> Result<u64, LogError> {
    let (dir, origin) = (dir_of(held.dir, log), log.origin(&founding(&held.policy)));
    let kept = Keeper::rebuilt(held.source(log), origin, Arc::clone(held.disk), &dir)?;
    Ok(kept.signed().map_or(0, |signed| signed.tree.head.size))
}
