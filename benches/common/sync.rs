//! What the disk takes to make 1 KiB durable: no exchange that syncs before it confirms can beat it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;

use crate::common::latency::Latency;
use crate::common::stopwatch::Stopwatch;

/// Bytes of an append.
pub(crate) const BYTES: usize = 1024;

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
