//! The manifest inside a sealing, between exact bytes and what it says.
//!
//! Owns its form. Never seals, and never checks a signature: policy does.

use bytes::Bytes;
use prost::Message as _;

use super::convert::{array, decode, desk, id_bytes, message_id, name, number};
use super::proto;
use super::signed::Signed;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::identity::{Desk, Name};
use crate::model::refusal::Refusal;
use crate::seal::{Kind, MANIFEST_BYTES_MAX, SigningKey};

/// What of a message is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// Its payload.
    Payload = 1,
    /// A file.
    File = 2,
    /// A person's note in a receipt about it.
    Note = 3,
}

/// Who sealed what, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedManifest {
    /// The desk that sealed it.
    pub sender: Desk,
    /// The offices that it is for, ascending by name.
    pub recipients: Vec<Name>,
    /// The message.
    pub message_id: MessageId,
    /// What of it.
    pub part: Part,
    /// The SHA-256 of the content.
    pub content_digest: [u8; 32],
}

impl SealedManifest {
    /// That of a part of a message.
    pub fn of(envelope: &Envelope, part: Part, content_digest: [u8; 32]) -> Self {
        let (sender, recipients) = (envelope.sender.clone(), envelope.offices().cloned().collect());
        Self { sender, recipients, message_id: envelope.message_id, part, content_digest }
    }

    /// Signs it: the bytes that are sealed.
    pub fn signed_by(&self, key: &SigningKey) -> Bytes {
        let wire = proto::SealedManifest {
            sender: self.sender.to_string(),
            recipients: self.recipients.iter().map(Name::to_string).collect(),
            message_id: id_bytes(self.message_id),
            part: self.part as i32,
            content_digest: Bytes::copy_from_slice(&self.content_digest),
        };
        Signed::by(key, Kind::Manifest, wire.encode_to_vec().into()).to_bytes()
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Reason::Malformed`](crate::model::refusal::Reason::Malformed),
    /// [`Reason::SignatureInvalid`](crate::model::refusal::Reason::SignatureInvalid),
    /// [`Reason::FieldInvalid`](crate::model::refusal::Reason::FieldInvalid) with the field.
    pub fn read(bytes: &Bytes) -> Result<(Self, Signed), Refusal> {
        let signed = Signed::read("manifest", bytes, MANIFEST_BYTES_MAX)?;
        let wire: proto::SealedManifest = decode("manifest", &signed.statement, MANIFEST_BYTES_MAX)?;
        let recipients = wire.recipients.iter().map(|office| name("recipients", office));
        let manifest = Self {
            sender: desk("sender", &wire.sender)?,
            recipients: recipients.collect::<Result<_, _>>()?,
            message_id: message_id("message_id", &wire.message_id)?,
            part: number("part", wire.part, Part::from_number)?,
            content_digest: array("content_digest", &wire.content_digest)?,
        };
        Ok((manifest, signed))
    }
}

impl Part {
    fn from_number(number: i32) -> Option<Self> {
        [Self::Payload, Self::File, Self::Note].into_iter().find(|part| *part as i32 == number)
    }
}
