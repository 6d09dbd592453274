//! A small exchange with all its keys, the same each time but for signatures: a founding, two messages, and what was said of them.
//!
//! Owns what offices and registrars sign. What a hub makes of it, `hub` does.

use std::sync::Arc;

use bytes::Bytes;
use resguardo::evidence::Note;
use resguardo::model::deadline::Deadlines;
use resguardo::model::entry::{Entry, EntryKind, Payload};
use resguardo::model::envelope::{
    CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient,
};
use resguardo::model::erasure::{ErasureOrder, OrderedBy};
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::{DirectoryVersion, Index, UnixMicros};
use resguardo::model::identity::{Desk, Name};
use resguardo::model::overdue::{Missed, Overdue};
use resguardo::model::policy::Policy;
use resguardo::model::receipt::{Action, Covered, Receipt, SEED_BYTES, Stage};
use resguardo::seal::{FileKey, OpeningKey, SigningKey, seal_bytes, sha256};
use resguardo::wire::manifest::{Part, SealedManifest};
use resguardo::wire::note::OfficerNote;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};
use resguardo::wire::trust::Trust;
use resguardo::wire::{amendment, convert, erasure};

/// When the hub recorded the first entry; each other one a second later.
pub const NOW: UnixMicros = UnixMicros(1_772_467_200_000_000);
/// The hub's own.
pub const HUB: &str = "urn:resguardo:hub:one";
/// Where the message stands that evidence is about, and the one beside it.
pub const MESSAGE: Index = Index(2);
pub const OTHER: Index = Index(1);
/// What is about the message.
pub const ABOUT: [u64; 8] = [2, 4, 5, 6, 7, 8, 9, 10];

/// Offices, their institutions, and the numbers of their keys.
const OFFICES: [(&str, &str, u8); 3] =
    [("iachr", "iachr", 20), ("ohchr-honduras", "ohchr", 22), ("ohchr-mexico", "ohchr", 24)];
const REGISTRARS: [(&str, u8); 2] = [("iachr", 1), ("ohchr", 2)];

/// The journal, and the notes of officers.
pub struct Exchange {
    pub entries: Vec<Entry>,
    pub notes: Vec<Note>,
}

pub fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

pub fn desk(office: &str) -> Desk {
    Desk { office: name(office), desk: name("desk-1") }
}

/// A key that signs.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seeds(&[number; 64])
}

/// The keys of an office's desk: attended, unattended.
pub fn keys(office: &str) -> [SigningKey; 2] {
    [key(number(office)), key(number(office) + 1)]
}

/// The hub's key.
pub fn hub_key() -> SigningKey {
    key(9)
}

/// The offices.
pub fn offices() -> impl Iterator<Item = &'static str> {
    OFFICES.iter().map(|it| it.0)
}

/// What a stranger trusts.
pub fn trust() -> Trust {
    Trust::of(&amendment::unsigned(Policy::default().next_amendment(founding(), NOW)))
}

/// The directory, founded.
pub fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.amend(&Arc::new(amended(&policy, founding()))).expect("a founding follows from nothing");
    policy
}

fn number(office: &str) -> u8 {
    OFFICES.iter().find(|it| it.0 == office).expect("it is an office").2
}

fn opening(office: &str) -> OpeningKey {
    OpeningKey::from_seed(&[number(office); 32])
}

fn founding() -> Vec<Fact> {
    let mut facts: Vec<_> = REGISTRARS.iter().map(|(it, _)| Fact::Institution(name(it))).collect();
    for (it, number) in REGISTRARS {
        let key = key(number).verifying_key();
        facts.push(Fact::Registrar { name: name(it), institution: name(it), key });
    }
    for (office, institution, number) in OFFICES {
        let [attended, unattended] = keys(office).map(|it| it.verifying_key());
        let transfer = OpeningKey::from_seed(&[number + 1; 32]).recipient();
        let keys = Box::new(DeskKeys { attended, unattended, transfer });
        facts.push(Fact::Office { name: name(office), institution: name(institution) });
        facts.push(Fact::Desk { desk: desk(office), keys });
        facts.push(Fact::OfficeKey { office: name(office), recipient: opening(office).recipient() });
    }
    let all = || offices().map(name).collect();
    facts.push(Fact::Stream { name: name("monitoring-protection"), publishers: all(), subscribers: all() });
    facts.push(Fact::HubKey { key: hub_key().verifying_key() });
    facts
}

fn amended(policy: &Policy, facts: Vec<Fact>) -> resguardo::model::amendment::SignedEntry {
    let mut signed = amendment::unsigned(policy.next_amendment(facts, NOW));
    for (_, number) in REGISTRARS {
        amendment::sign(&mut signed, &key(number));
    }
    signed
}

/// The id of a message.
pub fn id(last: u8) -> MessageId {
    let mut bytes = [7; 16];
    (bytes[6], bytes[8], bytes[15]) = (0x70, 0x80, last);
    MessageId::from_slice(&bytes).expect("it is of version 7")
}

/// Entries 1 to 3 of some journal, for which a hub gives its word.
pub fn promised() -> Vec<Entry> {
    (1..4).map(|index| entry(index, EntryKind::Publish, HUB, Bytes::from_static(b"envelope"))).collect()
}

fn time(index: u64) -> UnixMicros {
    UnixMicros(NOW.0 + index * 1_000_000)
}

/// When an office says that it was, which the hub recorded half a second later.
fn at(index: u64) -> UnixMicros {
    UnixMicros(time(index).0 - 500_000)
}

fn entry(index: u64, kind: EntryKind, identity: &str, statement: Bytes) -> Entry {
    let nonce = [index as u8 + 100; 16];
    let identity = identity.to_owned();
    Entry { index: Index(index), time: time(index), nonce, kind, identity, statement, payload: Payload::None }
}

fn publish(index: Index, from: &str, to: &[&str]) -> Entry {
    let recipient = |it: &&str| {
        let key = sha256(&opening(it).recipient().to_bytes());
        Recipient { office: name(it), key, number: 1 }
    };
    let envelope = Envelope {
        message_id: id(index.0 as u8),
        class: MessageClass::Alert,
        stream: name("monitoring-protection"),
        sender: desk(from),
        recipients: to.iter().map(recipient).collect(),
        directory_version: DirectoryVersion(1),
        priority: Priority::Urgent,
        status: CapStatus::Actual,
        msg_type: CapMsgType::Alert,
        thread_id: [7; 16],
        references: Vec::new(),
        sent: NOW,
        expires: None,
        payload_bytes: 4,
        payload_digest: sha256(b"what"),
        deadlines: Deadlines { read: "5s".parse().ok(), ..Deadlines::default() },
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    };
    let signed = SignedEnvelope::by(&keys(from)[0], envelope).signed;
    entry(index.0, EntryKind::Publish, &desk(from).to_string(), signed.to_bytes())
}

fn covered(published: &Entry) -> Covered {
    let signed = SignedEnvelope::read(&published.statement).expect("it was signed here");
    Covered { index: published.index, message_id: signed.envelope.message_id, digest: signed.digest() }
}

fn receipt(index: u64, receipt: Receipt, key: &SigningKey) -> Entry {
    let desk = receipt.desk.to_string();
    let signed = SignedReceipt::by(key, receipt, [index as u8; SEED_BYTES]);
    entry(index, EntryKind::Receipt, &desk, signed.to_bytes())
}

fn received(office: &str, index: u64, about: Vec<Covered>) -> Entry {
    receipt(index, Receipt::received(desk(office), about, at(index)), &keys(office)[1])
}

/// A stage that a person at `iachr` states, with the note that goes with it.
fn persons(index: u64, stage: Stage, action: Option<Action>, about: Covered) -> (Entry, Note) {
    let officer = key(60);
    let note = OfficerNote {
        officer: "María Pérez".into(),
        key: officer.verifying_key(),
        message_id: about.message_id,
        digest: about.digest,
        stage,
        action,
        at: at(index),
        text: "Se pidió protección".into(),
    };
    let content = note.signed_by(&officer);
    let manifest = SealedManifest {
        sender: desk("iachr"),
        recipients: vec![name("iachr"), name("ohchr-honduras")],
        message_id: about.message_id,
        part: Part::Note,
        content_digest: sha256(&content),
    };
    let readers = ["iachr", "ohchr-honduras"].map(|it| opening(it).recipient());
    let own = keys("iachr");
    let sealed = seal_bytes(&readers, &manifest.signed_by(&own[0]), &content).expect("it is small");
    let file_key = FileKey::of(&sealed[..], &[opening("iachr")]).expect("it was sealed for it");
    let note_digest = Some(sha256(&sealed));
    let stated = Receipt::received(desk("iachr"), vec![about], at(index));
    let stated = Receipt { stage, action, note_digest, ..stated };
    let note = Note { receipt: Index(index), sealed: sealed.into(), file_key: *file_key.as_bytes() };
    (receipt(index, stated, &own[0]), note)
}

impl Exchange {
    /// Has all of it happen.
    pub fn happened() -> Self {
        let first = amended(&Policy::default(), founding());
        let second = amended(&policy(), vec![Fact::Retention { days: 30 }]);
        let other = publish(OTHER, "ohchr-mexico", &["iachr"]);
        let message = publish(MESSAGE, "ohchr-honduras", &["iachr", "ohchr-mexico"]);
        let (one, two) = (covered(&other), covered(&message));
        let (read, read_note) = persons(6, Stage::Read, None, two);
        let (acted, acted_note) = persons(7, Stage::Acted, Some(Action::AskedState), two);
        let overdue = Overdue {
            office: name("ohchr-mexico"),
            due: UnixMicros(time(2).0 + 5_000_000),
            missed: Missed::Stage { message: two.message(), stage: Stage::Read, status: CapStatus::Actual },
        };
        let sender = desk("ohchr-honduras");
        let order = ErasureOrder {
            by: OrderedBy::Desk(sender.clone()),
            message_id: two.message_id,
            at: at(9),
            reason: "sent twice".into(),
        };
        let order = erasure::SignedOrder::by(&keys("ohchr-honduras")[0], &order);
        let entries = vec![
            entry(0, EntryKind::Directory, HUB, amendment::bytes(&first)),
            other,
            message,
            entry(3, EntryKind::Directory, "urn:resguardo:operator:one", amendment::bytes(&second)),
            received("iachr", 4, vec![one, two]),
            received("ohchr-mexico", 5, vec![two]),
            read,
            acted,
            entry(8, EntryKind::Overdue, HUB, convert::overdue_bytes(&overdue)),
            entry(9, EntryKind::Erasure, &sender.to_string(), erasure::ordered_bytes(order, MESSAGE)),
            entry(10, EntryKind::Erasure, HUB, erasure::retention_bytes(Index(11))),
            entry(11, EntryKind::Refusal, HUB, Bytes::from_static(b"something else")),
        ];
        Self { entries, notes: vec![read_note, acted_note] }
    }
}
