//! Sealing: a manifest and a content become an age file for some recipients.
//!
//! Owns the writing side, with 64 KiB of a content in memory at a time. Never signs, never decides who the recipients are.

use std::io::{self, Read, Write};

use age::Encryptor;
use zeroize::Zeroizing;

use super::hybrid::Recipient;
use super::inner::Head;
use super::{MANIFEST_BYTES_MAX, RECIPIENTS_MAX};

/// Bytes that are copied at a time.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// Why nothing was sealed. What was written so far is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Nobody could open it.
    #[error("a sealing without recipients could be opened by nobody")]
    NoRecipients,
    /// More recipients than a reader takes.
    #[error("{found} recipients, at most {RECIPIENTS_MAX} are allowed")]
    TooManyRecipients {
        /// How many were given.
        found: usize,
    },
    /// The manifest is longer than a reader takes.
    #[error("a manifest of {found} bytes, at most {MANIFEST_BYTES_MAX} are allowed")]
    ManifestTooLarge {
        /// Its length.
        found: usize,
    },
    /// The content is longer than any padding.
    #[error("a content of {found} bytes cannot be padded")]
    ContentTooLarge {
        /// Its length, as it was told.
        found: u64,
    },
    /// The content ended early or went on.
    #[error("the content has {found} bytes, {told} were told")]
    ContentLength {
        /// The length that was told.
        told: u64,
        /// What was found: the length, or one byte more than was told if it went on.
        found: u64,
    },
    /// The content cannot be read.
    #[error("the content cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The sealing cannot be written.
    #[error("the sealing cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// Seals `manifest` and the `content_bytes` bytes of `content` for `recipients`, and gives back `into`, which is not flushed.
///
/// The length comes first because it stands first. The randomness is the system's: two sealings of the same are never the same.
///
/// # Errors
/// [`SealError`]. Nothing is written before the lengths were found good.
pub fn seal<W: Write>(
    recipients: &[Recipient],
    manifest: &[u8],
    content: &mut dyn Read,
    content_bytes: u64,
    into: W,
) -> Result<W, SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipients);
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(SealError::TooManyRecipients { found: recipients.len() });
    }
    let manifest_bytes = u32::try_from(manifest.len()).ok().filter(|it| *it as usize <= MANIFEST_BYTES_MAX);
    let manifest_bytes = manifest_bytes.ok_or(SealError::ManifestTooLarge { found: manifest.len() })?;
    let head = Head { manifest_bytes, content_bytes };
    let padding = head.padding_bytes().ok_or(SealError::ContentTooLarge { found: content_bytes })?;

    let encryptor = Encryptor::with_recipients(recipients.iter().map(|it| it as &dyn age::Recipient));
    let encryptor = encryptor.expect("there are recipients, all of one kind, and their keys were held to");
    let mut sealed = encryptor.wrap_output(into).map_err(SealError::Write)?;
    sealed.write_all(&head.to_bytes()).map_err(SealError::Write)?;
    sealed.write_all(manifest).map_err(SealError::Write)?;
    copy(content, content_bytes, &mut sealed)?;
    io::copy(&mut io::repeat(0).take(padding), &mut sealed).map_err(SealError::Write)?;
    sealed.finish().map_err(SealError::Write)
}

/// Seals what is in memory: a payload, a note.
///
/// # Errors
/// [`SealError`], but for reading and writing.
pub fn seal_bytes(recipients: &[Recipient], manifest: &[u8], content: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut rest = content;
    seal(recipients, manifest, &mut rest, content.len() as u64, Vec::new())
}

/// Copies as many bytes as were told, and holds the reader to having no more.
fn copy(content: &mut dyn Read, told: u64, into: &mut dyn Write) -> Result<(), SealError> {
    let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
    let mut found = 0;
    loop {
        let read = match content.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(SealError::Read)?,
        };
        found += read as u64;
        if read == 0 && found == told {
            return Ok(());
        }
        if read == 0 || found > told {
            return Err(SealError::ContentLength { told, found: found.min(told + 1) });
        }
        into.write_all(&piece[..read]).map_err(SealError::Write)?;
    }
}
