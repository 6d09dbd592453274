//! The log of a simulated year: all its tiles on disk, by the hub's own code, with the evidence of some messages in its leaves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::{Random as _, SeededRandom};
use resguardo::hub::logs::keeper::given::{GivenLog, GivenTiles};
use resguardo::proof::Record;

use crate::common::stopwatch::Stopwatch;
use crate::rhythm::{Exchange, Happened};

/// The log, and what it took.
pub(crate) struct Grown {
    pub(crate) happened: Happened,
    pub(crate) tiles: GivenTiles,
    /// Seconds for all entries, with the making of records that stand for real ones.
    pub(crate) seconds: f64,
    pub(crate) hashes: Stored,
    pub(crate) bundles: Stored,
}

/// Files of a kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// With what the file system rounds up to.
    pub(crate) disk_bytes: u64,
}

/// Grows a log in a folder. At the indexes of `real` their records stand, everywhere else random ones.
pub(crate) fn grow(
    exchange: &Exchange,
    real: &BTreeMap<u64, Record>,
    folder: &Path,
    watch: Stopwatch,
) -> Result<Grown> {
    fs::create_dir_all(folder)?;
    let (mut log, random) = (GivenLog::begin(Arc::new(OsDisk), folder), SeededRandom::new(exchange.seed));
    let (mut index, began_s) = (0, watch.seconds());
    let happened = exchange.run(|came| -> Result<()> {
        for _ in 0..came {
            log.append(real.get(&index).copied().unwrap_or_else(|| Record(random.seed())))?;
            index += 1;
        }
        Ok(())
    })?;
    let tiles = log.written()?;
    let seconds = watch.seconds() - began_s;
    let (mut hashes, mut bundles) = (Stored::default(), Stored::default());
    for level in fs::read_dir(folder.join("tile"))? {
        let level = level?.path();
        let is_bundles = level.ends_with("entries");
        add(&level, if is_bundles { &mut bundles } else { &mut hashes })?;
    }
    Ok(Grown { happened, tiles, seconds, hashes, bundles })
}

fn add(folder: &Path, stored: &mut Stored) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_dir() {
            add(&entry.path(), stored)?;
        } else {
            stored.files += 1;
            stored.bytes += found.len();
            stored.disk_bytes += found.blocks() * 512;
        }
    }
    Ok(())
}
