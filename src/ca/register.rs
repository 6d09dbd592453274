//! The register: every certificate that an authority ever signed, and which of them it took back.
//!
//! Owns the register's file, a JSON object a line, whole at any crash: it is written anew for each change. A line stands
//! there before its certificate leaves the house, so that none can be about that could not be taken back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::CaError;
use crate::host::disk::Disk;
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::wire::certs::{Revocation, Serial};
use crate::wire::fingerprint::Fingerprint;

/// Largest register, in bytes: some hundred thousand certificates.
const REGISTER_BYTES_MAX: u64 = 64 << 20;

/// A certificate that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its number.
    pub serial: Serial,
    /// Whom it names.
    pub identity: Identity,
    /// The fingerprint of its key.
    pub key: Fingerprint,
    /// The last second of its validity.
    pub not_after: UnixMicros,
    /// Since when it is taken back, and why; `None`: it is not.
    pub revoked: Option<(UnixMicros, String)>,
}

/// The register.
pub(super) struct Register {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lines: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    serial: String,
    identity: String,
    key: String,
    not_after_unix_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<RevokedLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedLine {
    at_unix_us: u64,
    reason: String,
}

impl Register {
    /// Reads it; one that is not there yet is empty.
    pub(super) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, CaError> {
        let bytes = match disk.read(path, REGISTER_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(super::at(path))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let read = |(line, text): (usize, &str)| {
            parse(text).map_err(|found| CaError::Register { path: path.into(), line: line + 1, found })
        };
        let lines = text.lines().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { disk, path: path.into(), lines })
    }

    pub(super) fn lines(&self) -> &[Signed] {
        &self.lines
    }

    /// Adds a certificate.
    pub(super) fn add(&mut self, signed: Signed) -> Result<(), CaError> {
        self.lines.push(signed);
        self.write()
    }

    /// Takes back those that are still valid and not taken back yet; gives them.
    pub(super) fn revoke(
        &mut self,
        at: UnixMicros,
        reason: &str,
        which: impl Fn(&Signed) -> bool,
    ) -> Result<Vec<Signed>, CaError> {
        let mut taken = Vec::new();
        for line in self.lines.iter_mut().filter(|line| counts(line, at) && which(line)) {
            line.revoked = Some((at, reason.to_owned()));
            taken.push(line.clone());
        }
        if !taken.is_empty() {
            self.write()?;
        }
        Ok(taken)
    }

    /// What a revocation list must hold: one that has ended names itself.
    pub(super) fn revocations(&self, now: UnixMicros) -> Vec<Revocation> {
        let live = self.lines.iter().filter(|line| line.not_after >= now);
        let of = |line: &Signed| {
            line.revoked.as_ref().map(|(at, _)| Revocation { serial: line.serial.clone(), at: *at })
        };
        live.filter_map(of).collect()
    }

    fn write(&self) -> Result<(), CaError> {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&written(line));
            text.push('\n');
        }
        self.disk.write_atomically(&self.path, text.as_bytes()).map_err(super::at(&self.path))
    }
}

/// Tells whether a certificate opens doors at a time.
pub(super) fn counts(signed: &Signed, at: UnixMicros) -> bool {
    signed.revoked.is_none() && signed.not_after >= at
}

fn parse(text: &str) -> Result<Signed, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Signed {
        serial: line.serial.parse().map_err(|error| format!("{error}"))?,
        identity: line.identity.parse().map_err(|error| format!("{error}"))?,
        key: line.key.parse().map_err(|error| format!("{error}"))?,
        not_after: UnixMicros(line.not_after_unix_us),
        revoked: line.revoked.map(|revoked| (UnixMicros(revoked.at_unix_us), revoked.reason)),
    })
}

fn written(signed: &Signed) -> String {
    let line = Line {
        serial: signed.serial.to_string(),
        identity: signed.identity.to_string(),
        key: signed.key.to_string(),
        not_after_unix_us: signed.not_after.0,
        revoked: signed.revoked.clone().map(|(at, reason)| RevokedLine { at_unix_us: at.0, reason }),
    };
    serde_json::to_string(&line).expect("a line of text and numbers can be written")
}
