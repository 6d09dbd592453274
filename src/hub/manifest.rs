//! The manifest of a backup: what it holds, in one small file that is written last.
//!
//! Owns its form and its digest. At a crash: the old one stands or the new one, whole; what it names was synced before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::backup::files::KeptFile;
use crate::host::disk::Disk;
use crate::journal::Extent;
use crate::model::entry::Mark;
use crate::model::envelope::{FileDigest, FileRef};
use crate::model::id::{Index, Position, UnixMicros};
use crate::seal::sha256;

/// The manifest's name in a backup's folder.
const FILE: &str = "backup.toml";
/// Largest manifest, in bytes: a file of a packet takes some 120.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The form that this version writes and reads.
const VERSION: u32 = 2;
const HEAD: &str =
    "# A backup of a Resguardo hub: see docs/restoring.md. A changed line makes it worthless.\n";
const DIGEST: &str = "sha256 = ";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The hub's name.
    pub hub: String,
    /// How far its journal goes.
    pub extent: Extent,
    /// The number of the log's epoch.
    pub epoch: u64,
    /// When it was made, by the hub's clock: whatever the hub accepted later is not in it.
    pub made: UnixMicros,
    /// From which index on no end of a retention has taken payloads.
    pub kept_from: Index,
    /// SHA-256 (FIPS 180-4) of its `hub.toml`.
    pub config_digest: [u8; 32],
    /// Its files of packets.
    pub files: BTreeSet<KeptFile>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is none.
    #[error("{0} holds no whole backup: it has no {FILE}, which is written last")]
    Missing(PathBuf),
    /// The disk.
    #[error("{path}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        error: std::io::Error,
    },
    /// It is not as it was written.
    #[error("{path} is damaged: {found}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    version: u32,
    hub: String,
    journal: String,
    segments: u32,
    batches: u64,
    entries: u64,
    chain: u32,
    last_unix_us: u64,
    epoch: u64,
    made_unix_us: u64,
    kept_from: u64,
    config_sha256: String,
    /// Of each file of packets: office, digest, bytes.
    files: Vec<String>,
}

impl Manifest {
    /// Reads a backup's manifest.
    ///
    /// # Errors
    /// [`ManifestError`], each.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, ManifestError> {
        let path = dir.join(FILE);
        let bytes = match disk.read(&path, BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ManifestError::Missing(dir.into()));
            }
            read => read.map_err(|error| ManifestError::Disk { path: path.clone(), error })?,
        };
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).map_err(|found| ManifestError::Damaged { path, found })
    }

    /// Writes it: from then on the backup is as it says.
    ///
    /// # Errors
    /// [`ManifestError::Disk`]
    pub(super) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), ManifestError> {
        let path = dir.join(FILE);
        let written = disk.write_atomically(&path, self.text().as_bytes());
        written.map_err(|error| ManifestError::Disk { path, error })
    }

    fn text(&self) -> String {
        let Mark { journal, position, next_index, chain, time } = self.extent.mark;
        let lines = Lines {
            version: VERSION,
            hub: self.hub.clone(),
            journal: hex(&journal),
            segments: self.extent.segments,
            batches: position.0,
            entries: next_index.0,
            chain,
            last_unix_us: time.0,
            epoch: self.epoch,
            made_unix_us: self.made.0,
            kept_from: self.kept_from.0,
            config_sha256: hex(&self.config_digest),
            files: self.files.iter().map(file_line).collect(),
        };
        let lines = toml::to_string_pretty(&lines).expect("numbers and text are TOML");
        let text = format!("{HEAD}{lines}");
        format!("{text}{DIGEST}\"{}\"\n", hex(&sha256(text.as_bytes())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let end = text.rfind(DIGEST).ok_or("it has no digest in its last line")?;
        let (text, last) = text.split_at(end);
        if last != format!("{DIGEST}\"{}\"\n", hex(&sha256(text.as_bytes()))) {
            return Err("the digest in its last line is not that of the lines before it".into());
        }
        let it: Lines = toml::from_str(text).map_err(|error| error.to_string())?;
        if it.version != VERSION {
            return Err(format!("its form is {}; this program reads {VERSION}", it.version));
        }
        let mark = Mark {
            journal: unhex(&it.journal)?,
            position: Position(it.batches),
            next_index: Index(it.entries),
            chain: it.chain,
            time: UnixMicros(it.last_unix_us),
        };
        Ok(Self {
            hub: it.hub,
            extent: Extent { mark, segments: it.segments },
            epoch: it.epoch,
            made: UnixMicros(it.made_unix_us),
            kept_from: Index(it.kept_from),
            config_digest: unhex(&it.config_sha256)?,
            files: it.files.iter().map(|line| file_of(line)).collect::<Result<_, _>>()?,
        })
    }
}

fn file_line(kept: &KeptFile) -> String {
    format!("{} {} {}", kept.office, kept.file.digest, kept.file.bytes)
}

fn file_of(line: &str) -> Result<KeptFile, String> {
    let read = || {
        let mut words = line.split(' ');
        let office = words.next()?.parse().ok()?;
        let digest = FileDigest::from_hex(words.next()?)?;
        let bytes = words.next()?.parse().ok()?;
        words.next().is_none().then_some(KeptFile { office, file: FileRef { digest, bytes } })
    };
    read().ok_or_else(|| format!("{line:?} is no office with the SHA-256 and the bytes of a file"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let wrong = || format!("{text:?} is not {N} bytes in hex");
    let digits =
        (0..N).map(|at| text.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()));
    let bytes = digits.collect::<Option<Vec<_>>>().filter(|_| text.len() == 2 * N).ok_or_else(wrong)?;
    bytes.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mark = Mark {
            journal: *b"journal of tests",
            position: Position(3),
            next_index: Index(40),
            chain: 0xaabb_ccdd,
            time: UnixMicros(1_000),
        };
        Manifest {
            hub: "dev".into(),
            extent: Extent { mark, segments: 2 },
            epoch: 1,
            made: UnixMicros(2_000),
            kept_from: Index(9),
            config_digest: [7; 32],
            files: BTreeSet::from([1, 2].map(|it| KeptFile {
                office: "iachr".parse().unwrap(),
                file: FileRef { digest: FileDigest([it; 32]), bytes: 9 },
            })),
        }
    }

    #[test]
    fn manifest_has_these_lines_and_reads_back() {
        let text = sample().text();
        let lines = "version = 2\nhub = \"dev\"\njournal = \"6a6f75726e616c206f66207465737473\"\nsegments = 2\n\
            batches = 3\nentries = 40\nchain = 2864434397\nlast_unix_us = 1000\nepoch = 1\nmade_unix_us = 2000\n\
            kept_from = 9\n\
            config_sha256 = \"0707070707070707070707070707070707070707070707070707070707070707\"\nfiles = [\n    \
            \"iachr 0101010101010101010101010101010101010101010101010101010101010101 9\",\n    \
            \"iachr 0202020202020202020202020202020202020202020202020202020202020202 9\",\n]\nsha256 = \"";
        assert!(text.contains(lines), "{text}");
        assert_eq!(Manifest::parse(&text), Ok(sample()));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_told() {
        let text = sample().text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(Manifest::parse(&String::from_utf8(bytes).unwrap()).is_err(), "byte {at}");
            assert!(Manifest::parse(&text[..at]).is_err(), "cut to {at}");
        }
    }
}
