//! What the hub's two logs are called, what stands in their leaves, and who bears witness.
//!
//! Owns the bytes that are hashed into a record: who checks evidence makes them again. Never makes a tree, and never checks a
//! signature. Format:
//! `docs/evidence.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use prost::Message as _;

use super::proto;
use crate::model::entry::{Entry, EntryKind, NONCE_BYTES};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Identity, Name};
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::proof::{
    CheckpointError, KeyName, LogVerifier, Member, Nonce, Origin, Quorum, QuorumError, Record,
    SignedCheckpoint, WitnessVerifier,
};
use crate::seal::{VerifyingKey, sha256};

/// Begins what a record of the directory is the hash of.
const DIRECTORY_DOMAIN: &[u8] = b"resguardo directory entry v1";
/// Bytes of the founding's digest that stand in a log's name.
const NAMED_BYTES: usize = 16;

/// One of the hub's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// What happened.
    Journal,
    /// Who is who.
    Directory,
}

impl Log {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Journal, Self::Directory];

    /// The last part of its name, and its folder's name at the hub.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Directory => "directory",
        }
    }

    /// Gives the log's name: that of its founding, which a trust file pins, and its own.
    pub fn origin(self, founding: &[u8; 32]) -> Origin {
        let mut name = String::from("resguardo-");
        for byte in &founding[..NAMED_BYTES] {
            // A string takes all that is written.
            let _ = write!(name, "{byte:02x}");
        }
        let name = format!("{name}/{}", self.name());
        name.parse().expect("it has no space and no plus")
    }

    /// Reads which log is asked for.
    ///
    /// # Errors
    /// [`crate::model::refusal::Reason::FieldInvalid`]
    pub fn from_wire(log: i32) -> Result<Self, Refusal> {
        match proto::Log::try_from(log) {
            Ok(proto::Log::Journal) => Ok(Self::Journal),
            Ok(proto::Log::Directory) => Ok(Self::Directory),
            _ => Err(Refusal::field("log", format!("{log} is none of the hub's logs, 1 and 2"))),
        }
    }

    /// Gives its number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Journal => proto::Log::Journal as i32,
            Self::Directory => proto::Log::Directory as i32,
        }
    }
}

/// An entry of the journal as its record has it: without its payload, which can be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<'a> {
    /// Its place.
    pub index: Index,
    /// The hub's time.
    pub time: UnixMicros,
    /// What it records.
    pub kind: EntryKind,
    /// Who answers for it, as a URI: 255 bytes at most.
    pub identity: &'a str,
    /// The statement, exact bytes; of a receipt what was signed and the signatures, without the list of what it covers, so that
    /// it can be shown to who was to know of one message alone.
    pub statement: Bytes,
}

impl<'a> From<&'a Entry> for Recorded<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { index, time, kind, identity, statement, .. } = entry;
        let statement = if *kind == EntryKind::Receipt { uncovered(statement) } else { statement.clone() };
        Self { index: *index, time: *time, kind: *kind, identity, statement }
    }
}

/// Gives what was signed of a receipt, and the signatures: the first two fields of it, which are those of `Signed`. What cannot be
/// read stays as it is.
pub fn uncovered(receipt: &Bytes) -> Bytes {
    let signed = proto::Signed::decode(receipt.clone());
    signed.map_or_else(|_| receipt.clone(), |signed| signed.encode_to_vec().into())
}

impl Recorded<'_> {
    /// Gives the bytes that its record is made of: index and time (8 bytes each, the lowest first), the number of its kind,
    /// the length of the identity (a byte each), the identity, the statement.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18 + self.identity.len() + self.statement.len());
        bytes.extend(self.index.0.to_le_bytes());
        bytes.extend(self.time.0.to_le_bytes());
        let identity_bytes = u8::try_from(self.identity.len()).expect("a journal takes no longer identity");
        bytes.extend([self.kind as u8, identity_bytes]);
        bytes.extend(self.identity.as_bytes());
        bytes.extend_from_slice(&self.statement);
        bytes
    }

    /// Gives its record.
    pub fn record(&self, nonce: &[u8; NONCE_BYTES]) -> Record {
        Record::of(&Nonce(*nonce), &self.to_bytes())
    }
}

/// Gives the record of an entry of the directory: of its exact bytes, with its signatures.
pub fn directory_record(entry: &[u8]) -> Record {
    Record(sha256(&[DIRECTORY_DOMAIN, entry].concat()))
}

/// Who bears witness, and how many are enough: a desk for its office, and whom the registrars name beside them.
///
/// # Errors
/// [`QuorumError`] where the directory asks for more than there are.
pub fn quorum(policy: &Policy) -> Result<Quorum, QuorumError> {
    let institutions: BTreeMap<&Name, &Name> = policy.offices().map(|(_, name, of)| (name, of)).collect();
    let desks = policy.desks().iter().filter(|(desk, _)| policy.counts(desk));
    let desks = desks.filter_map(|(desk, keys)| {
        let institution = institutions.get(&desk.office)?;
        Some(member(&Identity::Desk(desk.clone()), desk.office.as_str(), institution, &keys.unattended))
    });
    let others = policy.witnesses().iter().map(|(name, witness)| {
        let identity = Identity::Witness(name.clone());
        member(&identity, &identity.to_string(), &witness.institution, &witness.key)
    });
    let needed = policy.registrars().values().map(|it| it.institution.as_str().into()).collect();
    Quorum::new(desks.chain(others).collect(), policy.quorum() as usize, needed)
}

/// Holds a note to a key of the hub's, the present one first: what was kept may be signed by one before.
///
/// # Errors
/// [`CheckpointError`], by the present key.
pub fn opened(policy: &Policy, log: Log, note: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
    let founding = policy.entries().first().map_or([0; 32], |entry| entry.digest());
    let (origin, mut wrong) = (log.origin(&founding), None);
    for key in policy.hub_keys().iter().rev() {
        match LogVerifier::new(origin.clone(), key).open(note) {
            Ok(signed) => return Ok(signed),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    Err(wrong.unwrap_or(CheckpointError::NoKey))
}

/// The key by which somebody bears witness; `None` for who does not.
pub fn witness(policy: &Policy, identity: &Identity) -> Option<WitnessVerifier> {
    let key = match identity {
        Identity::Desk(desk) if policy.counts(desk) => &policy.desks().get(desk)?.unattended,
        Identity::Witness(name) => &policy.witnesses().get(name)?.key,
        _ => return None,
    };
    Some(witness_of(identity, key))
}

/// Somebody as a witness, by a key.
pub fn witness_of(identity: &Identity, key: &VerifyingKey) -> WitnessVerifier {
    WitnessVerifier::new(key_name(identity), key)
}

/// The name under which somebody cosigns: the identity.
pub fn key_name(identity: &Identity) -> KeyName {
    identity.to_string().parse().expect("an identity has no space and no plus")
}

fn member(identity: &Identity, office: &str, institution: &Name, key: &VerifyingKey) -> Member {
    Member {
        witness: witness_of(identity, key),
        office: office.into(),
        institution: institution.as_str().into(),
    }
}
