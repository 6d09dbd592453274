//! Facts of the directory in words: in a line, and in full for who signs them.
//!
//! Owns the words. Never leaves a name or a key out of what somebody signs.

use std::collections::BTreeSet;

use crate::model::fact::Fact;
use crate::model::identity::Name;
use crate::model::obligation::{Duty, Who};
use crate::model::policy::Policy;
use crate::proof::TreeHash;
use crate::wire::key_request;

/// Says in a line what a fact says.
pub(super) fn fact_words(fact: &Fact) -> String {
    match fact {
        Fact::Institution(name) => format!("institution {name}"),
        Fact::Office { name, institution } => format!("office {name} of {institution}"),
        Fact::Auditor { name, institution } => format!("auditor {name} of {institution}"),
        Fact::Stream { name, publishers, subscribers } => {
            format!("stream {name}: {} may publish, {} receive", publishers.len(), subscribers.len())
        }
        Fact::Headquarters(name) => format!("headquarters is {name}"),
        Fact::Operator { name, institution } => format!("operator {name} of {institution}"),
        Fact::OfficeRemoved { name, reason } => format!("office {name} removed: {reason}"),
        Fact::DeskRevoked { desk, reason } => format!("{desk} revoked: {reason}"),
        Fact::Obligation(it) => format!("obligation {} on {}", it.name, it.stream),
        Fact::ObligationEnded(name) => format!("obligation {name} ended"),
        Fact::Registrar { name, institution, key } => {
            format!("registrar {name} of {institution}, key {}", key.id())
        }
        Fact::Desk { desk, keys } => {
            format!("{desk}, keys {} and {}", keys.attended.id(), keys.unattended.id())
        }
        Fact::OfficeKey { office, .. } => format!("a key for what is sealed to {office}"),
        Fact::TransferKey { desk, .. } => format!("a key by which {desk} gets its office's keys"),
        Fact::Witness { name, institution, key } => {
            format!("witness {name} of {institution}, key {}", key.id())
        }
        Fact::Restored { kept, .. } => format!("the hub was restored, with {kept} entries kept"),
        Fact::HubKey { key } => format!("the hub signs with key {}", key.id()),
        Fact::Quorum { witnesses } => format!("{witnesses} witnesses sign, of both institutions"),
        Fact::Retention { days } => format!("payloads are kept for {days} days"),
        Fact::Deadlines { class, priority, deadlines } => {
            let each: Vec<_> =
                deadlines.each().map(|(stage, within)| format!("{stage} in {within}")).collect();
            format!(
                "{priority} {class}: {}",
                if each.is_empty() { "no deadline".into() } else { each.join(", ") }
            )
        }
    }
}

/// Says all that a fact says: who signs it answers for each word.
pub(super) fn in_full(known: &Policy, fact: &Fact) -> String {
    let list = |names: &BTreeSet<Name>| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let instead = |there: bool| if there { ", instead of its present" } else { "" };
    match fact {
        Fact::Stream { name, publishers, subscribers } => {
            let before = known.streams().get(name).cloned().unwrap_or_default();
            let change = |now: &BTreeSet<Name>, before: &BTreeSet<Name>| {
                let (new, gone): (BTreeSet<_>, BTreeSet<_>) =
                    (now.difference(before).cloned().collect(), before.difference(now).cloned().collect());
                let new = if new.is_empty() { String::new() } else { format!(", new: {}", list(&new)) };
                let gone =
                    if gone.is_empty() { String::new() } else { format!(", no more: {}", list(&gone)) };
                format!("{}{new}{gone}", list(now))
            };
            let (publish, receive) =
                (change(publishers, &before.publishers), change(subscribers, &before.subscribers));
            format!("stream {name}; may publish: {publish}; receive: {receive}")
        }
        Fact::Desk { desk, keys } => {
            let fingerprint = key_request::fingerprint_of_desk(keys);
            format!("{desk}, keys {fingerprint}{}", instead(known.desks().contains_key(desk)))
        }
        Fact::OfficeKey { office, recipient } => {
            let fingerprint = key_request::fingerprint_of_recipient(recipient);
            format!(
                "what is for {office} is sealed to key {fingerprint}{}",
                instead(known.office_key(office).is_some())
            )
        }
        Fact::TransferKey { desk, recipient } => {
            let fingerprint = key_request::fingerprint_of_recipient(recipient);
            format!("{desk} gets its office's keys by key {fingerprint}{}", instead(true))
        }
        Fact::Witness { name, institution, key } => {
            let there = known.witnesses().contains_key(name);
            format!("witness {name} of {institution}, key {}{}", key.id(), instead(there))
        }
        Fact::Restored { id, kept, root } => format!(
            "the hub was restored: its first {kept} entries were kept (root {}), epoch {:016x} begins after them; what it had \
             signed beyond them does not stand any more",
            TreeHash(*root),
            id.0
        ),
        Fact::HubKey { key } => {
            format!("the hub signs with key {}{}", key.id(), instead(known.hub_key().is_some()))
        }
        Fact::Registrar { name, institution, key } => {
            let there = known.registrars().contains_key(name);
            format!("registrar {name} of {institution}, key {}{}", key.id(), instead(there))
        }
        Fact::Obligation(it) => {
            let who = match &it.who {
                Who::Institution(institution) => format!("all offices of {institution}"),
                Who::Offices(offices) => list(offices),
            };
            let duty = match it.duty {
                Duty::Monthly { grace_days } => format!("each month, {grace_days} days of grace"),
                Duty::FollowUp { within } => format!("an answer to each, within {within}"),
            };
            format!("obligation {}: {who} owe a {} on {}, {duty}", it.name, it.class, it.stream)
        }
        other => fact_words(other),
    }
}
