//! Signed notes: text, and lines by those who signed it.
//!
//! Owns the exact bytes of a note, read and written, and its bounds. Never takes the text for true: it says nothing before a
//! signature of a known key was verified. Lines by unknown keys are kept and mean nothing.
//!
//! A line by a known key that does not hold makes the whole note worthless, as the standard advises: somebody altered it.
//! Source: C2SP `signed-note`.

use std::fmt;
use std::str::FromStr;

use super::key::{KeyName, NoteKey, NoteKeyId, SignatureType};
use super::text;
use crate::seal::Plain;

/// Bytes of a note at most: what the lines of the most signers have, twice over.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Signatures of a note at most: both of a log's, and both of 127 witnesses'.
pub const SIGNATURES_MAX: usize = 256;

/// Begins a line by a signer.
const DASH: &str = "\u{2014} ";
const ID_BYTES: usize = 4;

/// A note: text, and at least one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// With the end of its last line.
    text: String,
    lines: Vec<SignatureLine>,
}

/// A line by a signer. One that exists is well formed; whether it holds is another matter.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: Box<str>,
    id: NoteKeyId,
    signature: Vec<u8>,
}

/// Bytes that are no note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// They are too many.
    #[error("a note of {found} bytes, at most {NOTE_BYTES_MAX} expected")]
    Bytes {
        /// How many.
        found: usize,
    },
    /// They are not text.
    #[error("a note that is not UTF-8")]
    Utf8,
    /// There is a control character other than the end of a line.
    #[error("a note with the control character {found:?}")]
    Control {
        /// Which.
        found: char,
    },
    /// There is no text before an empty line, or the last line has no end.
    #[error("a note without the empty line between text and signatures, or without the end of its last line")]
    Parts,
    /// There is no signature, or more than anybody looks at.
    #[error("a note with {found} signatures, 1 to {SIGNATURES_MAX} expected")]
    Signatures {
        /// How many.
        found: usize,
    },
    /// A line by a signer is not written as it must be.
    #[error("signature {number} of a note is not a dash, a key's name and Base64 of an id and a signature")]
    Line {
        /// Which, counted from 1.
        number: usize,
    },
}

/// Text that is not the line of a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signature line: a dash, a key's name and Base64 of an id and a signature expected")]
pub struct SignatureLineError;

/// Why a signature in a note does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// There is none by the key.
    #[error("no signature of {name} with its key {id}")]
    Missing {
        /// Whose.
        name: KeyName,
        /// With which key.
        id: NoteKeyId,
    },
    /// There is one, and it does not hold.
    #[error("the signature of {name} with its key {id} is not over this text")]
    Failed {
        /// Whose.
        name: KeyName,
        /// With which key.
        id: NoteKeyId,
    },
    /// It has another length than its type's signatures have.
    #[error("the signature of {name} with its key {id} has {found} bytes, {expected} expected")]
    Length {
        /// Whose.
        name: KeyName,
        /// With which key.
        id: NoteKeyId,
        /// Bytes after the id.
        found: usize,
        /// What they must be.
        expected: usize,
    },
    /// It says a time that nothing happens at.
    #[error("the signature of {name} with its key {id} says {found} s of Unix time, which is none")]
    Time {
        /// Whose.
        name: KeyName,
        /// With which key.
        id: NoteKeyId,
        /// The time in the line.
        found: u64,
    },
    /// The key's signatures are of another type than what is verified here.
    #[error("the key {id} of {name} makes other signatures than those over a note's text")]
    Type {
        /// Whose.
        name: KeyName,
        /// Which key.
        id: NoteKeyId,
    },
}

impl Note {
    /// Puts text and lines together.
    ///
    /// # Errors
    /// [`NoteError`] where they make no note.
    pub fn new(text: String, lines: Vec<SignatureLine>) -> Result<Self, NoteError> {
        within_bounds(&text, lines.len())?;
        if !text.ends_with('\n') {
            return Err(NoteError::Parts);
        }
        let note = Self { text, lines };
        let found = note.bytes();
        if found > NOTE_BYTES_MAX { Err(NoteError::Bytes { found }) } else { Ok(note) }
    }

    /// Reads a note's exact bytes.
    ///
    /// # Errors
    /// [`NoteError`] by what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Bytes { found: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Utf8)?;
        // Text may have empty lines: the last one is what divides.
        let middle = whole.rfind("\n\n").ok_or(NoteError::Parts)?;
        let (text, signed) = (&whole[..=middle], &whole[middle + 2..]);
        within_bounds(whole, signed.lines().count())?;
        let signed = signed.strip_suffix('\n').ok_or(NoteError::Parts)?;
        let line = |(number, line): (usize, &str)| line.parse().map_err(|_| NoteError::Line { number });
        let lines = (1..).zip(signed.split('\n')).map(line).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), lines })
    }

    /// Gives the text, with the end of its last line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the lines by signers, in the note's order.
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// Adds a line, where the note has none by a key of that name and id; says whether it did.
    ///
    /// # Errors
    /// [`NoteError::Signatures`] and [`NoteError::Bytes`] where the note would be beyond its bounds.
    pub fn add(&mut self, line: SignatureLine) -> Result<bool, NoteError> {
        if self.lines.iter().any(|it| it.name == line.name && it.id == line.id) {
            return Ok(false);
        }
        within_bounds("", self.lines.len() + 1)?;
        self.lines.push(line);
        let found = self.bytes();
        if found > NOTE_BYTES_MAX {
            self.lines.pop();
            return Err(NoteError::Bytes { found });
        }
        Ok(true)
    }

    /// Holds the signatures of a key over the text to it. Its type is [`SignatureType::Ed25519`]; others are over a checkpoint.
    ///
    /// # Errors
    /// [`LineError`] where there is none, or any of them does not hold.
    pub fn verify(&self, key: &NoteKey) -> Result<(), LineError> {
        let (name, id) = (key.name().clone(), key.id());
        if key.signature_type() != SignatureType::Ed25519 {
            return Err(LineError::Type { name, id });
        }
        let mut held = false;
        for line in key.lines_in(self) {
            let plain = Plain::of(self.text.as_bytes()).ok();
            let holds = plain.is_some_and(|plain| key.key().verify(plain, &line.signature).is_ok());
            if !holds {
                return Err(LineError::Failed { name, id });
            }
            held = true;
        }
        if held { Ok(()) } else { Err(LineError::Missing { name, id }) }
    }

    fn bytes(&self) -> usize {
        // Base64 has four characters for three bytes.
        let line = |it: &SignatureLine| {
            DASH.len() + it.name.len() + 2 + (ID_BYTES + it.signature.len()).div_ceil(3) * 4
        };
        self.text.len() + 1 + self.lines.iter().map(line).sum::<usize>()
    }
}

/// Shows the note's exact bytes.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn within_bounds(text: &str, signatures: usize) -> Result<(), NoteError> {
    if let Some(found) = text.chars().find(|one| *one < ' ' && *one != '\n') {
        return Err(NoteError::Control { found });
    }
    let enough = (1..=SIGNATURES_MAX).contains(&signatures);
    if enough { Ok(()) } else { Err(NoteError::Signatures { found: signatures }) }
}

impl SignatureLine {
    /// Takes a key and what its signature is, for its type: the signature, or a time and the signature.
    pub(super) fn of(key: &NoteKey, signature: Vec<u8>) -> Self {
        Self { name: key.name().as_str().into(), id: key.id(), signature }
    }

    /// Gives the signer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the key's id.
    pub fn id(&self) -> NoteKeyId {
        self.id
    }

    /// Gives what comes after the id: for a cosignature, eight bytes of time and the signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// Shows the line without its end.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.0.to_be_bytes().as_slice(), &self.signature].concat();
        write!(f, "{DASH}{} {}", self.name, text::to_base64(&bytes))
    }
}

impl FromStr for SignatureLine {
    type Err = SignatureLineError;

    /// Reads a line without its end.
    fn from_str(line: &str) -> Result<Self, SignatureLineError> {
        let read = || {
            let (name, base64) = line.strip_prefix(DASH)?.split_once(' ')?;
            let bytes = text::base64(base64)?;
            let (id, signature) = bytes.split_first_chunk::<ID_BYTES>()?;
            let right = KeyName::may_be(name) && !signature.is_empty() && line.len() <= NOTE_BYTES_MAX;
            let id = NoteKeyId(u32::from_be_bytes(*id));
            right.then(|| Self { name: name.into(), id, signature: signature.to_vec() })
        };
        read().ok_or(SignatureLineError)
    }
}

/// Shows whose it is.
impl fmt::Debug for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureLine({} {})", self.name, self.id)
    }
}
