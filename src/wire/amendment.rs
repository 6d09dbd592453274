//! Amendments of the directory, between exact bytes and the model.
//!
//! Owns the form of a signed statement and of each fact. Never checks a signature: policy does.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::convert::{array, deadlines, decode, desk, name, number, reason};
use super::trust::Trust;
use super::{obligation, proto};
use crate::model::amendment::{AMENDMENT_BYTES_MAX, Amendment, SignedAmendment};
use crate::model::deadline::Within;
use crate::model::envelope::{MessageClass, Priority};
use crate::model::fact::{DeskKeys, Fact};
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{KeyId, Kind, Recipient, Signature, SigningKey, VerifyingKey};

/// Decodes a signed amendment.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field, [`Reason::SignatureInvalid`] for
/// bytes that cannot be a signature.
pub fn read(bytes: &Bytes) -> Result<SignedAmendment, Refusal> {
    let proto::Signed { statement, signatures } = decode("amendment", bytes, AMENDMENT_BYTES_MAX)?;
    Ok(SignedAmendment {
        amendment: read_statement(&statement)?,
        statement,
        signatures: signatures.iter().map(signature).collect::<Result<_, _>>()?,
    })
}

/// Encodes a signed amendment.
pub fn bytes(signed: &SignedAmendment) -> Bytes {
    let signatures = signed.signatures.iter().map(|(id, signature)| proto::Signature {
        key_id: Bytes::copy_from_slice(&id.0),
        ed25519: Bytes::copy_from_slice(signature.ed25519()),
        ml_dsa_44: Bytes::copy_from_slice(signature.ml_dsa_44()),
    });
    let signatures = signatures.collect();
    proto::Signed { statement: signed.statement.clone(), signatures }.encode_to_vec().into()
}

/// Makes an amendment that nobody has signed yet.
pub fn unsigned(amendment: Amendment) -> SignedAmendment {
    let wire = proto::DirectoryAmendment {
        version: amendment.version.0,
        previous: Bytes::copy_from_slice(&amendment.previous),
        made_unix_us: amendment.made.0,
        facts: amendment.facts.iter().map(wire_fact).collect(),
    };
    SignedAmendment { amendment, statement: wire.encode_to_vec().into(), signatures: Vec::new() }
}

/// Signs an amendment with a further key; with the same one again, it stays as it is.
pub fn sign(signed: &mut SignedAmendment, key: &SigningKey) {
    let id = key.verifying_key().id();
    if signed.signatures.iter().all(|(other, _)| *other != id) {
        signed.signatures.push((id, key.sign(Kind::DirectoryEntry, &signed.statement)));
    }
}

/// Takes in amendments, one after the other, each held to its signatures, and the first to what is trusted.
///
/// # Errors
/// [`Reason::FoundingForeign`] and whatever [`read`] and policy refuse; `policy` is not changed then.
pub fn follow(trust: Trust, mut policy: Policy, amendments: &[Bytes]) -> Result<Policy, Refusal> {
    for bytes in amendments {
        let signed = read(bytes)?;
        if policy.amendments().is_empty() {
            trust.check(&signed)?;
        }
        policy.amend(&Arc::new(signed))?;
    }
    Ok(policy)
}

/// Encodes all amendments of a directory, as a file.
pub fn directory_bytes(policy: &Policy) -> Bytes {
    let amendments = policy.amendments().iter().map(|signed| bytes(signed)).collect();
    let version = policy.version().0;
    let told = proto::DescribeDirectoryResponse { version, amendments, ..Default::default() };
    told.encode_to_vec().into()
}

/// Reads a file with all amendments of a directory, and follows them.
///
/// # Errors
/// [`Reason::Malformed`], and as [`follow`].
pub fn read_directory(trust: Trust, file: &Bytes) -> Result<Policy, Refusal> {
    let told: proto::DescribeDirectoryResponse = decode("directory", file, usize::MAX)?;
    follow(trust, Policy::default(), &told.amendments)
}

fn read_statement(statement: &Bytes) -> Result<Amendment, Refusal> {
    let wire: proto::DirectoryAmendment = decode("directory amendment", statement, AMENDMENT_BYTES_MAX)?;
    Ok(Amendment {
        version: DirectoryVersion(wire.version),
        previous: array("previous", &wire.previous)?,
        made: UnixMicros(wire.made_unix_us),
        facts: wire.facts.into_iter().map(fact).collect::<Result<_, _>>()?,
    })
}

fn signature(wire: &proto::Signature) -> Result<(KeyId, Signature), Refusal> {
    let signature = Signature::from_parts(&wire.ed25519, &wire.ml_dsa_44);
    let signature = signature.map_err(|error| Refusal::new(Reason::SignatureInvalid, error.to_string()))?;
    Ok((KeyId(array("signatures.key_id", &wire.key_id)?), signature))
}

fn verifying_key(field: &'static str, bytes: &[u8]) -> Result<VerifyingKey, Refusal> {
    VerifyingKey::from_bytes(bytes).map_err(|error| Refusal::field(field, error.to_string()))
}

fn fact(wire: proto::DirectoryFact) -> Result<Fact, Refusal> {
    use proto::directory_fact::Fact as Wire;
    let names = |field, list: &[String]| {
        list.iter().map(|text| name(field, text)).collect::<Result<BTreeSet<_>, _>>()
    };
    Ok(match wire.fact {
        Some(Wire::Institution(it)) => Fact::Institution(name("name", &it.name)?),
        Some(Wire::Office(it)) => {
            Fact::Office { name: name("name", &it.name)?, institution: name("institution", &it.institution)? }
        }
        Some(Wire::Auditor(it)) => Fact::Auditor {
            name: name("name", &it.name)?,
            institution: name("institution", &it.institution)?,
        },
        Some(Wire::Stream(it)) => Fact::Stream {
            name: name("name", &it.name)?,
            publishers: names("publishers", &it.publishers)?,
            subscribers: names("subscribers", &it.subscribers)?,
        },
        Some(Wire::Headquarters(it)) => Fact::Headquarters(name("office", &it.office)?),
        Some(Wire::Operator(it)) => Fact::Operator {
            name: name("name", &it.name)?,
            institution: name("institution", &it.institution)?,
        },
        Some(Wire::OfficeRemoved(it)) => {
            Fact::OfficeRemoved { name: name("office", &it.office)?, reason: reason(it.reason)? }
        }
        Some(Wire::DeskRevoked(it)) => {
            Fact::DeskRevoked { desk: desk("desk", &it.desk)?, reason: reason(it.reason)? }
        }
        Some(Wire::Deadlines(it)) => Fact::Deadlines {
            class: number("message_class", it.message_class, MessageClass::from_number)?,
            priority: number("priority", it.priority, Priority::from_number)?,
            deadlines: deadlines(it.receive_by_s, it.read_by_s, it.act_by_s)?,
        },
        Some(Wire::Obligation(it)) => Fact::Obligation(obligation::read(&it)?),
        Some(Wire::ObligationEnded(it)) => Fact::ObligationEnded(name("name", &it.name)?),
        Some(Wire::Retention(it)) => Fact::Retention { days: it.payload_days },
        Some(Wire::Registrar(it)) => Fact::Registrar {
            name: name("name", &it.name)?,
            institution: name("institution", &it.institution)?,
            key: verifying_key("key", &it.key)?,
        },
        Some(Wire::Desk(it)) => Fact::Desk {
            desk: desk("desk", &it.desk)?,
            keys: Box::new(DeskKeys {
                attended: verifying_key("attended_key", &it.attended_key)?,
                unattended: verifying_key("unattended_key", &it.unattended_key)?,
            }),
        },
        Some(Wire::OfficeKey(it)) => Fact::OfficeKey {
            office: name("office", &it.office)?,
            recipient: Recipient::from_bytes(&it.recipient)
                .map_err(|error| Refusal::field("recipient", error.to_string()))?,
        },
        None => {
            return Err(Refusal::field(
                "fact",
                "a directory fact says one thing; this says none that is known",
            ));
        }
    })
}

fn wire_fact(fact: &Fact) -> proto::DirectoryFact {
    use proto::directory_fact::Fact as Wire;
    let names = |set: &BTreeSet<Name>| set.iter().map(Name::to_string).collect();
    let fact = match fact {
        Fact::Institution(name) => Wire::Institution(proto::Institution { name: name.to_string() }),
        Fact::Office { name, institution } => {
            Wire::Office(proto::Office { name: name.to_string(), institution: institution.to_string() })
        }
        Fact::Auditor { name, institution } => {
            Wire::Auditor(proto::Auditor { name: name.to_string(), institution: institution.to_string() })
        }
        Fact::Stream { name, publishers, subscribers } => Wire::Stream(proto::Stream {
            name: name.to_string(),
            publishers: names(publishers),
            subscribers: names(subscribers),
        }),
        Fact::Headquarters(office) => Wire::Headquarters(proto::Headquarters { office: office.to_string() }),
        Fact::Operator { name, institution } => {
            Wire::Operator(proto::Operator { name: name.to_string(), institution: institution.to_string() })
        }
        Fact::OfficeRemoved { name, reason } => {
            Wire::OfficeRemoved(proto::OfficeRemoved { office: name.to_string(), reason: reason.clone() })
        }
        Fact::DeskRevoked { desk, reason } => {
            Wire::DeskRevoked(proto::DeskRevoked { desk: desk.to_string(), reason: reason.clone() })
        }
        Fact::Deadlines { class, priority, deadlines } => Wire::Deadlines(proto::DefaultDeadlines {
            message_class: *class as i32,
            priority: *priority as i32,
            receive_by_s: deadlines.receive.map(Within::seconds),
            read_by_s: deadlines.read.map(Within::seconds),
            act_by_s: deadlines.act.map(Within::seconds),
        }),
        Fact::Obligation(it) => Wire::Obligation(obligation::wire(it)),
        Fact::ObligationEnded(name) => {
            Wire::ObligationEnded(proto::ObligationEnded { name: name.to_string() })
        }
        Fact::Registrar { name, institution, key } => Wire::Registrar(proto::Registrar {
            name: name.to_string(),
            institution: institution.to_string(),
            key: key.to_bytes().into(),
        }),
        Fact::Desk { desk, keys } => Wire::Desk(proto::Desk {
            desk: desk.to_string(),
            attended_key: keys.attended.to_bytes().into(),
            unattended_key: keys.unattended.to_bytes().into(),
        }),
        Fact::OfficeKey { office, recipient } => Wire::OfficeKey(proto::OfficeKey {
            office: office.to_string(),
            recipient: recipient.to_bytes().into(),
        }),
        Fact::Retention { days } => Wire::Retention(proto::Retention { payload_days: *days }),
    };
    proto::DirectoryFact { fact: Some(fact) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::policy::tests::{desk_fact, registrar_facts, registrars};
    use crate::seal::OpeningKey;

    /// Facts as the next amendment of a directory, signed with these keys.
    pub(crate) fn signed(policy: &Policy, facts: Vec<Fact>, keys: &[SigningKey]) -> SignedAmendment {
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
        let mut wire: proto::Signed = decode("signed", &whole, usize::MAX).unwrap();
        wire.signatures[1].ml_dsa_44 = Bytes::new();
        let refusal = read(&wire.encode_to_vec().into()).unwrap_err();
        assert_eq!(refusal.reason, Reason::SignatureInvalid);
        assert!(refusal.message.contains("ML-DSA-44 signature is missing"), "{refusal}");
    }
}
