//! Every format that is signed holds still: vectors that were made once and are read for ever, and properties.
//!
//! A vector that is not there is written, and the test fails: look at it, and keep it. One that no longer fits is another
//! format, and what was signed before is not read any more.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;

use super::content::{AlertContent, alert, alert_bytes};
use super::erasure::SignedOrder;
use super::manifest::{Part, SealedManifest};
use super::note::OfficerNote;
use super::signed::{Signed, SignedEnvelope, SignedReceipt};
use super::{amendment, convert, proto};
use crate::model::amendment::{Amendment, DirectoryEntry, Rotation, SignedEntry};
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{
    About, CapMsgType, CapStatus, Envelope, FileDigest, FileRef, MessageClass, MessageId, Priority,
    Recipient, Voided,
};
use crate::model::epoch::EpochId;
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::fact::{DeskKeys, Fact};
use crate::model::id::{AmendmentNumber, DirectoryVersion, Index, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::person::tests::person;
use crate::model::receipt::{Action, Covered, Receipt, SeenLog, Stage};
use crate::seal::{Kind, OpeningKey, SigningKey};

/// Bytes of any statement here at most.
const BYTES_MAX: usize = 1 << 20;

/// A key of the vectors; a number for each.
fn key(number: u8) -> SigningKey {
    SigningKey::generate(|bytes| bytes.fill(number))
}

/// Whether bytes are signed by a key, as what they are said to be: then the exact statement.
fn held(bytes: &Bytes, kind: Kind, key: &SigningKey) -> Option<Bytes> {
    let signed = Signed::read("vector", bytes, BYTES_MAX).ok()?;
    let by = key.verifying_key();
    let holds =
        |(id, signature): &(_, _)| *id == by.id() && by.verify(kind, &signed.statement, signature).is_ok();
    let all = !signed.signatures.is_empty() && signed.signatures.iter().all(holds);
    all.then_some(signed.statement)
}

/// What is around a signed entry of the directory is a `Signed` too.
fn entry_held(bytes: &Bytes, kind: Kind, key: &SigningKey) -> Option<Bytes> {
    use proto::directory_entry::Entry;
    let entry = proto::DirectoryEntry::decode(bytes.clone()).ok()?.entry?;
    let ((Entry::Amendment(exact), Kind::DirectoryEntry) | (Entry::Rotation(exact), Kind::KeyRotation)) =
        (entry, kind)
    else {
        return None;
    };
    held(&exact, kind, key)
}

/// A receipt's statement and signatures have other numbers for their fields' neighbours.
fn receipt_held(bytes: &Bytes, key: &SigningKey) -> Option<Bytes> {
    let signed = SignedReceipt::read(bytes).ok()?.signed;
    held(&signed.to_bytes(), Kind::Receipt, key)
}

/// Gives a vector that was kept; the one that was just made is kept where there is none.
fn vector(name: &str, made: &Bytes) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire/vectors").join(name);
    if !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
        panic!("{} was not there: it is now; look at it, and keep it", path.display());
    }
    fs::read(path).unwrap().into()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn desk(office: &str) -> Desk {
    Desk { office: name(office), desk: name("desk-1") }
}

/// An id of version 7, whatever its other bits.
fn id(bits: [u8; 16]) -> MessageId {
    let mut bytes = bits;
    bytes[6] = 0x70 | bits[6] & 0x0F;
    bytes[8] = 0x80 | bits[8] & 0x3F;
    MessageId::from_slice(&bytes).unwrap()
}

fn deadlines() -> Deadlines {
    Deadlines { receive: "5min".parse().ok(), read: "15min".parse().ok(), act: "24h".parse().ok() }
}

fn packet() -> Envelope {
    let recipient =
        |office: &str, number| Recipient { office: name(office), key: [number; 32], number: number.into() };
    Envelope {
        message_id: id([1; 16]),
        class: MessageClass::Packet,
        stream: name("monitoring-protection"),
        sender: desk("ohchr-honduras"),
        recipients: vec![recipient("iachr", 1), recipient("ohchr-mexico", 4)],
        directory_version: DirectoryVersion(3),
        priority: Priority::Low,
        status: CapStatus::Exercise,
        msg_type: CapMsgType::Update,
        thread_id: [7; 16],
        references: vec![id([2; 16])],
        sent: UnixMicros(1_772_467_200_000_000),
        expires: Some(UnixMicros(1_772_553_600_000_000)),
        payload_bytes: 15_236,
        payload_digest: [8; 32],
        deadlines: deadlines(),
        files: vec![FileRef { digest: FileDigest([9; 32]), bytes: 67_584 }],
        voided: vec![Voided { office: name("iachr"), number: 3 }],
        about: None,
    }
}

fn reseal() -> Envelope {
    let mut of = packet();
    of.recipients.pop();
    let about = About { office: name("iachr"), message_id: id([3; 16]), digest: [4; 32] };
    let (class, msg_type) = (MessageClass::Reseal, CapMsgType::Alert);
    Envelope { class, msg_type, about: Some(about), references: Vec::new(), files: Vec::new(), ..of }
}

fn acted() -> Receipt {
    Receipt {
        desk: desk("iachr"),
        stage: Stage::Acted,
        messages: vec![Covered { index: Index(9), message_id: id([1; 16]), digest: [5; 32] }],
        notices: Vec::new(),
        at: UnixMicros(1_772_467_260_000_000),
        action: Some(Action::AskedState),
        reason: String::new(),
        note_digest: Some([6; 32]),
        opened: false,
        seen: None,
    }
}

fn note() -> OfficerNote {
    let receipt = acted();
    OfficerNote {
        officer: "María Pérez".into(),
        key: key(3).verifying_key(),
        message_id: receipt.messages[0].message_id,
        digest: receipt.messages[0].digest,
        stage: receipt.stage,
        action: receipt.action,
        at: receipt.at,
        text: "Se pidió información al Estado.".into(),
    }
}

fn desk_keys() -> DeskKeys {
    DeskKeys {
        attended: key(1).verifying_key(),
        unattended: key(2).verifying_key(),
        transfer: OpeningKey::from_seed(&[3; 32]).recipient(),
    }
}

fn order(by: OrderedBy) -> ErasureOrder {
    let at = UnixMicros(1_772_467_200_000_000);
    ErasureOrder { by, message_id: id([1; 16]), at, reason: "it names a child".into() }
}

#[test]
fn envelopes_are_read_as_ever() {
    for (file, envelope) in [("envelope.bin", packet()), ("reseal.bin", reseal())] {
        let made = SignedEnvelope::by(&key(1), envelope.clone());
        let kept = vector(file, &made.signed.to_bytes());
        assert_eq!(SignedEnvelope::read(&kept).unwrap().envelope, envelope, "{file}");
        assert_eq!(held(&kept, Kind::Envelope, &key(1)).unwrap(), made.signed.statement, "{file}");
        assert_eq!(held(&kept, Kind::Manifest, &key(1)), None, "it was signed as something else");
        assert_eq!(held(&kept, Kind::Envelope, &key(2)), None, "another key did not sign it");
    }
}

#[test]
fn receipts_are_read_as_ever() {
    let covered = |number: u8| Covered {
        index: Index(number.into()),
        message_id: id([number; 16]),
        digest: [number; 32],
    };
    let mut received = Receipt::received(desk("iachr"), vec![covered(1), covered(2)], UnixMicros(1));
    received.notices = vec![Index(3), Index(300)];
    let unreadable = Receipt {
        stage: Stage::Unreadable,
        action: None,
        note_digest: None,
        reason: "none of its stanzas is for a key that is here".into(),
        opened: true,
        seen: None,
        ..acted()
    };
    let seen = SeenLog { size: 300, root: [5; 32], restores: 1, disputed: true };
    let seen = Receipt { seen: Some(seen), ..received.clone() };
    for (file, receipt) in [
        ("received.bin", received),
        ("acted.bin", acted()),
        ("unreadable.bin", unreadable),
        ("seen.bin", seen),
    ] {
        let made = SignedReceipt::by(&key(1), receipt.clone(), [4; 32]);
        let kept = vector(file, &made.to_bytes());
        assert_eq!(SignedReceipt::read(&kept).unwrap().receipt, receipt, "{file}");
        assert_eq!(receipt_held(&kept, &key(1)).unwrap(), made.signed.statement, "{file}");
    }
}

#[test]
fn note_and_manifest_are_read_as_ever() {
    let made = note().signed_by(&key(3));
    let kept = vector("note.bin", &made);
    assert_eq!(OfficerNote::read(&kept, &acted()).unwrap(), note());
    assert_eq!(held(&kept, Kind::OfficerNote, &key(3)), held(&made, Kind::OfficerNote, &key(3)));

    let manifest = SealedManifest::of(&packet(), Part::File, [2; 32]);
    let made = manifest.signed_by(&key(1));
    let kept = vector("manifest.bin", &made);
    assert_eq!(SealedManifest::read(&kept).unwrap().0, manifest);
    assert_eq!(held(&kept, Kind::Manifest, &key(1)), held(&made, Kind::Manifest, &key(1)));
    assert!(held(&kept, Kind::Manifest, &key(1)).is_some());
}

#[test]
fn entries_of_the_directory_are_read_as_ever() {
    let mut founding = amendment::unsigned(Amendment {
        number: AmendmentNumber(1),
        previous: [0; 32],
        made: UnixMicros(1_772_467_200_000_000),
        facts: facts(),
    });
    let rotation = Rotation {
        replaces: [7; 32],
        made: UnixMicros(1_772_467_200_000_000),
        fact: Fact::OfficeKey {
            office: name("iachr"),
            recipient: OpeningKey::from_seed(&[4; 32]).recipient(),
        },
        handover: Bytes::from_static(b"sealed for the other desks"),
    };
    let mut rotation = amendment::unsigned_rotation(rotation);
    for (file, entry) in [("amendment.bin", &mut founding), ("rotation.bin", &mut rotation)] {
        amendment::sign(entry, &key(1));
        let kept = vector(file, &amendment::bytes(entry));
        let SignedEntry { entry: read, statement, .. } = amendment::read(&kept).unwrap();
        assert_eq!((&read, &statement), (&entry.entry, &entry.statement), "{file}");
        assert_eq!(entry_held(&kept, entry.entry.kind(), &key(1)).unwrap(), statement, "{file}");
    }
}

/// One fact of each kind that has no other of its form.
fn facts() -> Vec<Fact> {
    let (office, institution) = (name("iachr"), name("oas"));
    let recipient = OpeningKey::from_seed(&[5; 32]).recipient();
    vec![
        Fact::Institution(institution.clone()),
        Fact::Office { name: office.clone(), institution: institution.clone() },
        Fact::Auditor { name: office.clone(), institution: institution.clone() },
        Fact::Stream {
            name: name("promotion"),
            publishers: [office.clone()].into(),
            subscribers: [office.clone(), name("ohchr-mexico")].into(),
        },
        Fact::Headquarters(office.clone()),
        Fact::Operator { name: name("hosting"), institution: institution.clone() },
        Fact::Registrar { name: name("ana"), institution: institution.clone(), key: key(4).verifying_key() },
        Fact::Desk { desk: desk("iachr"), keys: Box::new(desk_keys()) },
        Fact::OfficeKey { office: office.clone(), recipient: recipient.clone() },
        Fact::TransferKey { desk: desk("iachr"), recipient },
        Fact::Witness { name: office.clone(), institution, key: key(5).verifying_key() },
        Fact::Quorum { witnesses: 3 },
        Fact::HubKey { key: key(6).verifying_key() },
        Fact::Restored { id: EpochId(7), kept: 9, root: [7; 32] },
        Fact::OfficeRemoved { name: office.clone(), reason: "it was closed".into() },
        Fact::DeskRevoked { desk: desk("iachr"), reason: "stolen".into() },
        Fact::Deadlines { class: MessageClass::Alert, priority: Priority::Urgent, deadlines: deadlines() },
        Fact::ObligationEnded(name("annual-report")),
        Fact::Retention { days: 730 },
    ]
}

#[test]
fn orders_to_erase_are_read_as_ever() {
    let registrar = OrderedBy::Registrar { name: name("ana"), sender: name("ohchr-honduras") };
    for (file, by) in [
        ("order-of-desk.bin", OrderedBy::Desk(desk("ohchr-honduras"))),
        ("order-of-registrar.bin", registrar),
    ] {
        let made = SignedOrder::by(&key(1), &order(by.clone()));
        let kept = vector(file, &made);
        assert_eq!(SignedOrder::read(&kept).unwrap().order, order(by), "{file}");
        let statement = held(&kept, Kind::ErasureOrder, &key(1));
        assert!(statement.is_some() && statement == held(&made, Kind::ErasureOrder, &key(1)), "{file}");
    }
}

fn any_id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 16]>().prop_map(id)
}

fn any_name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}".prop_map(|text| name(&text))
}

fn any_desk() -> impl Strategy<Value = Desk> {
    (any_name(), any_name()).prop_map(|(office, desk)| Desk { office, desk })
}

fn any_deadlines() -> impl Strategy<Value = Deadlines> {
    let within = || option::of(select(vec![1, 120, 300, 86_400, 172_800, 5_184_000, 315_360_000_u32]));
    (within(), within(), within()).prop_map(|(a, b, c)| {
        let mut all: Vec<_> = [a, b, c].into_iter().flatten().collect();
        all.sort_unstable();
        let mut next = all.into_iter().map(|seconds| Within::from_seconds(seconds).unwrap());
        let [receive, read, act] = [a, b, c].map(|it| it.and_then(|_| next.next()));
        Deadlines { receive, read, act }
    })
}

prop_compose! {
    fn any_envelope()(
        (message_id, stream, sender, thread_id) in (any_id(), any_name(), any_desk(), any::<[u8; 16]>()),
        (class, priority, status, msg_type) in (
            select(MessageClass::ALL), select(Priority::ALL), select(CapStatus::ALL), select(CapMsgType::ALL)
        ),
        offices in btree_set(any_name(), 2..8),
        (number, key, version) in (1..u64::MAX - 8, any::<[u8; 32]>(), any::<u64>()),
        (references, deadlines) in (vec(any_id(), 0..5), any_deadlines()),
        (sent, expires) in (any::<u64>(), option::of(any::<u64>())),
        (payload_bytes, payload_digest) in (any::<u64>(), any::<[u8; 32]>()),
        files in btree_set(any::<[u8; 32]>(), 0..4),
        voided in vec((any_name(), any::<u64>()), 0..4),
    ) -> Envelope {
        let reseal = class == MessageClass::Reseal;
        let about = About { office: sender.office.clone(), message_id: id(thread_id), digest: key };
        let offices = offices.into_iter().filter(|office| !reseal || *office != about.office);
        let recipients = offices.take(if reseal { 1 } else { 8 }).zip(number..);
        let files = files.into_iter().filter(|_| class == MessageClass::Packet);
        Envelope {
            message_id, class, stream, sender,
            recipients: recipients.map(|(office, number)| Recipient { office, key, number }).collect(),
            directory_version: DirectoryVersion(version),
            priority, status, thread_id,
            msg_type: if reseal { CapMsgType::Alert } else { msg_type },
            references: if reseal { Vec::new() } else { references },
            sent: UnixMicros(sent),
            expires: expires.map(UnixMicros),
            payload_bytes, payload_digest, deadlines,
            files: files.map(|digest| FileRef { digest: FileDigest(digest), bytes: number >> 33 }).collect(),
            voided: voided.into_iter().map(|(office, number)| Voided { office, number }).collect(),
            about: reseal.then_some(about),
        }
    }
}

prop_compose! {
    fn any_receipt()(
        (desk, at, stage, opened) in (any_desk(), any::<u64>(), select(Stage::ALL), any::<bool>()),
        messages in vec((any_id(), any::<[u8; 32]>()), 1..6),
        notices in btree_set(any::<u64>(), 0..4),
        (action, digest, reason) in (select(Action::ALL), any::<[u8; 32]>(), "[a-z]{1,20}"),
        seen in option::of((1..u64::MAX, any::<[u8; 32]>(), any::<u32>(), any::<bool>())),
    ) -> Receipt {
        let many = matches!(stage, Stage::Received | Stage::Erased);
        let messages = messages.into_iter().zip(1..).take(if many { 6 } else { 1 });
        Receipt {
            desk, stage,
            messages: messages
                .map(|((message_id, digest), index)| Covered { index: Index(index), message_id, digest })
                .collect(),
            notices: notices.into_iter().filter(|_| many).map(Index).collect(),
            at: UnixMicros(at),
            action: (stage == Stage::Acted).then_some(action),
            reason: if stage == Stage::Unreadable { reason } else { String::new() },
            note_digest: stage.is_persons().then_some(digest),
            opened: opened && stage == Stage::Unreadable,
            seen: seen.map(|(size, root, restores, disputed)| SeenLog { size, root, restores, disputed }),
        }
    }
}

fn any_order() -> impl Strategy<Value = ErasureOrder> {
    let registrar = (any_name(), any_name()).prop_map(|(name, sender)| OrderedBy::Registrar { name, sender });
    let by = prop_oneof![any_desk().prop_map(OrderedBy::Desk), registrar];
    (by, any_id(), any::<u64>(), "[a-z]{1,20}").prop_map(|(by, message_id, at, reason)| ErasureOrder {
        by,
        message_id,
        at: UnixMicros(at),
        reason,
    })
}

fn any_manifest() -> impl Strategy<Value = SealedManifest> {
    let part = select(vec![Part::Payload, Part::File, Part::Note]);
    (any_envelope(), part, any::<[u8; 32]>())
        .prop_map(|(of, part, digest)| SealedManifest::of(&of, part, digest))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(
        envelope in any_envelope(),
        receipt in any_receipt(),
        order in any_order(),
        manifest in any_manifest(),
        seed in any::<[u8; 32]>(),
    ) {
        let read = convert::envelope(&convert::envelope_bytes(&envelope)).unwrap();
        prop_assert_eq!(&read, &envelope);
        let read = SignedReceipt::read(&SignedReceipt::by(&key(1), receipt.clone(), seed).to_bytes()).unwrap();
        prop_assert_eq!(read.receipt, receipt);
        prop_assert_eq!(SignedOrder::read(&SignedOrder::by(&key(1), &order)).unwrap().order, order);
        prop_assert_eq!(SealedManifest::read(&manifest.signed_by(&key(1))).unwrap().0, manifest);
    }

    #[test]
    fn entries_are_read_back(
        count in 1..usize::MAX, (number, made) in any::<(u64, u64)>(), previous in any::<[u8; 32]>(),
        handover in vec(any::<u8>(), 0..40),
    ) {
        let facts: Vec<_> = facts().into_iter().cycle().skip(count % 17).take(1 + count % 23).collect();
        let rotation = Rotation {
            replaces: previous, made: UnixMicros(made), fact: facts[0].clone(), handover: handover.into(),
        };
        let amended = Amendment { number: AmendmentNumber(number), previous, made: UnixMicros(made), facts };
        let mut entry = amendment::unsigned(amended.clone());
        amendment::sign(&mut entry, &key(1));
        prop_assert_eq!(amendment::read(&amendment::bytes(&entry)).unwrap().entry, DirectoryEntry::Amendment(amended));
        if matches!(rotation.fact, Fact::Desk { .. } | Fact::OfficeKey { .. } | Fact::TransferKey { .. }) {
            let entry = amendment::unsigned_rotation(rotation.clone());
            prop_assert_eq!(amendment::read(&amendment::bytes(&entry)).unwrap().entry, DirectoryEntry::Rotation(rotation));
        }
    }

    /// Whatever bit is changed and wherever it is cut: it is refused, or what was signed is what is read.
    #[test]
    fn nothing_that_was_changed_is_signed(place in any::<usize>(), bit in 0..8_u32, persons in vec(person(), 0..3)) {
        let envelope = SignedEnvelope::by(&key(1), packet()).signed;
        let receipt = SignedReceipt::by(&key(1), acted(), [4; 32]);
        let note = note().signed_by(&key(3));
        let order = SignedOrder::by(&key(1), &order(OrderedBy::Desk(desk("iachr"))));
        let mut entry = amendment::unsigned(Amendment {
            number: AmendmentNumber(1), previous: [0; 32], made: UnixMicros(1), facts: facts(),
        });
        amendment::sign(&mut entry, &key(1));
        let content = alert_bytes(&AlertContent { cap: Bytes::from_static(b"<alert/>"), persons });
        let _ = alert(&changed(&content, place, bit)[0]);

        for bytes in changed(&envelope.to_bytes(), place, bit) {
            let read = SignedEnvelope::read(&bytes).is_ok().then(|| held(&bytes, Kind::Envelope, &key(1)));
            prop_assert!(read.flatten().is_none_or(|it| it == envelope.statement));
        }
        for bytes in changed(&receipt.to_bytes(), place, bit) {
            prop_assert!(receipt_held(&bytes, &key(1)).is_none_or(|it| it == receipt.signed.statement));
            if receipt_held(&bytes, &key(1)).is_some() {
                let read = SignedReceipt::read(&bytes).unwrap().receipt.messages[0];
                prop_assert_eq!((read.message_id, read.digest), (id([1; 16]), [5; 32]));
            }
        }
        for bytes in changed(&note, place, bit) {
            prop_assert!(OfficerNote::read(&bytes, &acted()).ok().is_none_or(|it| it == self::note()));
        }
        for bytes in changed(&order, place, bit) {
            let read = SignedOrder::read(&bytes).is_ok().then(|| held(&bytes, Kind::ErasureOrder, &key(1)));
            prop_assert!(read.flatten().is_none_or(|it| Some(it) == held(&order, Kind::ErasureOrder, &key(1))));
        }
        for bytes in changed(&amendment::bytes(&entry), place, bit) {
            let read = amendment::read(&bytes).is_ok().then(|| entry_held(&bytes, Kind::DirectoryEntry, &key(1)));
            prop_assert!(read.flatten().is_none_or(|it| it == entry.statement));
        }
    }
}

/// The same bytes with one bit changed, and cut before it.
fn changed(bytes: &Bytes, place: usize, bit: u32) -> [Bytes; 2] {
    let place = place % bytes.len();
    let mut flipped = bytes.to_vec();
    flipped[place] ^= 1 << bit;
    [flipped.into(), bytes.slice(..place)]
}
