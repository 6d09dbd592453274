//! What the ledger keeps of a fact of the directory, and its bytes.
//!
//! Owns this shape; the tags of its fields are part of the format. Never knows where a row is kept.

use std::collections::BTreeSet;

use prost::Message;

use super::keys;
use super::log::Record;
use super::rows::{deadlines, name};
use crate::model::deadline::Within;
use crate::model::envelope::{MessageClass, Priority};
use crate::model::id::Index;
use crate::model::identity::{Desk, Name};
use crate::model::obligation::{Duty, Obligation, Who};
use crate::model::policy::Fact;

/// A fact of the directory that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FactRow {
    pub(super) index: Index,
    pub(super) fact: Fact,
}

impl Record for FactRow {
    const LETTER: u8 = keys::FACTS;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut it = FactBytes::default();
        let names = |set: &BTreeSet<Name>| set.iter().map(Name::to_string).collect();
        match &self.fact {
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
        }
        it.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = FactBytes::decode(bytes).map_err(|error| error.to_string())?;
        let names = |list: &[String]| list.iter().map(|text| name(text)).collect::<Result<_, _>>();
        if it.kind == 9 {
            let fact = Fact::Deadlines {
                class: MessageClass::from_number(it.class).ok_or("no class")?,
                priority: Priority::from_number(it.priority).ok_or("no priority")?,
                deadlines: deadlines(it.receive_s, it.read_s, it.act_s)?,
            };
            return Ok(Self { index, fact });
        }
        if it.kind == 11 {
            return Ok(Self { index, fact: Fact::Retention { days: it.days.ok_or("no days")? } });
        }
        let its_name = name(&it.name)?;
        let fact = match it.kind {
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
            kind => return Err(format!("{kind} is no kind of fact")),
        };
        Ok(Self { index, fact })
    }
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
    #[prost(uint32, optional, tag = "15")]
    days: Option<u32>,
}
