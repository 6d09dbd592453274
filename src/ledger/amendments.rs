//! What the ledger keeps of an entry of the directory, and its bytes.
//!
//! Owns this shape; the tags of its fields are part of the format. Never knows where a row is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::keys;
use super::log::Record;
use super::rows::{deadlines, name};
use crate::model::amendment::{Amendment, DirectoryEntry, Rotation, SignedEntry};
use crate::model::deadline::Within;
use crate::model::envelope::{MessageClass, Priority};
use crate::model::epoch::EpochId;
use crate::model::fact::{DeskKeys, Fact};
use crate::model::id::{AmendmentNumber, Index, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::obligation::{Duty, Obligation, Who};
use crate::seal::{KeyId, Recipient, Signature, VerifyingKey};

/// An entry that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AmendmentRow {
    pub(super) index: Index,
    pub(super) signed: Arc<SignedEntry>,
}

impl Record for AmendmentRow {
    const LETTER: u8 = keys::AMENDMENTS;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let SignedEntry { entry, statement, signatures } = self.signed.as_ref();
        let signatures = signatures.iter().map(|(id, signature)| SignatureBytes {
            key_id: id.0.to_vec(),
            ed25519: signature.ed25519().to_vec(),
            ml_dsa_44: signature.ml_dsa_44().to_vec(),
        });
        let (number, follows, handover) = match entry {
            DirectoryEntry::Amendment(it) => (it.number.0, it.previous, Bytes::new()),
            // No amendment has the number 0.
            DirectoryEntry::Rotation(it) => (0, it.replaces, it.handover.clone()),
        };
        let bytes = EntryBytes {
            number,
            follows: follows.to_vec(),
            made_us: entry.made().0,
            facts: entry.facts().iter().map(FactBytes::of).collect(),
            statement: statement.clone(),
            signatures: signatures.collect(),
            handover,
        };
        bytes.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = EntryBytes::decode(bytes).map_err(|error| error.to_string())?;
        let follows = it.follows.try_into().map_err(|_| "no digest")?;
        let mut facts = it.facts.into_iter().map(FactBytes::fact).collect::<Result<Vec<_>, _>>()?;
        let made = UnixMicros(it.made_us);
        let entry = if it.number == 0 {
            let fact = facts.pop().ok_or("no fact")?;
            DirectoryEntry::Rotation(Rotation { replaces: follows, made, fact, handover: it.handover })
        } else {
            let number = AmendmentNumber(it.number);
            DirectoryEntry::Amendment(Amendment { number, previous: follows, made, facts })
        };
        let signature = |it: SignatureBytes| {
            let id = it.key_id.try_into().map_err(|_| "no key's id")?;
            let signature = Signature::from_parts(&it.ed25519, &it.ml_dsa_44);
            Ok::<_, String>((KeyId(id), signature.map_err(|error| error.to_string())?))
        };
        let signatures = it.signatures.into_iter().map(signature).collect::<Result<_, _>>()?;
        Ok(Self { index, signed: Arc::new(SignedEntry { entry, statement: it.statement, signatures }) })
    }
}

impl FactBytes {
    fn of(fact: &Fact) -> Self {
        let mut it = Self::default();
        let names = |set: &BTreeSet<Name>| set.iter().map(Name::to_string).collect();
        match fact {
            Fact::Institution(name) => (it.kind, it.name) = (1, name.to_string()),
            Fact::Office { name, institution } => {
                (it.kind, it.name, it.institution) = (2, name.to_string(), institution.to_string());
            }
            Fact::Auditor { name, institution } => {
                (it.kind, it.name, it.institution) = (3, name.to_string(), institution.to_string());
            }
            Fact::Stream { name, publishers, subscribers } => {
                (it.kind, it.name) = (4, name.to_string());
                (it.publishers, it.subscribers) = (names(publishers), names(subscribers));
            }
            Fact::Headquarters(name) => (it.kind, it.name) = (5, name.to_string()),
            Fact::Operator { name, institution } => {
                (it.kind, it.name, it.institution) = (6, name.to_string(), institution.to_string());
            }
            Fact::OfficeRemoved { name, reason } => {
                (it.kind, it.name, it.reason) = (7, name.to_string(), reason.clone());
            }
            Fact::DeskRevoked { desk, reason } => {
                (it.kind, it.name, it.reason) = (8, desk.office.to_string(), reason.clone());
                it.desk = desk.desk.to_string();
            }
            Fact::Deadlines { class, priority, deadlines } => {
                (it.kind, it.class, it.priority) = (9, *class as i32, *priority as i32);
                it.receive_s = deadlines.receive.map(Within::seconds);
                it.read_s = deadlines.read.map(Within::seconds);
                it.act_s = deadlines.act.map(Within::seconds);
            }
            Fact::Obligation(of) => {
                (it.kind, it.name, it.stream) = (10, of.name.to_string(), of.stream.to_string());
                it.class = of.class as i32;
                match &of.who {
                    Who::Institution(institution) => it.institution = institution.to_string(),
                    Who::Offices(offices) => it.subscribers = names(offices),
                }
                match of.duty {
                    Duty::Monthly { grace_days } => it.grace_days = Some(grace_days),
                    Duty::FollowUp { within } => it.act_s = Some(within.seconds()),
                }
            }
            Fact::ObligationEnded(name) => (it.kind, it.name) = (12, name.to_string()),
            Fact::Retention { days } => (it.kind, it.days) = (11, Some(*days)),
            Fact::Registrar { name, institution, key } => {
                (it.kind, it.name, it.institution) = (13, name.to_string(), institution.to_string());
                it.keys = vec![key.to_bytes()];
            }
            Fact::Desk { desk, keys } => {
                (it.kind, it.name, it.desk) = (14, desk.office.to_string(), desk.desk.to_string());
                it.keys =
                    vec![keys.attended.to_bytes(), keys.unattended.to_bytes(), keys.transfer.to_bytes()];
            }
            Fact::OfficeKey { office, recipient } => {
                (it.kind, it.name, it.keys) = (15, office.to_string(), vec![recipient.to_bytes()]);
            }
            Fact::TransferKey { desk, recipient } => {
                (it.kind, it.name, it.desk) = (16, desk.office.to_string(), desk.desk.to_string());
                it.keys = vec![recipient.to_bytes()];
            }
            Fact::Witness { name, institution, key } => {
                (it.kind, it.name, it.institution) = (17, name.to_string(), institution.to_string());
                it.keys = vec![key.to_bytes()];
            }
            Fact::Quorum { witnesses } => (it.kind, it.days) = (18, Some(*witnesses)),
            Fact::HubKey { key } => (it.kind, it.keys) = (19, vec![key.to_bytes()]),
            Fact::Restored { id, kept, root } => {
                let numbers = [id.0.to_be_bytes(), kept.to_be_bytes()].concat();
                (it.kind, it.keys) = (20, vec![numbers, root.to_vec()]);
            }
        }
        it
    }

    fn fact(self) -> Result<Fact, String> {
        let it = self;
        let names = |list: &[String]| list.iter().map(|text| name(text)).collect::<Result<_, _>>();
        if it.kind == 9 {
            let fact = Fact::Deadlines {
                class: MessageClass::from_number(it.class).ok_or("no class")?,
                priority: Priority::from_number(it.priority).ok_or("no priority")?,
                deadlines: deadlines(it.receive_s, it.read_s, it.act_s)?,
            };
            return Ok(fact);
        }
        if it.kind == 11 {
            return Ok(Fact::Retention { days: it.days.ok_or("no days")? });
        }
        if it.kind == 18 {
            return Ok(Fact::Quorum { witnesses: it.days.ok_or("no number")? });
        }
        let key = |at: usize| {
            let bytes = it.keys.get(at).ok_or("no key")?;
            VerifyingKey::from_bytes(bytes).map_err(|error| error.to_string())
        };
        if it.kind == 19 {
            return Ok(Fact::HubKey { key: key(0)? });
        }
        if it.kind == 20 {
            return restored(&it.keys);
        }
        let its_name = name(&it.name)?;
        let recipient = |at: usize| {
            let bytes = it.keys.get(at).ok_or("no key")?;
            Recipient::from_bytes(bytes).map_err(|error| error.to_string())
        };
        Ok(match it.kind {
            1 => Fact::Institution(its_name),
            2 => Fact::Office { name: its_name, institution: name(&it.institution)? },
            3 => Fact::Auditor { name: its_name, institution: name(&it.institution)? },
            4 => Fact::Stream {
                name: its_name,
                publishers: names(&it.publishers)?,
                subscribers: names(&it.subscribers)?,
            },
            5 => Fact::Headquarters(its_name),
            6 => Fact::Operator { name: its_name, institution: name(&it.institution)? },
            7 => Fact::OfficeRemoved { name: its_name, reason: it.reason },
            8 => Fact::DeskRevoked {
                desk: Desk { office: its_name, desk: name(&it.desk)? },
                reason: it.reason,
            },
            10 => Fact::Obligation(Obligation {
                name: its_name,
                who: match it.institution.as_str() {
                    "" => Who::Offices(names(&it.subscribers)?),
                    institution => Who::Institution(name(institution)?),
                },
                class: MessageClass::from_number(it.class).ok_or("no class")?,
                stream: name(&it.stream)?,
                duty: match (it.grace_days, it.act_s) {
                    (Some(grace_days), _) => Duty::Monthly { grace_days },
                    (None, Some(seconds)) => Duty::FollowUp { within: Within::from_seconds(seconds)? },
                    (None, None) => return Err("no duty".into()),
                },
            }),
            12 => Fact::ObligationEnded(its_name),
            13 => Fact::Registrar { name: its_name, institution: name(&it.institution)?, key: key(0)? },
            14 => Fact::Desk {
                desk: Desk { office: its_name, desk: name(&it.desk)? },
                keys: Box::new(DeskKeys { attended: key(0)?, unattended: key(1)?, transfer: recipient(2)? }),
            },
            15 => Fact::OfficeKey { office: its_name, recipient: recipient(0)? },
            16 => Fact::TransferKey {
                desk: Desk { office: its_name, desk: name(&it.desk)? },
                recipient: recipient(0)?,
            },
            17 => Fact::Witness { name: its_name, institution: name(&it.institution)?, key: key(0)? },
            kind => return Err(format!("{kind} is no kind of fact")),
        })
    }
}

fn restored(parts: &[Vec<u8>]) -> Result<Fact, String> {
    let [numbers, root] = parts else { return Err("no restore".into()) };
    let (Ok(root), Some((id, kept))) = (root.as_slice().try_into(), numbers.split_first_chunk::<8>()) else {
        return Err("no restore".into());
    };
    let kept = kept.try_into().map_err(|_| "no restore")?;
    Ok(Fact::Restored { id: EpochId(u64::from_be_bytes(*id)), kept: u64::from_be_bytes(kept), root })
}

#[derive(Clone, PartialEq, Message)]
struct EntryBytes {
    /// An amendment's; 0 for a rotation.
    #[prost(uint64, tag = "1")]
    number: u64,
    /// The amendment before, or the key that is replaced.
    #[prost(bytes = "vec", tag = "2")]
    follows: Vec<u8>,
    #[prost(uint64, tag = "3")]
    made_us: u64,
    #[prost(message, repeated, tag = "4")]
    facts: Vec<FactBytes>,
    /// What is signed, as it came.
    #[prost(bytes = "bytes", tag = "5")]
    statement: Bytes,
    #[prost(message, repeated, tag = "6")]
    signatures: Vec<SignatureBytes>,
    #[prost(bytes = "bytes", tag = "7")]
    handover: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct SignatureBytes {
    #[prost(bytes = "vec", tag = "1")]
    key_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    ed25519: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    ml_dsa_44: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct FactBytes {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    institution: String,
    #[prost(string, repeated, tag = "4")]
    publishers: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    subscribers: Vec<String>,
    #[prost(string, tag = "6")]
    reason: String,
    #[prost(string, tag = "7")]
    desk: String,
    #[prost(int32, tag = "8")]
    class: i32,
    #[prost(int32, tag = "9")]
    priority: i32,
    #[prost(uint32, optional, tag = "10")]
    receive_s: Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    read_s: Option<u32>,
    #[prost(uint32, optional, tag = "12")]
    act_s: Option<u32>,
    #[prost(string, tag = "13")]
    stream: String,
    #[prost(uint32, optional, tag = "14")]
    grace_days: Option<u32>,
    /// Days, or witnesses.
    #[prost(uint32, optional, tag = "15")]
    days: Option<u32>,
    #[prost(bytes = "vec", repeated, tag = "16")]
    keys: Vec<Vec<u8>>,
}
