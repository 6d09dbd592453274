//! What the disk takes to make 1 KiB durable, or whole files: no exchange that syncs before it confirms can beat it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;

use crate::common::latency::Latency;
use crate::common::stopwatch::Stopwatch;

/// Bytes of an append.
pub(crate) const BYTES: usize = 1024;

/// Bytes of a piece of a file.
pub(crate) const PIECE_BYTES: usize = 64 * 1024;

/// Times `fdatasync` of an append into a preallocated, zero-filled file, so many times; the file is removed.
pub(crate) fn probe(path: &Path, samples: u32, watch: Stopwatch) -> Result<Latency> {
    let file = File::create(path)?;
    let mut at = 0;
    for _ in 0..samples {
        file.write_all_at(&[0; BYTES], at)?;
        at += BYTES as u64;
    }
    file.sync_all()?;
    let mut latency = Latency::new();
    for number in 0..u64::from(samples) {
        let from = watch.ns();
        file.write_all_at(&[1; BYTES], number * BYTES as u64)?;
        file.sync_data()?;
        latency.record_ns(watch.ns() - from);
    }
    drop(file);
    fs::remove_file(path)?;
    Ok(latency)
}

/// Gives the seconds that it takes to write and sync so many files of so many pieces, one after the other; they are removed.
pub(crate) fn write_files(path: &Path, (files, pieces): (u64, u64), watch: Stopwatch) -> Result<f64> {
    let (piece, mut took_s) = (vec![7; PIECE_BYTES], 0.0);
    for _ in 0..files {
        let from_s = watch.seconds();
        let file = File::create(path)?;
        for number in 0..pieces {
            file.write_all_at(&piece, number * PIECE_BYTES as u64)?;
        }
        file.sync_all()?;
        took_s += watch.seconds() - from_s;
        fs::remove_file(path)?;
    }
    Ok(took_s)
}
