//! An officer's note, between exact bytes and what it says.
//!
//! Owns its form and that it is read only from the bytes that were signed. Never seals.

use bytes::Bytes;
use prost::Message as _;

use super::convert::{array, decode, id_bytes, message_id, number};
use super::manifest::{Part, SealedManifest};
use super::proto;
use super::signed::Signed;
use crate::model::envelope::MessageId;
use crate::model::id::UnixMicros;
use crate::model::policy::{Policy, Stated, When};
use crate::model::receipt::{Action, Covered, NOTE_BYTES_MAX, Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{Kind, Opened, SigningKey, VerifyingKey, sha256};

/// Longest name of an officer, in bytes.
pub const OFFICER_BYTES_MAX: usize = 128;
/// Longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Largest content of a sealed note, in bytes.
pub const CONTENT_BYTES_MAX: u64 = 16 * 1024;

/// Why a note that was opened does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// What stands in it cannot be read, or is not signed as it must be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was sealed as something else: what of it differs.
    #[error("its {0} is another's")]
    Other(&'static str),
}

/// Who stated a person's stage, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficerNote {
    /// The officer, as their office knows them.
    pub officer: String,
    /// The officer's key.
    pub key: VerifyingKey,
    /// The message.
    pub message_id: MessageId,
    /// The digest of its envelope.
    pub digest: [u8; 32],
    /// The stage.
    pub stage: Stage,
    /// What was done.
    pub action: Option<Action>,
    /// When.
    pub at: UnixMicros,
    /// Why, or what is to be said about it.
    pub text: String,
}

impl OfficerNote {
    /// Checks what a person gave.
    ///
    /// # Errors
    /// [`Reason::FieldInvalid`] with the field.
    pub fn check(&self) -> Result<(), Refusal> {
        if !(1..=OFFICER_BYTES_MAX).contains(&self.officer.len()) {
            let message = format!("an officer has a name of 1 to {OFFICER_BYTES_MAX} bytes");
            return Err(Refusal::field("officer", message));
        }
        if self.text.len() > TEXT_BYTES_MAX {
            let found = self.text.len();
            let message = format!("a note has at most {TEXT_BYTES_MAX} bytes; this has {found}");
            return Err(Refusal::field("text", message));
        }
        let says_why = self.stage == Stage::Declined || self.action == Some(Action::None);
        if says_why && self.text.trim().is_empty() {
            return Err(Refusal::field("text", format!("{} needs a reason; none is given", self.stage)));
        }
        Ok(())
    }

    /// Signs it: the bytes that are sealed.
    pub fn signed_by(&self, key: &SigningKey) -> Bytes {
        let wire = proto::OfficerNote {
            officer: self.officer.clone(),
            officer_key: self.key.to_bytes().into(),
            message_id: id_bytes(self.message_id),
            envelope_digest: Bytes::copy_from_slice(&self.digest),
            stage: self.stage as i32,
            action: self.action.map_or(0, |action| action as i32),
            at_unix_us: self.at.0,
            text: self.text.clone(),
        };
        Signed::by(key, Kind::OfficerNote, wire.encode_to_vec().into()).to_bytes()
    }

    /// Reads one, holds it to the officer's signature, and to the receipt that it goes with.
    ///
    /// # Errors
    /// [`Reason::Malformed`], [`Reason::FieldInvalid`], [`Reason::SignatureMissing`], [`Reason::SignatureInvalid`];
    /// [`Reason::PayloadMismatch`] for one of another receipt.
    pub fn read(bytes: &Bytes, receipt: &Receipt) -> Result<Self, Refusal> {
        let signed = Signed::read("note", bytes, NOTE_BYTES_MAX)?;
        let wire: proto::OfficerNote = decode("note", &signed.statement, NOTE_BYTES_MAX)?;
        let key = VerifyingKey::from_bytes(&wire.officer_key);
        let key = key.map_err(|error| Refusal::field("officer_key", error.to_string()))?;
        let note = Self {
            officer: wire.officer,
            message_id: message_id("message_id", &wire.message_id)?,
            digest: array("envelope_digest", &wire.envelope_digest)?,
            stage: number("stage", wire.stage, Stage::from_number)?,
            action: match wire.action {
                0 => None,
                action => Some(number("action", action, Action::from_number)?),
            },
            at: UnixMicros(wire.at_unix_us),
            text: wire.text,
            key,
        };
        note.check()?;
        let [(id, signature)] = signed.signatures.as_slice() else {
            let message = "an officer signs a note once";
            return Err(Refusal::new(Reason::SignatureMissing, message).of_field("signatures"));
        };
        let holds = note.key.verify(Kind::OfficerNote, &signed.statement, signature);
        let holds = holds.map_err(|found| {
            Refusal::new(Reason::SignatureInvalid, format!("the officer's signature: {found}"))
        });
        holds?;
        if *id != note.key.id() || !note.is_of(receipt) {
            let message = "the note is of another receipt than the one that it came with";
            return Err(Refusal::new(Reason::PayloadMismatch, message));
        }
        Ok(note)
    }

    /// Reads one that was opened, and holds it to the desk that sealed it and to the receipt that it came with. That the receipt
    /// names the sealed bytes is for whoever has these.
    ///
    /// # Errors
    /// [`NoteError`]
    pub fn hold(policy: &Policy, receipt: &Receipt, opened: Opened) -> Result<Self, NoteError> {
        let Opened { manifest, content } = opened;
        let is = |same: bool, what| if same { Ok(()) } else { Err(NoteError::Other(what)) };
        let (manifest, signed) = SealedManifest::read(&manifest.into())?;
        let (statement, signatures) = (&signed.statement, &signed.signatures);
        let stated = Stated { desk: &manifest.sender, kind: Kind::Manifest, statement, signatures };
        policy.check_envelope(stated, When::Once)?;
        let of_message = matches!(receipt.messages.as_slice(), [Covered { message_id, .. }] if *message_id == manifest.message_id);
        is(of_message, "message id")?;
        is(manifest.sender == receipt.desk, "sender")?;
        is(manifest.part == Part::Note, "part")?;
        is(manifest.content_digest == sha256(&content), "content")?;
        Ok(Self::read(&content.into(), receipt)?)
    }

    fn is_of(&self, receipt: &Receipt) -> bool {
        let [Covered { message_id, digest, .. }] = receipt.messages.as_slice() else { return false };
        (self.message_id, self.digest) == (*message_id, *digest)
            && (self.stage, self.action, self.at) == (receipt.stage, receipt.action, receipt.at)
    }
}
