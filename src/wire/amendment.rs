//! Entries of the directory, between exact bytes and the model: amendments and rotations.
//!
//! Owns the form of a signed statement. Never checks a signature: policy does.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::convert::{array, decode};
use super::signed::{read_signatures, wire_signatures};
use super::trust::Trust;
use super::{fact, proto};
use crate::model::amendment::{Amendment, DirectoryEntry, ENTRY_BYTES_MAX, Rotation, SignedEntry};
use crate::model::id::{AmendmentNumber, UnixMicros};
use crate::model::policy::Policy;
use crate::model::refusal::{Reason, Refusal};
use crate::seal::SigningKey;

/// Decodes a signed entry.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field, [`Reason::SignatureInvalid`] for
/// bytes that cannot be a signature.
pub fn read(bytes: &Bytes) -> Result<SignedEntry, Refusal> {
    use proto::directory_entry::Entry as Wire;
    if bytes.len() > ENTRY_BYTES_MAX {
        let message = format!(
            "the entry has {} bytes; at most {ENTRY_BYTES_MAX} are taken, the keys of some two hundred offices: say the rest in \
             further amendments",
            bytes.len()
        );
        return Err(Refusal::new(Reason::TooLarge, message));
    }
    let wire: proto::DirectoryEntry = decode("entry", bytes, ENTRY_BYTES_MAX)?;
    let signed = |bytes: &Bytes| decode::<proto::Signed>("entry", bytes, ENTRY_BYTES_MAX);
    let (proto::Signed { statement, signatures }, entry) = match &wire.entry {
        Some(Wire::Amendment(bytes)) => {
            let signed = signed(bytes)?;
            let entry = DirectoryEntry::Amendment(amendment(&signed.statement)?);
            (signed, entry)
        }
        Some(Wire::Rotation(bytes)) => {
            let signed = signed(bytes)?;
            let entry = DirectoryEntry::Rotation(rotation(&signed.statement)?);
            (signed, entry)
        }
        None => {
            let message = "an entry of the directory is an amendment or a rotation; this is neither";
            return Err(Refusal::new(Reason::Malformed, message));
        }
    };
    let signatures = read_signatures(&signatures)?;
    Ok(SignedEntry { entry, statement, signatures })
}

/// Encodes a signed entry.
pub fn bytes(signed: &SignedEntry) -> Bytes {
    use proto::directory_entry::Entry as Wire;
    let signatures = wire_signatures(&signed.signatures);
    let exact = proto::Signed { statement: signed.statement.clone(), signatures }.encode_to_vec().into();
    let entry = match &signed.entry {
        DirectoryEntry::Amendment(_) => Wire::Amendment(exact),
        DirectoryEntry::Rotation(_) => Wire::Rotation(exact),
    };
    proto::DirectoryEntry { entry: Some(entry) }.encode_to_vec().into()
}

/// Makes an amendment that nobody has signed yet.
pub fn unsigned(amendment: Amendment) -> SignedEntry {
    let wire = proto::DirectoryAmendment {
        number: amendment.number.0,
        previous: Bytes::copy_from_slice(&amendment.previous),
        made_unix_us: amendment.made.0,
        facts: amendment.facts.iter().map(fact::wire).collect(),
    };
    let (entry, statement) = (DirectoryEntry::Amendment(amendment), wire.encode_to_vec().into());
    SignedEntry { entry, statement, signatures: Vec::new() }
}

/// Makes a rotation that nobody has signed yet.
pub fn unsigned_rotation(rotation: Rotation) -> SignedEntry {
    let wire = proto::KeyRotation {
        replaces: Bytes::copy_from_slice(&rotation.replaces),
        made_unix_us: rotation.made.0,
        fact: Some(fact::wire(&rotation.fact)),
        handover: rotation.handover.clone(),
    };
    let (entry, statement) = (DirectoryEntry::Rotation(rotation), wire.encode_to_vec().into());
    SignedEntry { entry, statement, signatures: Vec::new() }
}

/// Signs an entry with a further key; with the same one again, it stays as it is.
pub fn sign(signed: &mut SignedEntry, key: &SigningKey) {
    let id = key.verifying_key().id();
    if signed.signatures.iter().all(|(other, _)| *other != id) {
        signed.signatures.push((id, key.sign(signed.entry.kind(), &signed.statement)));
    }
}

/// Takes in entries, one after the other, each held to its signatures, and the first to what is trusted.
///
/// # Errors
/// [`Reason::FoundingForeign`] and whatever [`read`] and policy refuse; `policy` is not changed then.
pub fn follow(trust: Trust, mut policy: Policy, entries: &[Bytes]) -> Result<Policy, Refusal> {
    for bytes in entries {
        let signed = read(bytes)?;
        if policy.entries().is_empty() {
            trust.check(&signed)?;
        }
        policy.amend(&Arc::new(signed))?;
    }
    Ok(policy)
}

/// Encodes all entries of a directory, as a file.
pub fn directory_bytes(policy: &Policy) -> Bytes {
    let entries = policy.entries().iter().map(|signed| bytes(signed)).collect();
    let version = policy.version().0;
    let told = proto::DescribeDirectoryResponse { version, entries, ..Default::default() };
    told.encode_to_vec().into()
}

/// Reads a file with all entries of a directory, and follows them.
///
/// # Errors
/// [`Reason::Malformed`], and as [`follow`].
pub fn read_directory(trust: Trust, file: &Bytes) -> Result<Policy, Refusal> {
    let told: proto::DescribeDirectoryResponse = decode("directory", file, usize::MAX)?;
    follow(trust, Policy::default(), &told.entries)
}

fn amendment(statement: &Bytes) -> Result<Amendment, Refusal> {
    let wire: proto::DirectoryAmendment = decode("directory amendment", statement, ENTRY_BYTES_MAX)?;
    Ok(Amendment {
        number: AmendmentNumber(wire.number),
        previous: array("previous", &wire.previous)?,
        made: UnixMicros(wire.made_unix_us),
        facts: wire.facts.into_iter().map(fact::read).collect::<Result<_, _>>()?,
    })
}

fn rotation(statement: &Bytes) -> Result<Rotation, Refusal> {
    let wire: proto::KeyRotation = decode("key rotation", statement, ENTRY_BYTES_MAX)?;
    Ok(Rotation {
        replaces: array("replaces", &wire.replaces)?,
        made: UnixMicros(wire.made_unix_us),
        fact: fact::read(wire.fact.unwrap_or_default())?,
        handover: wire.handover,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::fact::Fact;
    use crate::model::identity::Name;
    use crate::model::policy::tests::{desk_fact, registrar_facts, registrars};
    use crate::model::refusal::Reason;
    use crate::seal::OpeningKey;

    /// Facts as the next amendment of a directory, signed with these keys.
    pub(crate) fn signed(policy: &Policy, facts: Vec<Fact>, keys: &[SigningKey]) -> SignedEntry {
        let mut signed = unsigned(policy.next_amendment(facts, UnixMicros(5)));
        for key in keys {
            sign(&mut signed, key);
        }
        signed
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// The founding of a small directory, as a registrar hands it to a hub.
    pub(crate) fn founding_bytes() -> Bytes {
        bytes(&signed(&Policy::default(), founding(), &registrars()))
    }

    /// What it says.
    pub(crate) fn founding() -> Vec<Fact> {
        let mut facts = vec![Fact::Institution(name("a")), Fact::Institution(name("b"))];
        facts.extend(registrar_facts([name("a"), name("b")]));
        facts.push(Fact::Office { name: name("one"), institution: name("a") });
        facts.push(desk_fact(crate::model::identity::Desk { office: name("one"), desk: name("desk-1") }, 11));
        let recipient = OpeningKey::generate(|seed| seed.fill(3)).recipient();
        facts.push(Fact::OfficeKey { office: name("one"), recipient });
        let one = || [name("one")].into();
        facts.push(Fact::Stream { name: name("s"), publishers: one(), subscribers: one() });
        facts.push(Fact::Headquarters(name("one")));
        facts
    }

    #[test]
    fn what_was_signed_reads_back_and_counts() {
        let signed = signed(&Policy::default(), founding(), &registrars());
        let bytes = bytes(&signed);
        let read = read(&bytes).unwrap();
        assert_eq!(read, signed);
        let policy = follow(Trust::of(&signed), Policy::default(), &[bytes]).unwrap();
        assert_eq!(read_directory(Trust::of(&signed), &directory_bytes(&policy)).unwrap(), policy);
        let again = {
            let mut again = signed.clone();
            sign(&mut again, &registrars()[0]);
            again
        };
        assert_eq!(again, signed, "a second signature of the same key says nothing new");
    }

    #[test]
    fn bytes_that_are_cut_or_have_half_a_signature_are_refused() {
        let signed = signed(&Policy::default(), founding(), &registrars());
        let whole = bytes(&signed);
        for end in (0..whole.len()).step_by(97) {
            let cut = read(&whole.slice(..end)).and_then(|it| Policy::default().amend(&Arc::new(it)));
            assert!(cut.is_err(), "cut at {end}");
        }
        let mut half: proto::DirectoryEntry = decode("entry", &whole, usize::MAX).unwrap();
        let Some(proto::directory_entry::Entry::Amendment(exact)) = &mut half.entry else {
            panic!("{half:?}")
        };
        let mut wire: proto::Signed = decode("signed", exact, usize::MAX).unwrap();
        wire.signatures[1].ml_dsa_44 = Bytes::new();
        *exact = wire.encode_to_vec().into();
        let refusal = read(&half.encode_to_vec().into()).unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureInvalid);
        assert!(refusal.message.contains("ML-DSA-44 signature is missing"), "{refusal}");
    }
}
