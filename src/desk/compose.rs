//! Making a message of an alert: the envelope that the hub may see, and the payload that it may not.
//!
//! Owns which of the alert's facts the envelope shows. Never hands in, never keeps.

use std::fmt;

use bytes::Bytes;

use super::content;
use super::outbox::{CapName, Outbox, Outgoing};
use super::sealer::{self, SealerError};
use super::store::StoreError;
use crate::cap::{self, Alert, Facts, Reference};
use crate::host::clock::Clock;
use crate::host::random::{Random, uuid_v7};
use crate::model::deadline::Deadlines;
use crate::model::envelope::{
    CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, REFERENCES_MAX, Recipient,
};
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::person::Person;
use crate::seal;
use crate::wire::convert;
use crate::wire::signed::Signed;

/// An alert and where it is to go.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Whom it is about.
    pub persons: &'a [Person],
    /// The stream that it belongs to.
    pub stream: Name,
    /// The offices that it is for, in any order.
    pub recipients: Vec<Name>,
    /// The thread that it answers on; none: that of its references, or a new one.
    pub thread_id: Option<[u8; 16]>,
    /// By when they are to receive, read and act on it.
    pub deadlines: Deadlines,
    /// Whether they are the members of the stream, whoever those are when it is sealed.
    pub to_members: bool,
    /// What the draft is sealed to: this office's own key.
    pub own: &'a seal::Recipient,
}

/// A message ready to be kept.
#[derive(Debug)]
pub struct Composed {
    /// The message.
    pub outgoing: Outgoing,
    /// References that no message of this desk bears: the envelope leaves them out.
    pub unknown: Vec<Reference>,
    /// References to this desk's messages beyond the most that an envelope may have: it leaves these out too.
    pub beyond: Vec<Reference>,
    /// Files of the outbox that could not be looked at for references.
    pub damaged: Vec<StoreError>,
}

/// Makes the message.
///
/// # Errors
/// [`SealerError::Store`], [`SealerError::Seal`].
pub fn compose(
    desk: &Desk,
    draft: Draft<'_>,
    outbox: &Outbox,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Composed, SealerError> {
    let facts = Facts::of(draft.alert);
    let found = outbox.by_references(&facts.references)?;
    let mut references: Vec<MessageId> = Vec::new();
    let mut thread_id = draft.thread_id;
    let (mut unknown, mut beyond) = (Vec::new(), Vec::new());
    for (reference, message) in facts.references.iter().zip(found.messages) {
        let Some(envelope) = message else {
            unknown.push(reference.clone());
            continue;
        };
        thread_id.get_or_insert(envelope.thread_id);
        if references.contains(&envelope.message_id) {
            continue;
        }
        if references.len() < REFERENCES_MAX {
            references.push(envelope.message_id);
        } else {
            beyond.push(reference.clone());
        }
    }
    let mut recipients = draft.recipients;
    recipients.sort();
    recipients.dedup();
    let payload = sealer::draft_payload(draft.own, &content::payload(draft.alert, draft.persons))?;
    let envelope = Envelope {
        message_id: new_id(clock, random),
        class: MessageClass::Alert,
        stream: draft.stream,
        sender: desk.clone(),
        recipients: recipients.into_iter().map(drafted).collect(),
        directory_version: DirectoryVersion(0),
        priority: priority(facts.priority),
        status: status(facts.status),
        msg_type: msg_type(facts.msg_type),
        thread_id: thread_id.unwrap_or_else(|| random_bytes(random)),
        references,
        sent: clock.now(),
        expires: facts.expires_unix_micros.map(UnixMicros),
        payload_bytes: 0,
        payload_digest: [0; 32],
        deadlines: draft.deadlines,
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    };
    let envelope_bytes = unsigned(&envelope);
    let name = Some(CapName::of(envelope.message_id, &draft.alert.reference()));
    let outgoing = Outgoing {
        envelope,
        envelope_bytes,
        payload: payload.into(),
        to_members: draft.to_members,
        name,
        sources: Vec::new(),
        seen: None,
        erased: false,
        outcome: None,
        promise: None,
    };
    Ok(Composed { outgoing, unknown, beyond, damaged: found.damaged })
}

/// A recipient of a draft: its key and number are given when it is sealed.
pub(super) fn drafted(office: Name) -> Recipient {
    Recipient { office, key: [0; 32], number: 1 }
}

/// What stands around an envelope that nobody has signed.
pub(super) fn unsigned(envelope: &Envelope) -> Bytes {
    Signed { statement: convert::envelope_bytes(envelope), signatures: Vec::new() }.to_bytes()
}

/// Makes an id for a message, or for a receipt in the outbox.
pub fn new_id(clock: &dyn Clock, random: &dyn Random) -> MessageId {
    MessageId::from_slice(uuid_v7(clock, random).as_bytes()).expect("it is a UUID of version 7")
}

pub(super) fn random_bytes(random: &dyn Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes
}

/// How soon an alert must be seen.
pub fn priority_of(alert: &Alert) -> Priority {
    priority(Facts::of(alert).priority)
}

fn priority(priority: cap::Priority) -> Priority {
    match priority {
        cap::Priority::Urgent => Priority::Urgent,
        cap::Priority::Normal => Priority::Normal,
        cap::Priority::Low => Priority::Low,
    }
}

fn status(status: cap::Status) -> CapStatus {
    same_word(CapStatus::ALL, status)
}

fn msg_type(msg_type: cap::MsgType) -> CapMsgType {
    same_word(CapMsgType::ALL, msg_type)
}

/// Both sides list the standard's words; a test holds them together.
fn same_word<T: Copy + fmt::Display>(all: &[T], word: impl fmt::Display) -> T {
    let word = word.to_string();
    let found = all.iter().copied().find(|value| value.to_string() == word);
    found.expect("the envelope has every word of CAP 1.2")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::desk::sample::{NOW, envelope, id, signed};
    use crate::host::clock::ManualClock;
    use crate::host::disk::MemoryDisk;
    use crate::host::random::SeededRandom;

    #[tokio::test]
    async fn references_beyond_the_most_are_told_from_unknown_ones() {
        let home = home_on(&MemoryDisk::new());
        let (outbox, held) = (Outbox::open(&home).unwrap(), home.lock().await.unwrap());
        let name = |seed: u64| Reference::parse(&format!("a@b,{seed},2026-03-02T09:14:00-06:00")).unwrap();
        let known = REFERENCES_MAX as u64 + 2;
        for seed in 1..=known {
            let envelope = envelope(seed, "ohchr-honduras", "iachr", b"x");
            let envelope_bytes = signed(&envelope);
            let payload = Bytes::from_static(b"x");
            let outgoing = Outgoing {
                envelope,
                envelope_bytes,
                payload,
                to_members: false,
                name: Some(CapName::of(id(seed), &name(seed))),
                sources: Vec::new(),
                seen: None,
                erased: false,
                outcome: None,
                promise: None,
            };
            outbox.add_message(&held, &outgoing, NOW).unwrap();
        }
        let names: Vec<String> = (1..=known + 1).chain([1]).map(|seed| name(seed).to_string()).collect();
        let document = format!(
            "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>u</identifier><sender>a@b</sender>\
             <sent>2026-03-02T10:00:00-06:00</sent><status>Test</status><msgType>Update</msgType><scope>Public</scope>\
             <references>{}</references></alert>",
            names.join(" ")
        );
        let alert = cap::import(document.as_bytes()).unwrap().alert;
        let own = seal::OpeningKey::generate(|bytes| bytes.fill(5)).recipient();
        let draft = Draft {
            alert: &alert,
            persons: &[],
            stream: "monitoring-protection".parse().unwrap(),
            recipients: vec!["iachr".parse().unwrap()],
            thread_id: None,
            deadlines: Deadlines::default(),
            to_members: false,
            own: &own,
        };
        let sender = crate::desk::sample::desk("ohchr-honduras");
        let composed =
            compose(&sender, draft, &outbox, &ManualClock::at(NOW), &SeededRandom::new(1)).unwrap();
        let kept: Vec<MessageId> = (1..=REFERENCES_MAX as u64).map(id).collect();
        assert_eq!(composed.outgoing.envelope.references, kept);
        assert_eq!(composed.beyond, [name(known - 1), name(known)]);
        assert_eq!(composed.unknown, [name(known + 1)]);
    }
}
