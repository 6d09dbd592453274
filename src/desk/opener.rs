//! Opening what is sealed to this office, and holding it to who sealed it.
//!
//! Owns the office's keys while a program runs, and the rule that nothing is shown before all of it holds. Never touches a
//! disk; never shows a key.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::home::Home;
use super::inbox::Kept;
use super::live::Live;
use super::members::Members;
use super::notes;
use super::outbox::Outgoing;
use super::reseal::answers::{AnswerError, Answers, Resealed};
use super::store::StoreError;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::policy::{Policy, Stated, When};
use crate::model::receipt::Receipt;
use crate::model::refusal::Refusal;
use crate::seal::{FileKey, Kind, OpenError, Opened, OpeningKey, open_bytes, open_bytes_with, sha256};
use crate::wire::manifest::{Part, SealedManifest};
use crate::wire::note::OfficerNote;

/// Largest content of a payload, in bytes: far above what a hub takes.
const CONTENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An office's keys, as long as they are needed.
#[derive(Clone)]
pub struct Opener {
    keys: Live<Vec<OpeningKey>>,
}

/// A content that was opened, all of which holds. It is overwritten with the last that holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Clear(pub Bytes);

impl Clear {
    fn of(content: Vec<u8>) -> Self {
        Self(Bytes::from_owner(Zeroizing::new(content)))
    }
}

/// Why something is not shown. The words name no person and no place.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be opened.
    #[error("what is sealed cannot be opened: {0}")]
    Sealing(#[from] OpenError),
    /// What stands inside cannot be read, or is not signed as it must be.
    #[error("what stands inside the sealing does not count: {0}")]
    Manifest(Refusal),
    /// Nobody has unlocked the keys.
    #[error("it is sealed, and the keys of this home are not unlocked")]
    Locked,
    /// It was sealed as something else.
    #[error("what is sealed belongs to another message: its {0} is not the envelope's")]
    Other(&'static str),
    /// It is sealed to other keys, and what came to seal it again does not do so.
    #[error(
        "it is sealed to other keys, and the answer {id} to a request to seal it again does not count: {why}"
    )]
    Answer {
        /// The answer.
        id: MessageId,
        /// Why.
        why: AnswerError,
    },
    /// It is sealed to other keys, and what came to seal it again cannot be looked for.
    #[error("it is sealed to other keys, and what came to seal it again cannot be looked for: {0}")]
    Answers(StoreError),
}

impl Opener {
    /// Takes an office's keys, the newest first.
    pub fn new(keys: Vec<OpeningKey>) -> Self {
        Self { keys: Live::new(keys) }
    }

    /// Opens the payload of a message, and holds it to its envelope.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn open(&self, policy: &Policy, envelope: &Envelope, payload: &[u8]) -> Result<Clear, Unreadable> {
        payload_of(policy, envelope, open_bytes(payload, &self.keys(), CONTENT_BYTES_MAX)?)
    }

    /// Opens the payload of a message with the key of its sealing, which no office keeps, and holds it to its envelope.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub(super) fn open_with(
        policy: &Policy,
        envelope: &Envelope,
        payload: &[u8],
        key: &FileKey,
    ) -> Result<Clear, Unreadable> {
        payload_of(policy, envelope, open_bytes_with(payload, key, CONTENT_BYTES_MAX)?)
    }

    /// Opens what this office keeps for itself.
    ///
    /// # Errors
    /// [`Unreadable::Sealing`]
    pub fn own(&self, sealed: &[u8]) -> Result<Clear, Unreadable> {
        Ok(Clear::of(open_bytes(sealed, &self.keys(), CONTENT_BYTES_MAX)?.content))
    }

    /// Tells whether what is sealed to a key, by its id, can be opened.
    pub fn holds(&self, key: &[u8; 32]) -> bool {
        self.keys().iter().any(|it| sha256(&it.recipient().to_bytes()) == *key)
    }

    /// Opens what is in memory, and holds it to nothing.
    pub(super) fn open_bytes(&self, sealed: &[u8], content_bytes_max: u64) -> Result<Opened, OpenError> {
        open_bytes(sealed, &self.keys(), content_bytes_max)
    }

    /// The keys.
    pub fn keys(&self) -> Arc<Vec<OpeningKey>> {
        self.keys.get()
    }

    /// Opens with the keys of another from now on, wherever this one is held.
    pub(super) fn follow(&self, other: &Self) {
        self.keys.follow(&other.keys);
    }
}

/// What a home can read: the office's keys, where a person has unlocked them, and the directory that senders are held to.
#[derive(Clone, Debug)]
pub struct Reader {
    opener: Option<Opener>,
    policy: Arc<Policy>,
    answers: Answers,
}

impl Reader {
    /// Reads with these keys, if there are any, and the directory as the home knows it.
    pub fn of(home: &Home, opener: Option<Opener>) -> Self {
        Self { opener, policy: known(home), answers: Answers::of(home) }
    }

    /// Opens a message that came.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn came(&self, kept: &Kept) -> Result<Clear, Unreadable> {
        self.opened(kept).0
    }

    /// Opens a message that came, and says how it was sealed again where none of the office's keys opens it.
    pub fn opened(&self, kept: &Kept) -> (Result<Clear, Unreadable>, Option<Resealed>) {
        let keys = match self.opener() {
            Ok(keys) => keys,
            Err(locked) => return (Err(locked), None),
        };
        let lost = match keys.open(&self.policy, &kept.envelope, &kept.payload) {
            Err(lost @ Unreadable::Sealing(OpenError::NotForTheseKeys { .. })) => lost,
            opened => return (opened, None),
        };
        match self.answers.open((keys, &self.policy), kept) {
            Ok(Some((clear, resealed))) => (Ok(clear), Some(resealed)),
            Ok(None) => (Err(lost), None),
            Err(why) => (Err(why), None),
        }
    }

    /// Opens a message of this desk, also a draft.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn went(&self, outgoing: &Outgoing) -> Result<Clear, Unreadable> {
        // It never left this desk's disk: there is nobody to hold it to.
        self.opener()?.own(&outgoing.payload)
    }

    /// Opens the note that came with a receipt; `None`: there is none.
    pub fn note(&self, receipt: &Receipt, note: &[u8]) -> Option<Result<OfficerNote, Unreadable>> {
        let open = |opener| notes::open(opener, &self.policy, receipt, note);
        (!note.is_empty()).then(|| self.opener().and_then(open))
    }

    /// The keys.
    ///
    /// # Errors
    /// [`Unreadable::Locked`]
    pub fn opener(&self) -> Result<&Opener, Unreadable> {
        self.opener.as_ref().ok_or(Unreadable::Locked)
    }

    /// The directory.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

/// The directory as a home knows it; none, as long as the hub was never asked, or where the copy does not count.
pub(super) fn known(home: &Home) -> Arc<Policy> {
    let copied = Members::copied(home).ok().flatten();
    Arc::new(copied.map(|members| members.policy().clone()).unwrap_or_default())
}

fn payload_of(policy: &Policy, envelope: &Envelope, opened: Opened) -> Result<Clear, Unreadable> {
    let Opened { manifest, content } = opened;
    let clear = Clear::of(content);
    hold(policy, envelope, Part::Payload, manifest, &sha256(&clear.0))?;
    Ok(clear)
}

/// Holds the manifest of a sealing to its signature, its envelope and its content.
///
/// # Errors
/// [`Unreadable::Manifest`], [`Unreadable::Other`].
pub(super) fn hold(
    policy: &Policy,
    envelope: &Envelope,
    part: Part,
    manifest: Vec<u8>,
    content_digest: &[u8; 32],
) -> Result<(), Unreadable> {
    let (manifest, signed) = SealedManifest::read(&manifest.into()).map_err(Unreadable::Manifest)?;
    let (statement, signatures) = (&signed.statement, &signed.signatures);
    let stated = Stated { desk: &manifest.sender, kind: Kind::Manifest, statement, signatures };
    policy.check_envelope(stated, When::Once).map_err(Unreadable::Manifest)?;
    let is = |same: bool, what| if same { Ok(()) } else { Err(Unreadable::Other(what)) };
    is(manifest.sender == envelope.sender, "sender")?;
    is(manifest.message_id == envelope.message_id, "message id")?;
    is(manifest.recipients.iter().eq(envelope.offices()), "list of recipients")?;
    is(manifest.part == part, "part")?;
    is(manifest.content_digest == *content_digest, "content")
}

/// Shows nothing of it.
impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

/// Shows nothing of it.
impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clear")
    }
}
