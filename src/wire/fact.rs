//! Facts of the directory, between bytes and the model.
//!
//! Owns the form of each fact. Never says what follows from one: policy does.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::convert::{array, deadlines, desk, name, number, reason};
use super::{obligation, proto};
use crate::model::deadline::Within;
use crate::model::envelope::{MessageClass, Priority};
use crate::model::epoch::EpochId;
use crate::model::fact::{DeskKeys, Fact};
use crate::model::identity::Name;
use crate::model::refusal::Refusal;
use crate::seal::{Recipient, VerifyingKey};

fn verifying_key(field: &'static str, bytes: &[u8]) -> Result<VerifyingKey, Refusal> {
    VerifyingKey::from_bytes(bytes).map_err(|error| Refusal::field(field, error.to_string()))
}

fn recipient(field: &'static str, bytes: &[u8]) -> Result<Recipient, Refusal> {
    Recipient::from_bytes(bytes).map_err(|error| Refusal::field(field, error.to_string()))
}

/// Reads a fact.
pub(super) fn read(wire: proto::DirectoryFact) -> Result<Fact, Refusal> {
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
                transfer: recipient("transfer_key", &it.transfer_key)?,
            }),
        },
        Some(Wire::OfficeKey(it)) => Fact::OfficeKey {
            office: name("office", &it.office)?,
            recipient: recipient("recipient", &it.recipient)?,
        },
        Some(Wire::TransferKey(it)) => Fact::TransferKey {
            desk: desk("desk", &it.desk)?,
            recipient: recipient("recipient", &it.recipient)?,
        },
        Some(Wire::Witness(it)) => Fact::Witness {
            name: name("name", &it.name)?,
            institution: name("institution", &it.institution)?,
            key: verifying_key("key", &it.key)?,
        },
        Some(Wire::HubKey(it)) => Fact::HubKey { key: verifying_key("key", &it.key)? },
        Some(Wire::HubRestored(it)) => {
            Fact::Restored { id: EpochId(it.epoch_id), kept: it.kept_entries, root: array("root", &it.root)? }
        }
        Some(Wire::Quorum(it)) => Fact::Quorum { witnesses: it.witnesses },
        None => {
            return Err(Refusal::field(
                "fact",
                "a directory fact says one thing; this says none that is known",
            ));
        }
    })
}

/// Encodes a fact.
pub(super) fn wire(fact: &Fact) -> proto::DirectoryFact {
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
            transfer_key: keys.transfer.to_bytes().into(),
        }),
        Fact::OfficeKey { office, recipient } => Wire::OfficeKey(proto::OfficeKey {
            office: office.to_string(),
            recipient: recipient.to_bytes().into(),
        }),
        Fact::TransferKey { desk, recipient } => Wire::TransferKey(proto::TransferKey {
            desk: desk.to_string(),
            recipient: recipient.to_bytes().into(),
        }),
        Fact::Witness { name, institution, key } => Wire::Witness(proto::Witness {
            name: name.to_string(),
            institution: institution.to_string(),
            key: key.to_bytes().into(),
        }),
        Fact::HubKey { key } => Wire::HubKey(proto::HubKey { key: key.to_bytes().into() }),
        Fact::Restored { id, kept, root } => Wire::HubRestored(proto::HubRestored {
            epoch_id: id.0,
            kept_entries: *kept,
            root: Bytes::copy_from_slice(root),
        }),
        Fact::Quorum { witnesses } => Wire::Quorum(proto::Quorum { witnesses: *witnesses }),
        Fact::Retention { days } => Wire::Retention(proto::Retention { payload_days: *days }),
    };
    proto::DirectoryFact { fact: Some(fact) }
}
