//! What a hub that turns, or an office that lies, can put before a desk: each kept aside or not counted, for its own reason.

use prost::Message as _;

use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::opener::Opener;
use crate::desk::sample::{NOW, delivery_of, desk, envelope, id, keys, notice, policy};
use crate::host::disk::MemoryDisk;
use crate::model::erasure::OrderedBy;
use crate::model::policy::tests::registrars;
use crate::model::receipt::Stage;
use crate::seal::{OpeningKey, SigningKey, open_bytes, seal_bytes, sha256};
use crate::wire::erasure::{SignedOrder, ordered_bytes};
use crate::wire::manifest::{Part, SealedManifest};
use crate::wire::proto;

const WORDS: &[u8] = b"words for one office";

/// The key of `ohchr-honduras`, whose home this is.
fn own_key() -> OpeningKey {
    OpeningKey::from_seed(&[5; 32])
}

/// A writer whose keys are unlocked.
fn unlocked(disk: &MemoryDisk) -> InboxWriter {
    let mut writer = InboxWriter::open(&home_on(disk), Some(Opener::new(vec![own_key()]))).unwrap();
    writer.follow(policy());
    writer
}

/// A message of `iachr` as it should be, before it is sealed: its envelope and manifest.
fn message(seed: u64) -> (Envelope, SealedManifest) {
    let mut envelope = envelope(seed, "iachr", "ohchr-honduras", b"");
    envelope.recipients[0].key = sha256(&own_key().recipient().to_bytes());
    let manifest = SealedManifest::of(&envelope, Part::Payload, sha256(WORDS));
    (envelope, manifest)
}

fn sealed(manifest: &[u8]) -> Vec<u8> {
    seal_bytes(&[own_key().recipient()], manifest, WORDS).unwrap()
}

/// Signs an envelope around a payload, as its sender's program does.
fn around(envelope: &Envelope, payload: &[u8], key: &SigningKey) -> Bytes {
    let (payload_bytes, payload_digest) = (payload.len() as u64, sha256(payload));
    let envelope = Envelope { payload_bytes, payload_digest, ..envelope.clone() };
    SignedEnvelope::by(key, envelope).signed.to_bytes()
}

/// What the home says of a message that is not what it should be.
fn refused(envelope: Bytes, payload: &[u8]) -> String {
    let disk = MemoryDisk::new();
    let mut writer = unlocked(&disk);
    let outcomes = writer.keep(vec![delivery_of(2, envelope, payload)], NOW, true).unwrap();
    let Outcome::Unreadable { reason, .. } = &outcomes[0] else { panic!("taken: {outcomes:?}") };
    assert!(writer.inbox().entries().unwrap().is_empty(), "nothing of it can be shown");
    assert_eq!(writer.inbox().asides().unwrap(), [Index(2)], "all of it is kept, for who looks into it");
    reason.clone()
}

fn assert_says(what: &str, said: &str, words: &str) {
    assert!(said.contains(words), "{what}: {said:?} does not say {words:?}");
}

#[test]
fn a_message_that_its_sender_has_not_signed_is_kept_aside_and_never_opened() {
    let [attended, unattended] = keys("iachr");
    let [foreign, _] = keys("ohchr-honduras");
    let (envelope, manifest) = message(2);
    let payload = sealed(&manifest.signed_by(&attended));
    let good = around(&envelope, &payload, &attended);
    let changed = |change: &dyn Fn(&mut proto::Signed)| {
        let mut signed = proto::Signed::decode(good.clone()).unwrap();
        change(&mut signed);
        Bytes::from(signed.encode_to_vec())
    };
    let other_words = |it: &mut proto::Signed| {
        let mut envelope = proto::Envelope::decode(it.statement.clone()).unwrap();
        envelope.priority = 3;
        it.statement = envelope.encode_to_vec().into();
    };
    for (what, bytes, words) in [
        ("signed by another office", around(&envelope, &payload, &foreign), "is none of"),
        ("signed by a machine", around(&envelope, &payload, &unattended), "while nobody is there"),
        ("signed by nobody", changed(&|it| it.signatures.clear()), "there are 0 signatures"),
        ("signed twice", changed(&|it| it.signatures.extend_from_within(..)), "there are 2 signatures"),
        ("half of it", changed(&|it| it.signatures[0].ed25519 = Bytes::new()), "Ed25519"),
        ("the other half", changed(&|it| it.signatures[0].ml_dsa_44 = Bytes::new()), "ML-DSA-44"),
        ("other words", changed(&other_words), "the signature of"),
    ] {
        assert_says(what, &refused(bytes, &payload), words);
    }
    let mut bit = payload.clone();
    bit[700] ^= 1;
    let (_, other_manifest) = message(3);
    let other = sealed(&other_manifest.signed_by(&attended));
    for (what, payload, words) in [
        ("changed by a bit", &bit[..], "SHA-256"),
        ("cut", &payload[..payload.len() - 1], "the envelope describes"),
        ("another message's", &other[..], "the envelope describes"),
    ] {
        assert_says(what, &refused(good.clone(), payload), words);
    }
    let mut writer = unlocked(&MemoryDisk::new());
    let outcomes = writer.keep(vec![delivery_of(2, good, &payload)], NOW, true).unwrap();
    let Outcome::New(_, Some(clear)) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(clear.0, WORDS, "as it should be, it is shown");
}

#[test]
fn a_message_whose_inside_is_not_its_senders_own_is_kept_aside_and_not_shown() {
    let [attended, unattended] = keys("iachr");
    let [foreign, _] = keys("ohchr-honduras");
    let (envelope, manifest) = message(2);
    let with = |change: &dyn Fn(&mut SealedManifest)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        sealed(&manifest.signed_by(&attended))
    };
    let whole = sealed(&manifest.signed_by(&attended));
    let mut chunk = whole.clone();
    let at = chunk.len() - 40;
    chunk[at] ^= 1;
    let elsewhere = OpeningKey::from_seed(&[6; 32]).recipient();
    for (what, payload, words) in [
        ("of another message", with(&|it| it.message_id = id(9)), "message id is not the envelope's"),
        ("for others", with(&|it| it.recipients.push("ohchr-peru".parse().unwrap())), "list of recipients"),
        ("a file as a payload", with(&|it| it.part = Part::File), "its part"),
        ("about other words", with(&|it| it.content_digest[0] ^= 1), "its content"),
        ("signed by a machine", sealed(&manifest.signed_by(&unattended)), "while nobody is there"),
        ("signed by another office", sealed(&manifest.signed_by(&foreign)), "is none of"),
        ("signed by nobody", sealed(b"a manifest"), "stands inside the sealing does not count"),
        ("without its last part", whole[..whole.len() - 1].to_vec(), "changed or cut"),
        ("with a part that was changed", chunk, "changed or cut"),
        ("no sealing at all", b"in the clear".to_vec(), "cannot be opened"),
        (
            "sealed to another key than it says",
            seal_bytes(&[elsewhere], &manifest.signed_by(&attended), WORDS).unwrap(),
            "sealed to other keys",
        ),
    ] {
        // Its sender has signed the envelope around it.
        assert_says(what, &refused(around(&envelope, &payload, &attended), &payload), words);
    }
}

#[test]
fn what_a_recipient_seals_anew_for_somebody_else_is_not_taken_for_the_first_senders_nor_for_its_own() {
    // `ohchr-honduras` opens what `iachr` sealed, and hands the inside on under an envelope of its own.
    let (envelope, manifest) = message(2);
    let first = sealed(&manifest.signed_by(&keys("iachr")[0]));
    let opened = open_bytes(&first, &[own_key()], 1 << 20).unwrap();
    let again = seal_bytes(&[own_key().recipient()], &opened.manifest, &opened.content).unwrap();
    let as_its_own = Envelope { sender: desk("ohchr-honduras"), ..envelope.clone() };
    let bytes = around(&as_its_own, &again, &keys("ohchr-honduras")[0]);
    assert_says("as its own", &refused(bytes, &again), "its sender is not the envelope's");
    let bytes = around(&envelope, &again, &keys("ohchr-honduras")[0]);
    assert_says("as the first sender's", &refused(bytes, &again), "is none of");
    // Under the first envelope, signed as it was, the new sealing is another payload.
    let bytes = around(&envelope, &first, &keys("iachr")[0]);
    assert_says("under the first envelope", &refused(bytes, &again), "the envelope describes");
}

#[test]
fn a_message_that_is_for_other_offices_is_kept_aside_whether_the_keys_are_unlocked_or_not() {
    let theirs = envelope(2, "iachr", "ohchr-peru", WORDS);
    let bytes = around(&theirs, WORDS, &keys("iachr")[0]);
    assert_says("unlocked", &refused(bytes.clone(), WORDS), "it is not for this office");
    let mut writer = InboxWriter::open(&home_on(&MemoryDisk::new()), None).unwrap();
    writer.follow(policy());
    let outcomes = writer.keep(vec![delivery_of(2, bytes, WORDS)], NOW, true).unwrap();
    assert!(matches!(outcomes[0], Outcome::Unreadable { opened: false, .. }), "locked: {outcomes:?}");
    assert_eq!(writer.inbox().missing().unwrap(), [], "and none of its numbers is counted");
}

/// What the home makes of a notice.
fn told(content: proto::notice::Notice) -> Result<Told, Refusal> {
    let mut writer = unlocked(&MemoryDisk::new());
    let notice = proto::Notice { notice: Some(content), note: Bytes::new() };
    let content = Some(proto::delivery::Content::Notice(notice));
    let delivery = proto::Delivery { index: 4, accepted_unix_us: NOW.0, content };
    let outcomes = writer.keep(vec![delivery], NOW, false).unwrap();
    let Outcome::Notice { notice, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    // What does not hold is kept as such, also over a restart.
    let kept = writer.inbox().read_notice((Index(4), EpochId(0))).unwrap();
    assert_eq!(kept.told.is_ok(), notice.told.is_ok());
    kept.told
}

#[test]
fn a_receipt_that_its_desk_has_not_signed_is_told_as_one_that_does_not_count() {
    let [_, unattended] = keys("iachr");
    let [foreign, _] = keys("ohchr-honduras");
    let Some(proto::delivery::Content::Notice(proto::Notice {
        notice: Some(proto::notice::Notice::Receipt(good)),
        ..
    })) = notice(4).content
    else {
        panic!("a receipt")
    };
    assert!(matches!(told(proto::notice::Notice::Receipt(good.clone())), Ok(Told::Receipt(_))));
    let changed = |change: &dyn Fn(&mut proto::SignedReceipt)| {
        let mut signed = proto::SignedReceipt::decode(good.clone()).unwrap();
        change(&mut signed);
        Bytes::from(signed.encode_to_vec())
    };
    let receipt = SignedReceipt::read(&good).unwrap().receipt;
    let by = |key: &SigningKey| SignedReceipt::by(key, receipt.clone(), [6; 32]).to_bytes();
    let raised = |it: &mut proto::SignedReceipt| {
        let mut receipt = proto::Receipt::decode(it.statement.clone()).unwrap();
        receipt.stage = Stage::Read as i32;
        it.statement = receipt.encode_to_vec().into();
    };
    let of_another = |it: &mut proto::SignedReceipt| {
        it.messages[0].message_id = Bytes::copy_from_slice(id(9).as_bytes());
    };
    let opened = Receipt {
        stage: Stage::Unreadable,
        opened: true,
        seen: None,
        reason: "its inside is another's".into(),
        note_digest: None,
        ..receipt.clone()
    };
    let unopened = Receipt { opened: false, ..opened.clone() };
    let by_machine = |receipt: &Receipt| SignedReceipt::by(&unattended, receipt.clone(), [6; 32]).to_bytes();
    assert!(told(proto::notice::Notice::Receipt(by_machine(&unopened))).is_ok());
    for (what, bytes, words) in [
        ("a person's stage by a machine", by(&unattended), "while nobody is there"),
        ("what took the key to find out, by a machine", by_machine(&opened), "while nobody is there"),
        ("another office's", by(&foreign), "is none of"),
        ("half of it", changed(&|it| it.signatures[0].ml_dsa_44 = Bytes::new()), "ML-DSA-44"),
        ("nobody's", changed(&|it| it.signatures.clear()), "there are 0 signatures"),
        ("another stage", changed(&raised), "the signature of"),
        ("another message", changed(&of_another), "covers"),
    ] {
        let refusal = told(proto::notice::Notice::Receipt(bytes)).unwrap_err();
        assert_says(what, &refusal.to_string(), words);
    }
}

#[test]
fn an_order_to_erase_that_nobody_gave_is_told_as_one_that_does_not_hold() {
    let order = |by| ErasureOrder { by, message_id: id(1), at: NOW, reason: "a reason".into() };
    let own = order(OrderedBy::Desk(desk("iachr")));
    let iachr = || "iachr".parse().unwrap();
    let registrar = order(OrderedBy::Registrar { name: iachr(), sender: iachr() });
    let ([attended, unattended], [foreign, _]) = (keys("iachr"), keys("ohchr-honduras"));
    let [first, second] = registrars();
    let tell = |bytes| told(proto::notice::Notice::Erasure(ordered_bytes(bytes, Index(1))));
    assert!(matches!(tell(SignedOrder::by(&attended, &own)), Ok(Told::Erasure(it)) if it == own));
    assert!(matches!(tell(SignedOrder::by(&first, &registrar)), Ok(Told::Erasure(it)) if it == registrar));
    let mut unsigned = proto::Signed::decode(SignedOrder::by(&attended, &own)).unwrap();
    unsigned.signatures.clear();
    for (what, bytes, words) in [
        ("the hub's own word", unsigned.encode_to_vec().into(), "there are 0 signatures"),
        ("a machine's", SignedOrder::by(&unattended, &own), "while nobody is there"),
        ("another office's", SignedOrder::by(&foreign, &own), "is none of"),
        ("a registrar's in a desk's name", SignedOrder::by(&first, &own), "is none of"),
        ("the other registrar's", SignedOrder::by(&second, &registrar), "is none of"),
        ("a desk's in a registrar's name", SignedOrder::by(&attended, &registrar), "is none of"),
    ] {
        assert_says(what, &tell(bytes).unwrap_err().to_string(), words);
    }
}

#[test]
fn a_message_that_its_sender_has_not_signed_makes_none_missing() {
    let [attended, foreign] = ["iachr", "ohchr-honduras"].map(|it| keys(it).into_iter().next().unwrap());
    let numbered = |seed, number, key: &SigningKey| {
        let (mut envelope, _) = message(seed);
        envelope.recipients[0].number = number;
        delivery_of(seed, around(&envelope, b"payload", key), b"payload")
    };
    let missing = |last: &SigningKey| {
        let mut writer = InboxWriter::open(&home_on(&MemoryDisk::new()), None).unwrap();
        writer.follow(policy());
        writer.keep(vec![numbered(2, 1, &attended), numbered(3, 4, last)], NOW, false).unwrap();
        writer.missing_since(NOW).iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert_eq!(missing(&attended), [2, 3]);
    assert!(missing(&foreign).is_empty());
}

#[test]
fn two_messages_under_one_id_in_one_frame_are_not_both_taken() {
    let mut writer = unlocked(&MemoryDisk::new());
    let [attended, _] = keys("iachr");
    let (envelope, manifest) = message(2);
    let payload = sealed(&manifest.signed_by(&attended));
    let one = around(&envelope, &payload, &attended);
    let two = around(&Envelope { thread_id: [8; 16], ..envelope }, &payload, &attended);
    let frame = vec![delivery_of(2, one, &payload), delivery_of(3, two, &payload)];
    let outcomes = writer.keep(frame, NOW, true).unwrap();
    assert!(matches!(outcomes[0], Outcome::New(..)), "{:?}", outcomes[0]);
    assert!(matches!(outcomes[1], Outcome::Unreadable { .. }), "{:?}", outcomes[1]);
}
