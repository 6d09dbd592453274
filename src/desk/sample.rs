//! Messages for tests.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::host::clock::ManualClock;
use crate::host::random::{SeededRandom, uuid_v7};
use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority};
use crate::model::id::DirectoryVersion;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Desk;
use crate::model::receipt::{MessageRef, Receipt, Stage};
use crate::wire::{convert, proto};

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
        recipients: vec![to.parse().unwrap()],
        directory_version: DirectoryVersion(9),
        priority: Priority::Urgent,
        status: CapStatus::Exercise,
        msg_type: CapMsgType::Alert,
        thread_id: [7; 16],
        references: vec![],
        sent: NOW,
        expires: None,
        payload_bytes: payload.len() as u64,
        payload_digest: digest(&SHA256, payload).as_ref().try_into().unwrap(),
        deadlines: Deadlines::default(),
        files: Vec::new(),
    }
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
    delivery_of(index, convert::envelope_bytes(&envelope), payload.as_bytes())
}

/// A notice that `iachr` declined a message.
pub(super) fn notice(index: u64) -> proto::Delivery {
    let receipt = Receipt {
        desk: desk("iachr"),
        stage: Stage::Declined,
        messages: vec![MessageRef { index: Index(1), message_id: id(1) }],
        notices: vec![],
        at: NOW,
        action: None,
        reason: "not our territory".into(),
    };
    let receipt = proto::notice::Notice::Receipt(convert::receipt_bytes(&receipt));
    let content = Some(proto::delivery::Content::Notice(proto::Notice { notice: Some(receipt) }));
    proto::Delivery { index, accepted_unix_us: NOW.0 + index, content }
}
