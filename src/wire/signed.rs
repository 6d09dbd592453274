//! What offices sign, between exact bytes and the model: envelopes and receipts.
//!
//! Owns the form of what stands around a statement, and that a statement is read only from the bytes that were signed. Never
//! checks a signature: policy does.

use bytes::Bytes;
use prost::Message as _;

use super::convert::{self, array, decode, message_id};
use super::proto;
use crate::model::envelope::{Envelope, SIGNED_ENVELOPE_BYTES_MAX};
use crate::model::id::Index;
use crate::model::receipt::{Covered, RECEIPT_BYTES_MAX, Receipt, SALT_BYTES, SEED_BYTES, Stage, cover_salt};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{KeyId, Kind, Signature, SigningKey, sha256};

/// A statement's exact bytes, and who signed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The exact bytes.
    pub statement: Bytes,
    /// The signatures, each with the key that it is said to be of.
    pub signatures: Vec<(KeyId, Signature)>,
}

impl Signed {
    /// Signs a statement.
    pub fn by(key: &SigningKey, kind: Kind, statement: Bytes) -> Self {
        let signatures = vec![(key.verifying_key().id(), key.sign(kind, &statement))];
        Self { statement, signatures }
    }

    /// Reads what stands around a statement, which is not looked at.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::SignatureInvalid`] for bytes that cannot be a signature.
    pub fn read(what: &str, bytes: &Bytes, bytes_max: usize) -> Result<Self, Refusal> {
        let proto::Signed { statement, signatures } = decode(what, bytes, bytes_max)?;
        Ok(Self { statement, signatures: read_signatures(&signatures)? })
    }

    /// Encodes it.
    pub fn to_bytes(&self) -> Bytes {
        let signatures = wire_signatures(&self.signatures);
        proto::Signed { statement: self.statement.clone(), signatures }.encode_to_vec().into()
    }
}

/// An envelope as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEnvelope {
    /// What it says.
    pub envelope: Envelope,
    /// What was signed.
    pub signed: Signed,
}

impl SignedEnvelope {
    /// Reads one.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::SignatureInvalid`], [`Reason::FieldInvalid`] with the field.
    pub fn read(bytes: &Bytes) -> Result<Self, Refusal> {
        let signed = Signed::read("envelope", bytes, SIGNED_ENVELOPE_BYTES_MAX)?;
        Ok(Self { envelope: convert::envelope(&signed.statement)?, signed })
    }

    /// Signs one.
    pub fn by(key: &SigningKey, envelope: Envelope) -> Self {
        let signed = Signed::by(key, Kind::Envelope, convert::envelope_bytes(&envelope));
        Self { envelope, signed }
    }

    /// Gives the digest of what was signed, by which receipts name it.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.signed.statement)
    }
}

/// A receipt as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What it says, and which messages it covers.
    pub receipt: Receipt,
    /// What was signed.
    pub signed: Signed,
    seed: [u8; SEED_BYTES],
}

impl SignedReceipt {
    /// Reads one, and holds what it covers to what was signed.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::SignatureInvalid`], [`Reason::FieldInvalid`] with the field.
    pub fn read(bytes: &Bytes) -> Result<Self, Refusal> {
        let wire: proto::SignedReceipt = decode("receipt", bytes, RECEIPT_BYTES_MAX)?;
        let seed = array("seed", &wire.seed)?;
        let covered = wire.messages.iter().map(covered).collect::<Result<Vec<_>, _>>()?;
        let (receipt, stated) = convert::receipt(&wire.statement, covered)?;
        let holds = |(stated, cover): (&Bytes, [u8; 32])| stated[..] == cover;
        if stated.len() != receipt.messages.len()
            || !stated.iter().zip(covers(&receipt.messages, &seed)).all(holds)
        {
            let message = "the messages are not those that the signed receipt covers: hand up the ones that it was made of";
            return Err(Refusal::field("covers", message));
        }
        let signatures = read_signatures(&wire.signatures)?;
        Ok(Self { receipt, signed: Signed { statement: wire.statement, signatures }, seed })
    }

    /// Signs one; `seed` is random.
    pub fn by(key: &SigningKey, receipt: Receipt, seed: [u8; SEED_BYTES]) -> Self {
        let unsigned = Self::unsigned(receipt, seed);
        let signed = Signed::by(key, Kind::Receipt, unsigned.signed.statement);
        Self { signed, ..unsigned }
    }

    /// Makes one that nobody has signed.
    pub fn unsigned(receipt: Receipt, seed: [u8; SEED_BYTES]) -> Self {
        let covers = pieces::<32>(covers(&receipt.messages, &seed));
        let statement = convert::receipt_bytes(&receipt, covers);
        let signed = Signed { statement, signatures: Vec::new() };
        Self { receipt, signed, seed }
    }

    /// Names its only message by another place: the hub has it there since it was restored. What was signed stays.
    pub fn move_to(&mut self, index: Index) {
        for covered in &mut self.receipt.messages {
            covered.index = index;
        }
    }

    /// Gives the place and the salt of the cover of a message, by its index: they open it and no other. `None`: it covers no such
    /// message.
    pub fn opening(&self, message: Index) -> Option<(usize, [u8; SALT_BYTES])> {
        let place = self.receipt.messages.iter().position(|it| it.index == message)?;
        Some((place, cover_salt(&self.seed, place)))
    }

    /// Encodes it.
    pub fn to_bytes(&self) -> Bytes {
        let messages = &self.receipt.messages;
        let ids = pieces(messages.iter().map(|it| *it.message_id.as_bytes()));
        let digests = pieces(messages.iter().map(|it| it.digest));
        let messages =
            messages.iter().zip(ids.into_iter().zip(digests)).map(|(it, (message_id, envelope_digest))| {
                proto::CoveredMessage { index: it.index.0, message_id, envelope_digest }
            });
        let wire = proto::SignedReceipt {
            statement: self.signed.statement.clone(),
            signatures: wire_signatures(&self.signed.signatures),
            messages: messages.collect(),
            seed: Bytes::copy_from_slice(&self.seed),
        };
        wire.encode_to_vec().into()
    }
}

/// A receipt of which some covers were opened: what else it covers stays hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedReceipt {
    /// What it says, of the messages whose covers were opened.
    pub receipt: Receipt,
    /// What was signed.
    pub signed: Signed,
    /// How many covers it has.
    pub covers: usize,
}

impl OpenedReceipt {
    /// Reads what was signed of a receipt, and holds the cover at a place to a message.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::SignatureInvalid`], [`Reason::FieldInvalid`] with the field:
    /// `covers` where the cover is another's, or beside others of a stage that is stated of one message.
    pub fn read(
        bytes: &Bytes,
        message: Covered,
        (place, salt): (usize, &[u8; SALT_BYTES]),
    ) -> Result<Self, Refusal> {
        Self::read_covers(bytes, &[(message, place, *salt)])
    }

    /// Reads what was signed of a receipt, and holds some of its covers, by their places, to messages: ascending by index, none where
    /// it is about notices alone.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_covers(
        bytes: &Bytes,
        opened: &[(Covered, usize, [u8; SALT_BYTES])],
    ) -> Result<Self, Refusal> {
        let signed = Signed::read("receipt", bytes, RECEIPT_BYTES_MAX)?;
        let messages = opened.iter().map(|(message, ..)| *message).collect();
        let (receipt, stated) = convert::receipt(&signed.statement, messages)?;
        let one = !matches!(receipt.stage, Stage::Received | Stage::Erased);
        if one && stated.len() != 1 {
            let message = format!("{} is stated of one message; this covers {}", receipt.stage, stated.len());
            return Err(Refusal::field("covers", message));
        }
        for (message, place, salt) in opened {
            if stated.get(*place).is_none_or(|cover| cover[..] != message.cover_salted(salt)) {
                let message = format!("cover {place} of the signed receipt is not of this message and salt");
                return Err(Refusal::field("covers", message));
            }
        }
        Ok(Self { covers: stated.len(), receipt, signed })
    }
}

fn covers(covered: &[Covered], seed: &[u8; SEED_BYTES]) -> impl Iterator<Item = [u8; 32]> {
    covered.iter().enumerate().map(|(place, it)| it.cover(seed, place))
}

/// Gives parts of one length, which share their memory.
fn pieces<const BYTES: usize>(parts: impl Iterator<Item = [u8; BYTES]>) -> Vec<Bytes> {
    let all = Bytes::from(parts.collect::<Vec<_>>().into_flattened());
    (0..all.len() / BYTES).map(|place| all.slice(place * BYTES..(place + 1) * BYTES)).collect()
}

fn covered(wire: &proto::CoveredMessage) -> Result<Covered, Refusal> {
    Ok(Covered {
        index: Index(wire.index),
        message_id: message_id("messages.message_id", &wire.message_id)?,
        digest: array("messages.envelope_digest", &wire.envelope_digest)?,
    })
}

/// Puts signatures on the wire.
pub(super) fn wire_signatures(signatures: &[(KeyId, Signature)]) -> Vec<proto::Signature> {
    let wire = signatures.iter().map(|(id, signature)| proto::Signature {
        key_id: Bytes::copy_from_slice(&id.0),
        ed25519: Bytes::copy_from_slice(signature.ed25519()),
        ml_dsa_44: Bytes::copy_from_slice(signature.ml_dsa_44()),
    });
    wire.collect()
}

/// Reads signatures from the wire.
///
/// # Errors
/// [`Reason::SignatureInvalid`], [`Reason::FieldInvalid`].
pub(super) fn read_signatures(wire: &[proto::Signature]) -> Result<Vec<(KeyId, Signature)>, Refusal> {
    let read = |it: &proto::Signature| {
        let signature = Signature::from_parts(&it.ed25519, &it.ml_dsa_44);
        let signature =
            signature.map_err(|found| Refusal::new(Reason::SignatureInvalid, found.to_string()))?;
        Ok((KeyId(array("signatures.key_id", &it.key_id)?), signature))
    };
    wire.iter().map(read).collect()
}
