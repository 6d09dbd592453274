//! Opening: an age file becomes its manifest and its content, if one of the keys at hand is among its recipients.
//!
//! Owns the reading side, bounded in memory whatever stands in the file. Never says who sealed: the age format does not know,
//! so a signature over the file's digest and one inside the manifest do. A content is handed on piece by piece, each
//! verified; that the last one is there shows only at the end.

use std::io::{self, BufRead, BufReader, Read, Write};

use age::armor::ArmoredReader;
use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

use super::file_key::FileKey;
use super::hybrid::OpeningKey;
use super::inner::{HEAD_BYTES, Head, HeadError};
use super::sealing::PIECE_BYTES;
use super::{MANIFEST_BYTES_MAX, RECIPIENTS_MAX};

/// Bytes of an age file's header at most: 1,560 for each recipient, and what other programs may add.
const HEADER_BYTES_MAX: usize = RECIPIENTS_MAX * 1560 + 16 * 1024;

/// Told to the age crate when its parser asks for more than the header that was read.
const HEADER_IS_SHORT: io::ErrorKind = io::ErrorKind::InvalidInput;

/// Why a file was not opened. What was handed on of its content is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was sealed to others.
    #[error("sealed to other keys: none of the {tried} keys at hand is among its recipients")]
    NotForTheseKeys {
        /// How many keys were tried.
        tried: usize,
    },
    /// Its header is no age header, or was changed.
    #[error("the header is damaged: {0}")]
    Header(&'static str),
    /// A part of the content was changed, or the end is missing.
    #[error("a part of the sealed content was changed or cut")]
    Changed,
    /// An age file that other software made: it has no manifest.
    #[error("an age file, but not one with a manifest inside")]
    Foreign,
    /// The zeros after the content are not zeros, or not as many as they have to be.
    #[error("the padding after the content is not what its length asks for")]
    Padding,
    /// It is larger than is allowed here.
    #[error("{what} of {found} bytes, at most {allowed} are allowed")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// Its length.
        found: u64,
        /// How long it may be.
        allowed: u64,
    },
    /// The file cannot be read.
    #[error("the sealed file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The content cannot be written.
    #[error("the opened content cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// A manifest and a content that were opened as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The manifest's bytes, which say whose content it is.
    pub manifest: Vec<u8>,
    /// The content.
    pub content: Vec<u8>,
}

/// What a file holds, in clear.
type Clear<R> = StreamReader<Prefaced<BufReader<Below<R>>>>;

/// A file of which the manifest is known, and the content still to come.
///
/// Nothing of it counts before [`Opening::finish`] has returned: the end may be missing.
pub struct Opening<R: Read> {
    clear: Clear<R>,
    head: Head,
    manifest: Vec<u8>,
}

impl<R: Read> Opening<R> {
    /// Reads a file up to its content, with the first key that fits.
    ///
    /// # Errors
    /// [`OpenError`], but for [`OpenError::Write`]; [`OpenError::TooLarge`] already here, by what the file says of itself.
    pub fn begin(sealed: R, keys: &[OpeningKey], content_bytes_max: u64) -> Result<Self, OpenError> {
        Self::begun(decrypted(BufReader::new(Below(sealed)), keys)?, content_bytes_max)
    }

    /// Reads a file up to its content, with its own key.
    ///
    /// # Errors
    /// As [`Self::begin`]; [`OpenError::Header`] for the key of another one.
    pub fn begin_with(sealed: R, key: &FileKey, content_bytes_max: u64) -> Result<Self, OpenError> {
        let key = std::slice::from_ref(key);
        Self::begun(decrypted(BufReader::new(Below(sealed)), key)?, content_bytes_max)
    }

    fn begun(mut clear: Clear<R>, content_bytes_max: u64) -> Result<Self, OpenError> {
        let mut head = [0; HEAD_BYTES];
        if read_full(&mut clear, &mut head)? < HEAD_BYTES {
            return Err(OpenError::Foreign);
        }
        let head = Head::from_bytes(head).map_err(|error| match error {
            HeadError::Foreign => OpenError::Foreign,
            HeadError::Manifest(found) => {
                OpenError::TooLarge { what: "a manifest", found, allowed: MANIFEST_BYTES_MAX as u64 }
            }
        })?;
        let (found, allowed) = (head.content_bytes, content_bytes_max);
        if found > allowed {
            return Err(OpenError::TooLarge { what: "a content", found, allowed });
        }
        let mut manifest = vec![0; head.manifest_bytes as usize];
        if read_full(&mut clear, &mut manifest)? < manifest.len() {
            return Err(OpenError::Padding);
        }
        Ok(Self { clear, head, manifest })
    }

    /// Gives the manifest. It is the sealer's word, and not yet known to be a whole file's.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// Tells how many bytes the content has.
    pub fn content_bytes(&self) -> u64 {
        self.head.content_bytes
    }

    /// Writes the content, and gives the manifest once the last part was verified and the padding was found to be what it has
    /// to be.
    ///
    /// # Errors
    /// [`OpenError::Changed`], [`OpenError::Padding`], [`OpenError::Read`], [`OpenError::Write`]. What was written by then is
    /// to be thrown away.
    pub fn finish(mut self, into: &mut dyn Write) -> Result<Vec<u8>, OpenError> {
        let padding = self.head.padding_bytes().ok_or(OpenError::Padding)?;
        let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
        let mut left = self.head.content_bytes;
        while left > 0 {
            let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.clear.read(&mut piece[..wanted]).map_err(of_the_stream)?;
            if read == 0 {
                return Err(OpenError::Padding);
            }
            into.write_all(&piece[..read]).map_err(OpenError::Write)?;
            left -= read as u64;
        }
        let mut zeros = 0;
        loop {
            let read = self.clear.read(&mut piece).map_err(of_the_stream)?;
            zeros += read as u64;
            if zeros > padding || piece[..read].iter().any(|byte| *byte != 0) {
                return Err(OpenError::Padding);
            }
            if read == 0 {
                return if zeros == padding { Ok(self.manifest) } else { Err(OpenError::Padding) };
            }
        }
    }
}

/// Opens what is in memory.
///
/// # Errors
/// [`OpenError`], but for reading and writing.
pub fn open_bytes(sealed: &[u8], keys: &[OpeningKey], content_bytes_max: u64) -> Result<Opened, OpenError> {
    whole(Opening::begin(sealed, keys, content_bytes_max)?, sealed.len())
}

/// Opens what is in memory with its own key.
///
/// # Errors
/// As [`open_bytes`]; [`OpenError::Header`] for the key of another one.
pub fn open_bytes_with(sealed: &[u8], key: &FileKey, content_bytes_max: u64) -> Result<Opened, OpenError> {
    whole(Opening::begin_with(sealed, key, content_bytes_max)?, sealed.len())
}

/// What grows leaves copies of it behind, so there is room for all of the content at once.
fn whole(opening: Opening<&[u8]>, sealed_bytes: usize) -> Result<Opened, OpenError> {
    let room = usize::try_from(opening.content_bytes()).unwrap_or(usize::MAX);
    let mut content = Vec::with_capacity(room.min(sealed_bytes));
    let manifest = opening.finish(&mut content)?;
    Ok(Opened { manifest, content })
}

/// Opens any age file that was encrypted to one of the keys, in binary or in armor, and writes all that is in it.
///
/// # Errors
/// [`OpenError`]; [`OpenError::TooLarge`] once more than `bytes_max` have come. What was written by then is to be thrown away.
pub fn open_any<R: Read>(
    encrypted: R,
    keys: &[OpeningKey],
    bytes_max: u64,
    into: &mut dyn Write,
) -> Result<(), OpenError> {
    let mut clear = decrypted(BufReader::new(ArmoredReader::new(Below(encrypted))), keys)?;
    let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
    let mut found = 0;
    loop {
        let read = clear.read(&mut piece).map_err(of_the_stream)?;
        found += read as u64;
        if found > bytes_max {
            return Err(OpenError::TooLarge { what: "a content", found, allowed: bytes_max });
        }
        if read == 0 {
            return Ok(());
        }
        into.write_all(&piece[..read]).map_err(OpenError::Write)?;
    }
}

/// Reads a header, and finds the key of what follows it by the first of these that fits.
pub(super) fn decrypted<R: BufRead, I: age::Identity>(
    mut encrypted: R,
    keys: &[I],
) -> Result<StreamReader<Prefaced<R>>, OpenError> {
    let header = header_of(&mut encrypted)?;
    let decryptor = Decryptor::new_buffered(Prefaced { header, given: 0, rest: encrypted }).map_err(
        |error| match error {
            // The header was read before: what is missing is the nonce that follows it.
            DecryptError::Io(error) if error.kind() != HEADER_IS_SHORT => of_the_stream(error),
            DecryptError::UnknownFormat => OpenError::Header("another version of the age format"),
            _ => OpenError::Header("not of the form that the age format has"),
        },
    )?;
    decryptor.decrypt(keys.iter().map(|it| it as &dyn age::Identity)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => OpenError::NotForTheseKeys { tried: keys.len() },
        DecryptError::InvalidMac => OpenError::Header("its authentication code is of another header"),
        _ => OpenError::Header("a stanza for a recipient is not of its form"),
    })
}

/// Reads up to the line with the authentication code, which is a header's last.
fn header_of(encrypted: &mut dyn BufRead) -> Result<Vec<u8>, OpenError> {
    let mut header = Vec::new();
    loop {
        let line = header.len();
        let left = (HEADER_BYTES_MAX - line) as u64;
        encrypted.take(left).read_until(b'\n', &mut header).map_err(|error| {
            match error.downcast::<FromBelow>() {
                Ok(FromBelow(error)) => OpenError::Read(error),
                Err(_) => OpenError::Header("its armor is damaged"),
            }
        })?;
        if header.len() == HEADER_BYTES_MAX {
            let (found, allowed) = (header.len() as u64 + 1, HEADER_BYTES_MAX as u64);
            return Err(OpenError::TooLarge { what: "a header", found, allowed });
        }
        if !header[line..].ends_with(b"\n") {
            return Err(OpenError::Header("it has no end"));
        }
        if header[line..].starts_with(b"---") {
            return Ok(header);
        }
    }
}

/// Fills `bytes` as far as the stream goes.
fn read_full(clear: &mut dyn Read, bytes: &mut [u8]) -> Result<usize, OpenError> {
    let mut filled = 0;
    while filled < bytes.len() {
        match clear.read(&mut bytes[filled..]).map_err(of_the_stream)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Tells an error of the file underneath from what the age format objects to.
fn of_the_stream(error: io::Error) -> OpenError {
    match error.downcast::<FromBelow>() {
        Ok(FromBelow(error)) => OpenError::Read(error),
        Err(_) => OpenError::Changed,
    }
}

/// An error of the file underneath, marked as such.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct FromBelow(io::Error);

/// The file underneath.
pub(super) struct Below<R>(pub(super) R);

impl<R: Read> Read for Below<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes).map_err(|error| match error.kind() {
            // Whoever reads tries this again.
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(FromBelow(error)),
        })
    }
}

/// A header that was read already, and what follows it.
pub(super) struct Prefaced<R> {
    header: Vec<u8>,
    given: usize,
    rest: R,
}

impl<R: BufRead> Read for Prefaced<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.given == self.header.len() {
            return self.rest.read(bytes);
        }
        let read = (&self.header[self.given..]).read(bytes)?;
        self.given += read;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Prefaced<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.header.len() { self.rest.fill_buf() } else { Ok(&self.header[self.given..]) }
    }

    fn consume(&mut self, bytes: usize) {
        if self.given == self.header.len() { self.rest.consume(bytes) } else { self.given += bytes }
    }

    /// Gives the whole header as if it were one line.
    ///
    /// The age crate parses all that it has again after each line, which takes seconds for a thousand recipients.
    fn read_until(&mut self, _: u8, into: &mut Vec<u8>) -> io::Result<usize> {
        if self.given == self.header.len() {
            return Err(HEADER_IS_SHORT.into());
        }
        let header = &self.header[self.given..];
        into.extend_from_slice(header);
        self.given = self.header.len();
        Ok(header.len())
    }
}
