//! Messages for tests.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;

use super::home::Home;
use super::inbox::InboxWriter;
use super::store::StoreError;

use crate::host::clock::ManualClock;
use crate::host::random::{SeededRandom, uuid_v7};
use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient};
use crate::model::fact::Fact;
use crate::model::id::DirectoryVersion;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::policy::Policy;
use crate::model::policy::tests::{desk_fact, desk_keys, registrar_facts, registrars};
use crate::model::receipt::{Covered, Receipt, Stage};
use crate::seal::{SigningKey, sha256};
use crate::wire::signed::{SignedEnvelope, SignedReceipt};
use crate::wire::{amendment, proto};

pub(super) const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);

/// The id that belongs to a seed; ascending with it.
pub(super) fn id(seed: u64) -> MessageId {
    let clock = ManualClock::at(UnixMicros(NOW.0 + seed * 1_000));
    MessageId::from_slice(uuid_v7(&clock, &SeededRandom::new(seed)).as_bytes()).unwrap()
}

pub(super) fn desk(office: &str) -> Desk {
    Desk { office: office.parse().unwrap(), desk: "desk-1".parse().unwrap() }
}

/// An envelope of one office for another.
pub(super) fn envelope(seed: u64, from: &str, to: &str, payload: &[u8]) -> Envelope {
    Envelope {
        message_id: id(seed),
        class: MessageClass::Alert,
        stream: "monitoring-protection".parse().unwrap(),
        sender: desk(from),
        recipients: vec![Recipient { office: to.parse().unwrap(), key: [3; 32], number: 1 }],
        directory_version: DirectoryVersion(1),
        priority: Priority::Urgent,
        status: CapStatus::Exercise,
        msg_type: CapMsgType::Alert,
        thread_id: [7; 16],
        references: vec![],
        sent: NOW,
        expires: None,
        payload_bytes: payload.len() as u64,
        payload_digest: sha256(payload),
        deadlines: Deadlines::default(),
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    }
}

/// The offices of these messages, each with one desk.
const OFFICES: [&str; 2] = ["iachr", "ohchr-honduras"];

/// The keys of an office's desk: attended and unattended.
pub(super) fn keys(office: &str) -> [SigningKey; 2] {
    let at = OFFICES.iter().position(|it| *it == office).unwrap();
    desk_keys(20 + 2 * u8::try_from(at).unwrap())
}

/// The directory that says so.
pub(super) fn policy() -> Arc<Policy> {
    static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let mut facts = vec![Fact::Institution(name("iachr")), Fact::Institution(name("ohchr"))];
        facts.extend(registrar_facts([name("iachr"), name("ohchr")]));
        for (office, number) in OFFICES.iter().zip([20, 22]) {
            facts.push(Fact::Office { name: name(office), institution: name("ohchr") });
            facts.push(desk_fact(desk(office), number));
        }
        let mut policy = Policy::default();
        let signed = amendment::tests::signed(&policy, facts, &registrars());
        policy.amend(&Arc::new(signed)).unwrap();
        Arc::new(policy)
    });
    Arc::clone(&POLICY)
}

/// An envelope as its sender signs it: the same bytes each time, as a sender keeps them.
pub(super) fn signed(envelope: &Envelope) -> Bytes {
    static SIGNED: LazyLock<Mutex<HashMap<Bytes, Bytes>>> = LazyLock::new(Mutex::default);
    let key = &keys(envelope.sender.office.as_str())[0];
    let made = SignedEnvelope::by(key, envelope.clone()).signed;
    SIGNED.lock().unwrap().entry(made.statement.clone()).or_insert_with(|| made.to_bytes()).clone()
}

/// The writer of a home's inbox, which knows the directory.
pub(super) fn writer(home: &Home) -> Result<InboxWriter, StoreError> {
    let mut writer = InboxWriter::open(home, None)?;
    writer.follow(policy());
    Ok(writer)
}

/// A message of `iachr`, as the hub delivers it.
pub(super) fn delivery_of(index: u64, envelope: Bytes, payload: &[u8]) -> proto::Delivery {
    let payload = Bytes::copy_from_slice(payload);
    let message = proto::Message { envelope, payload, expired: false, replayed: false, erased: false };
    let content = Some(proto::delivery::Content::Message(message));
    proto::Delivery { index, accepted_unix_us: NOW.0 + index, content }
}

/// A message of `iachr` with the payload `payload <index>`.
pub(super) fn delivery(index: u64) -> proto::Delivery {
    let payload = format!("payload {index}");
    let envelope = envelope(index, "iachr", "ohchr-honduras", payload.as_bytes());
    delivery_of(index, signed(&envelope), payload.as_bytes())
}

/// A notice that `iachr` declined a message.
pub(super) fn notice(index: u64) -> proto::Delivery {
    let receipt = Receipt {
        desk: desk("iachr"),
        stage: Stage::Declined,
        messages: vec![Covered { index: Index(1), message_id: id(1), digest: [4; 32] }],
        notices: vec![],
        at: NOW,
        action: None,
        reason: String::new(),
        note_digest: Some([6; 32]),
        opened: false,
        seen: None,
    };
    let receipt =
        proto::notice::Notice::Receipt(SignedReceipt::by(&keys("iachr")[0], receipt, [6; 32]).to_bytes());
    let content =
        Some(proto::delivery::Content::Notice(proto::Notice { notice: Some(receipt), note: Bytes::new() }));
    proto::Delivery { index, accepted_unix_us: NOW.0 + index, content }
}
