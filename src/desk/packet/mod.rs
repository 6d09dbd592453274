//! Analysis packets: what a manifest says, and the files that belong to it.
//!
//! Owns the form of a manifest: one that exists is valid, and is that of its envelope. Names of files are names and
//! nothing else, whoever chose them. Never moves a file: that is [`transfer`]'s and [`porter`]'s.

pub mod catalogue;
pub mod draft;
pub mod porter;
pub(in crate::desk) mod sealed;
pub mod transfer;
pub mod unpack;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use jiff::civil::Date;
use prost::Message as _;
use unicode_normalization::UnicodeNormalization as _;

use crate::cap::acts_or_hides;
use crate::desk::opener::{Clear, Unreadable};
use crate::model::envelope::{Envelope, FILES_MAX, FileDigest, FileRef, MessageId};
use crate::model::identity::Name;
use crate::wire::{convert, proto};

/// Longest title and territory, in bytes: a line.
pub const LINE_BYTES_MAX: usize = 256;
/// Longest account of a method, in bytes: a page.
pub const METHOD_BYTES_MAX: usize = 4_096;
/// Sources of one packet at most.
pub const SOURCES_MAX: usize = 64;
/// Longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1_024;
/// Longest name of a file, in bytes: what file systems take.
pub const NAME_BYTES_MAX: usize = 255;

/// What a packet's payload says. Every field as `packet.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is called.
    pub title: String,
    /// The first and the last day that it is about.
    pub period: Option<(Date, Date)>,
    /// The territory, in words; may be empty.
    pub territory: String,
    /// The line of action.
    pub line_of_action: Name,
    /// How it was made, in words; may be empty.
    pub method: String,
    /// What it rests on.
    pub sources: Vec<Source>,
    /// From 1.
    pub version: u32,
    /// The packet that it supersedes.
    pub supersedes: Option<MessageId>,
    /// Its files, by name.
    pub files: Vec<PacketFile>,
}

/// What a packet rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Reliability and credibility, by the Admiralty code.
    pub grade: Grade,
    /// The source, in words.
    pub text: String,
}

/// A grade by the Admiralty code, e.g. `B2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grade {
    reliability: u8,
    credibility: u8,
}

/// A file of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketFile {
    /// Its name, without a folder.
    pub name: String,
    /// What it holds.
    pub file: FileRef,
    /// What it is once it is sealed: as it travels; not in a draft.
    pub sealed: Option<FileRef>,
}

/// Why bytes are no manifest, or not that of their envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

impl Grade {
    /// Reads `A1` to `F6`; `None` for other text.
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [reliability @ b'A'..=b'F', credibility @ b'1'..=b'6'] => {
                Some(Self { reliability: *reliability, credibility: *credibility })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.reliability), char::from(self.credibility))
    }
}

impl Manifest {
    /// Reads the payload of a packet.
    ///
    /// # Errors
    /// [`ManifestError`]: the bytes are no manifest, a field is not as it must be, or its files or what it supersedes are
    /// not those of the envelope.
    pub fn of(envelope: &Envelope, payload: &Bytes) -> Result<Self, ManifestError> {
        let manifest = Self::read(payload)?;
        if manifest.file_refs() != envelope.files {
            return Err(wrong("its files are not those that the envelope lists"));
        }
        if manifest.supersedes.is_some_and(|id| !envelope.references.contains(&id)) {
            return Err(wrong("it supersedes a packet that the envelope does not refer to"));
        }
        Ok(manifest)
    }

    /// Reads the payload of a packet that was opened, or says why it was not.
    ///
    /// # Errors
    /// As [`Self::of`]; [`ManifestError`] with the reason.
    pub fn opened(envelope: &Envelope, content: Result<Clear, Unreadable>) -> Result<Self, ManifestError> {
        Self::of(envelope, &content.map_err(|why| wrong(why.to_string()))?.0)
    }

    fn read(payload: &Bytes) -> Result<Self, ManifestError> {
        let wire = proto::PacketManifest::decode(payload.clone())
            .map_err(|error| wrong(format!("the bytes are not those of a packet's manifest: {error}")))?;
        let supersedes = match wire.supersedes.len() {
            0 => None,
            _ => Some(
                MessageId::from_slice(&wire.supersedes)
                    .ok_or_else(|| wrong("what it supersedes is named by something that is no message id"))?,
            ),
        };
        let manifest = Self {
            title: wire.title,
            period: period(&wire.period_from, &wire.period_to)?,
            territory: wire.territory,
            line_of_action: wire
                .line_of_action
                .parse()
                .map_err(|error| wrong(format!("line of action: {error}")))?,
            method: wire.method,
            sources: wire.sources.into_iter().map(source).collect::<Result<_, _>>()?,
            version: wire.version,
            supersedes,
            files: wire.files.into_iter().map(file).collect::<Result<_, _>>()?,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ManifestError`] with what was found and what was expected.
    pub fn check(&self) -> Result<(), ManifestError> {
        text("title", &self.title, 1, LINE_BYTES_MAX)?;
        text("territory", &self.territory, 0, LINE_BYTES_MAX)?;
        text("method", &self.method, 0, METHOD_BYTES_MAX)?;
        if self.sources.len() > SOURCES_MAX {
            return Err(wrong(format!(
                "a packet names at most {SOURCES_MAX} sources; this names {}",
                self.sources.len()
            )));
        }
        for source in &self.sources {
            text("source", &source.text, 1, SOURCE_BYTES_MAX)?;
        }
        if self.version == 0 || (self.version == 1) != self.supersedes.is_none() {
            return Err(wrong("version 1 supersedes nothing, and every later one a packet before it"));
        }
        let count = self.files.len();
        if !(1..=FILES_MAX).contains(&count) {
            return Err(wrong(format!("a packet has 1 to {FILES_MAX} files; this has {count}")));
        }
        let mut names = BTreeSet::new();
        for file in &self.files {
            check_name(&file.name)?;
            file.file.check().map_err(|refusal| wrong(refusal.message))?;
            // Some disks do not tell capitals from small letters, nor an accent from a letter with it.
            let folded: String = file.name.nfd().flat_map(char::to_lowercase).nfc().collect();
            if !names.insert(folded) {
                return Err(wrong(format!("two files have the name {:?}", file.name)));
            }
        }
        Ok(())
    }

    /// Encodes it: the payload. The same manifest has the same bytes.
    pub fn bytes(&self) -> Bytes {
        let (period_from, period_to) =
            self.period.map(|(from, to)| (from.to_string(), to.to_string())).unwrap_or_default();
        let source = |it: &Source| proto::PacketSource { grade: it.grade.to_string(), text: it.text.clone() };
        let file = |it: &PacketFile| proto::PacketFile {
            name: it.name.clone(),
            bytes: it.file.bytes,
            sha256: Bytes::copy_from_slice(&it.file.digest.0),
            sealed: it.sealed.as_ref().map(convert::wire_file_ref),
        };
        let wire = proto::PacketManifest {
            title: self.title.clone(),
            period_from,
            period_to,
            territory: self.territory.clone(),
            line_of_action: self.line_of_action.to_string(),
            method: self.method.clone(),
            sources: self.sources.iter().map(source).collect(),
            version: self.version,
            supersedes: self.supersedes.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default(),
            files: self.files.iter().map(file).collect(),
        };
        wire.encode_to_vec().into()
    }

    /// Its sealed files, as the envelope lists them: ascending, each once; none in a draft.
    pub fn file_refs(&self) -> Vec<FileRef> {
        let refs: BTreeSet<FileRef> = self.files.iter().filter_map(|it| it.sealed).collect();
        refs.into_iter().collect()
    }

    /// The bytes of all its files together, in clear.
    pub fn bytes_in_all(&self) -> u64 {
        self.files.iter().map(|it| it.file.bytes).sum()
    }
}

/// Checks that a name is a name: what others chose must not lead anywhere.
///
/// # Errors
/// [`ManifestError`] with the name.
pub fn check_name(name: &str) -> Result<(), ManifestError> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(['/', '\\'])
        && !name.chars().any(|c| c.is_control() || acts_or_hides(c));
    if is_name {
        return Ok(());
    }
    let expected = format!("1 to {NAME_BYTES_MAX} bytes without a folder and without control characters");
    Err(wrong(format!("{name:?} is no name for a packet's file: {expected}")))
}

fn wrong(message: impl Into<String>) -> ManifestError {
    ManifestError(message.into())
}

fn text(field: &str, text: &str, at_least: usize, at_most: usize) -> Result<(), ManifestError> {
    if (at_least..=at_most).contains(&text.len()) {
        return Ok(());
    }
    Err(wrong(format!("{field}: {at_least} to {at_most} bytes expected; this has {}", text.len())))
}

fn period(from: &str, to: &str) -> Result<Option<(Date, Date)>, ManifestError> {
    if from.is_empty() && to.is_empty() {
        return Ok(None);
    }
    let day =
        |text: &str| text.parse::<Date>().map_err(|_| wrong(format!("{text:?} is no day, e.g. 2026-03-31")));
    let (from, to) = (day(from)?, day(to)?);
    if from > to {
        return Err(wrong(format!("the period from {from} to {to} ends before it begins")));
    }
    Ok(Some((from, to)))
}

fn source(wire: proto::PacketSource) -> Result<Source, ManifestError> {
    let grade = Grade::parse(&wire.grade)
        .ok_or_else(|| wrong(format!("{:?} is no grade of a source: A1 to F6 expected", wire.grade)))?;
    Ok(Source { grade, text: wire.text })
}

fn file(wire: proto::PacketFile) -> Result<PacketFile, ManifestError> {
    let digest = wire.sha256.as_ref().try_into().map(FileDigest);
    let digest = digest.map_err(|_| wrong(format!("the SHA-256 of {:?} has not 32 bytes", wire.name)))?;
    let sealed = wire.sealed.map(|sealed| convert::file_ref("files.sealed", &sealed));
    let sealed = sealed.transpose().map_err(|refusal| wrong(refusal.message))?;
    Ok(PacketFile { name: wire.name, file: FileRef { digest, bytes: wire.bytes }, sealed })
}
