//! Cosignatures: a witness's word that a checkpoint follows from all that it has seen of the log.
//!
//! Owns the messages that are cosigned and the rule that a witness counts once, where both algorithms hold and say one time.
//! Never says who is a witness, nor how many are enough: [`super::Quorum`] does.
//!
//! A witness signs both lines at once, so they say one time. Were one algorithm broken, a forged line with an earlier time would
//! stand alone and not count. Source: C2SP `tlog-cosignature`.

use std::fmt;
use std::num::NonZeroU64;

use super::checkpoint::Checkpoint;
use super::key::{KeyName, NoteKey, SignatureType};
use super::note::{LineError, Note, SignatureLine};
use crate::seal::{Plain, SigningKey, VerifyingKey};

/// The latest time that a cosignature may say.
const SECONDS_MAX: u64 = i64::MAX as u64;
const TIME_BYTES: usize = 8;
const ED25519_BYTES: usize = 64;
/// FIPS 204, table 2.
const ML_DSA_BYTES: usize = 2420;
/// Begins what ML-DSA-44 signs.
const SUBTREE_LABEL: &[u8; 12] = b"subtree/v1\n\0";

/// A time: whole seconds since 1970-01-01 00:00 UTC, leap seconds not counted. Never 0, which stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(NonZeroU64);

impl UnixSeconds {
    /// Takes seconds, 1 to 2^63 - 1; `None` for others.
    pub fn new(seconds: u64) -> Option<Self> {
        NonZeroU64::new(seconds).filter(|it| it.get() <= SECONDS_MAX).map(Self)
    }

    /// Gives the seconds.
    pub fn seconds(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A witness's name and both of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessVerifier {
    ed25519: NoteKey,
    ml_dsa: NoteKey,
}

impl WitnessVerifier {
    /// Takes a witness's name and key.
    pub fn new(name: KeyName, key: &VerifyingKey) -> Self {
        Self {
            ed25519: NoteKey::new(name.clone(), SignatureType::CosignatureEd25519, key),
            ml_dsa: NoteKey::new(name, SignatureType::CosignatureMlDsa44, key),
        }
    }

    /// Gives the witness's name.
    pub fn name(&self) -> &KeyName {
        self.ed25519.name()
    }

    /// Gives the keys, for programs of others: Ed25519's, then ML-DSA-44's.
    pub fn keys(&self) -> [&NoteKey; 2] {
        [&self.ed25519, &self.ml_dsa]
    }

    /// Says when the witness cosigned a checkpoint, by the lines of its note: `None` where there is no pair by both algorithms
    /// at one time. Of several pairs the earliest counts, for each says that it was so by then.
    ///
    /// # Errors
    /// [`LineError`] where a line by one of the keys does not hold: the note was altered.
    pub fn cosigned(&self, checkpoint: &Checkpoint, note: &Note) -> Result<Option<UnixSeconds>, LineError> {
        let one = times_of(checkpoint, &self.ed25519, note)?;
        let two = times_of(checkpoint, &self.ml_dsa, note)?;
        Ok(one.into_iter().filter(|time| two.contains(time)).flatten().min())
    }

    /// Holds the two lines that a witness handed in to a checkpoint, before they are added to its note.
    ///
    /// # Errors
    /// [`LineError`] where they are not one by each of its keys at one time, or do not hold.
    pub fn verify(
        &self,
        checkpoint: &Checkpoint,
        lines: &[SignatureLine; 2],
    ) -> Result<UnixSeconds, LineError> {
        let note = Note::new(checkpoint.text(), lines.to_vec());
        let missing = LineError::Missing { name: self.name().clone(), id: self.ml_dsa.id() };
        let Ok(note) = note else { return Err(missing) };
        self.cosigned(checkpoint, &note)?.ok_or(missing)
    }
}

/// Signs a checkpoint at a time, with the half of a key that is for the type of its note key.
pub(super) fn cosignature_line(
    checkpoint: &Checkpoint,
    as_key: &NoteKey,
    key: &SigningKey,
    at: UnixSeconds,
) -> SignatureLine {
    let message = message(checkpoint, as_key, at.seconds());
    let plain = Plain::of(&message).expect("a cosigned message begins with its label");
    let mut bytes = at.seconds().to_be_bytes().to_vec();
    bytes.extend(key.sign_plain(as_key.signature_type().algorithm(), plain));
    SignatureLine::of(as_key, bytes)
}

/// Gives the times of all lines of a note by a key, each verified; `None` for one that says no time.
///
/// Only a log's ML-DSA-44 line may say none; by any other key that is an error.
pub(super) fn times_of(
    checkpoint: &Checkpoint,
    key: &NoteKey,
    note: &Note,
) -> Result<Vec<Option<UnixSeconds>>, LineError> {
    key.lines_in(note).map(|line| time_of(checkpoint, key, line.signature())).collect()
}

fn time_of(checkpoint: &Checkpoint, key: &NoteKey, bytes: &[u8]) -> Result<Option<UnixSeconds>, LineError> {
    let (name, id) = (key.name().clone(), key.id());
    let expected = match key.signature_type() {
        SignatureType::CosignatureEd25519 => TIME_BYTES + ED25519_BYTES,
        SignatureType::CosignatureMlDsa44 => TIME_BYTES + ML_DSA_BYTES,
        SignatureType::Ed25519 => return Err(LineError::Type { name, id }),
    };
    let found = bytes.len();
    let (seconds, signature) = match bytes.split_first_chunk::<TIME_BYTES>() {
        Some(parts) if found == expected => parts,
        _ => return Err(LineError::Length { name, id, found, expected }),
    };
    let found = u64::from_be_bytes(*seconds);
    let by_log = key.name().as_str() == checkpoint.origin().as_str()
        && key.signature_type() == SignatureType::CosignatureMlDsa44;
    let time = UnixSeconds::new(found);
    if time.is_none() && !(found == 0 && by_log) {
        return Err(LineError::Time { name, id, found });
    }
    let message = message(checkpoint, key, found);
    let plain = Plain::of(&message).expect("a cosigned message begins with its label");
    let holds = key.key().verify(plain, signature);
    holds.map_err(|_| LineError::Failed { name, id }).map(|()| time)
}

/// Gives what is signed with a key that is not over a note's text.
pub(super) fn message(checkpoint: &Checkpoint, key: &NoteKey, seconds: u64) -> Vec<u8> {
    if key.signature_type() != SignatureType::CosignatureMlDsa44 {
        return format!("cosignature/v1\ntime {seconds}\n{}", checkpoint.text()).into_bytes();
    }
    let (name, origin, tree) = (key.name().as_str(), checkpoint.origin().as_str(), checkpoint.tree());
    let length = |text: &str| u8::try_from(text.len()).expect("a name has at most 255 bytes");
    let mut bytes = SUBTREE_LABEL.to_vec();
    bytes.push(length(name));
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&seconds.to_be_bytes());
    bytes.push(length(origin));
    bytes.extend_from_slice(origin.as_bytes());
    // A checkpoint is the subtree that begins at the first leaf.
    bytes.extend_from_slice(&0_u64.to_be_bytes());
    bytes.extend_from_slice(&tree.size.to_be_bytes());
    bytes.extend_from_slice(&tree.root.0);
    bytes
}
