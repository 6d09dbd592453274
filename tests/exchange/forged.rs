//! What is forged: each refused by the hub with its own reason, kept as a refusal, and of no effect.

use bytes::Bytes;
use prost::Message as _;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::proto::{
    CoveredMessage, EntryKind, HandedReceipt, PublishRequest, Receipt, Signature, Signed, SignedReceipt,
    Stage as ReceiptStage,
};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::founding::desk_keys;
use crate::stage::sign::signature;
use crate::stage::statement::{self, NOTE, named, read, received_of, signed_with, turned_down};
use crate::stage::told::{expect_item, told};
use crate::{HONDURAS, IACHR, MEXICO};

/// Changes what stands around a draft's envelope.
fn around(draft: &Draft, change: impl FnOnce(&mut Signed)) -> PublishRequest {
    let mut signed = Signed::decode(draft.envelope_bytes()).expect("a step of the test");
    change(&mut signed);
    PublishRequest { envelope: signed.encode_to_vec().into(), payload: draft.payload.clone() }
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut changed = bytes.to_vec();
    changed[9] ^= 1;
    changed.into()
}

#[tokio::test]
async fn envelopes_that_are_not_signed_as_they_must_be_are_refused_and_on_record() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let [_, unattended] = desk_keys(&desk.identity);
    let foreign = &desk_keys("urn:resguardo:office:ohchr-mexico:desk-1")[0];
    let other_kind = |signed: &mut Signed| {
        signed.signatures = vec![signature(&desk_keys(&desk.identity)[0], Kind::Receipt, &signed.statement)];
    };
    let half = |change: fn(&mut Signature)| around(&draft, |signed| change(&mut signed.signatures[0]));
    for (what, request, reason) in [
        ("nobody signed", around(&draft, |it| it.signatures.clear()), "SIGNATURE_MISSING"),
        ("signed twice", around(&draft, |it| it.signatures.extend_from_within(..)), "SIGNATURE_MISSING"),
        ("half of it is gone", half(|it| it.ml_dsa_44 = Bytes::new()), "SIGNATURE_INVALID"),
        ("the other half is gone", half(|it| it.ed25519 = Bytes::new()), "SIGNATURE_INVALID"),
        ("one is changed", half(|it| it.ed25519 = flipped(&it.ed25519)), "SIGNATURE_INVALID"),
        ("the other is changed", half(|it| it.ml_dsa_44 = flipped(&it.ml_dsa_44)), "SIGNATURE_INVALID"),
        ("signed as something else", around(&draft, other_kind), "SIGNATURE_INVALID"),
        ("another office's key", with(&draft, draft.signed_with(foreign)), "KEY_UNKNOWN"),
        ("a key for when nobody is there", with(&draft, draft.signed_with(&unattended)), "KEY_NOT_ALLOWED"),
        (
            "what is said was changed",
            around(&draft, |it| it.statement = draft.clone().urgent().envelope.encode_to_vec().into()),
            "SIGNATURE_INVALID",
        ),
        (
            "sealed to another key",
            draft.clone().edit(|it| it.recipients[0].key_id = Bytes::from_static(&[5; 32])).request(),
            "STALE_DIRECTORY",
        ),
        (
            "the payload is changed by a bit",
            PublishRequest { payload: flipped(&draft.payload), ..draft.request() },
            "PAYLOAD_MISMATCH",
        ),
        (
            "the payload is cut",
            PublishRequest { payload: draft.payload.slice(1..), ..draft.request() },
            "PAYLOAD_MISMATCH",
        ),
        (
            "the payload is another message's",
            PublishRequest { payload: desk.draft(&[IACHR]).payload, ..draft.request() },
            "PAYLOAD_MISMATCH",
        ),
    ] {
        let refused = told(desk.publish_request(request).await);
        assert_eq!(refused.reason, reason, "{what}: {refused:?}");
    }
    let auditor = stage.auditor("iachr").await;
    assert!(auditor.deliveries(all()).await.unwrap().is_empty(), "nothing came of it");
    let on_record = auditor.refusals().await;
    assert!(on_record.iter().any(|(who, it)| *who == desk.identity && it.reason == "SIGNATURE_INVALID"));
    desk.send(&draft).await;
    // The other desk of its office is not its sender either, not even of what is known.
    let beside = Desk::connect(&stage, "urn:resguardo:office:ohchr-honduras:desk-2").await;
    told(beside.publish_request(draft.request()).await).expect_reason("SENDER_FOREIGN");
    // Another office's desk hands in what is not its own, as it is and signed anew.
    let thief = stage.desk(MEXICO).await;
    told(thief.publish_request(draft.request()).await).expect_reason("SENDER_FOREIGN");
    let own = draft.clone().edit(|it| it.sender.clone_from(&thief.identity));
    let stolen = with(&own, own.signed_with(&desk_keys(&desk.identity)[0]));
    told(thief.publish_request(stolen).await).expect_reason("KEY_UNKNOWN");
}

fn with(draft: &Draft, envelope: Bytes) -> PublishRequest {
    PublishRequest { envelope, payload: draft.payload.clone() }
}

/// A message that two offices are owed, and both of them.
async fn owed(stage: &Stage) -> (Desk, Desk) {
    let sender = stage.desk(HONDURAS).await;
    for _ in 0..2 {
        sender.send(&sender.draft(&[IACHR, MEXICO])).await;
    }
    (stage.desk(IACHR).await, stage.desk(MEXICO).await)
}

/// A receipt that says that it took the office's key to find out, signed by somebody.
fn opened(receipt: &statement::Receipt, key: &SigningKey) -> Bytes {
    let mut signed = SignedReceipt::decode(signed_with(receipt, key)).expect("a step of the test");
    let mut stated = Receipt::decode(signed.statement).expect("a step of the test");
    stated.opened = true;
    signed.statement = stated.encode_to_vec().into();
    signed.signatures = vec![signature(key, Kind::Receipt, &signed.statement)];
    signed.encode_to_vec().into()
}

#[tokio::test]
async fn receipts_that_are_not_signed_as_they_must_be_are_refused_and_clear_nothing() {
    let stage = Stage::open().await;
    let (desk, other) = owed(&stage).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(2).await;
    let (first, second) = (named(&came[0]), named(&came[1]));
    let good = received_of(&desk.identity, vec![first.clone()]);
    let [attended, unattended] = desk_keys(&desk.identity);
    let [foreign, _] = desk_keys(&other.identity);
    let changed = |change: &dyn Fn(&mut SignedReceipt)| {
        let mut signed = SignedReceipt::decode(statement::bytes(&good)).expect("a step of the test");
        change(&mut signed);
        signed.encode_to_vec()
    };
    let unreadable = |message: &CoveredMessage| {
        turned_down(&desk.identity, ReceiptStage::Unreadable, message.clone(), "its inside is another's")
    };
    let raised = || {
        let mut receipt = Receipt::decode(
            SignedReceipt::decode(statement::bytes(&good)).expect("a step of the test").statement,
        )
        .expect("a step of the test");
        receipt.stage = ReceiptStage::Erased.into();
        receipt.encode_to_vec()
    };
    for (what, bytes, reason) in [
        ("nobody signed", changed(&|it| it.signatures.clear()), "SIGNATURE_MISSING"),
        ("half", changed(&|it| it.signatures[0].ml_dsa_44 = Bytes::new()), "SIGNATURE_INVALID"),
        (
            "changed",
            changed(&|it| it.signatures[0].ed25519 = flipped(&it.signatures[0].ed25519)),
            "SIGNATURE_INVALID",
        ),
        ("its stage was raised", changed(&|it| it.statement = raised().into()), "SIGNATURE_INVALID"),
        ("another message", changed(&|it| it.messages = vec![second.clone()]), "FIELD_INVALID"),
        ("another seed", changed(&|it| it.seed = Bytes::from_static(&[8; 32])), "FIELD_INVALID"),
        ("another office's key", signed_with(&good, &foreign).to_vec(), "KEY_UNKNOWN"),
        (
            "`read` by the key for when nobody is there",
            signed_with(&read(&desk.identity, first.clone()), &unattended).to_vec(),
            "KEY_NOT_ALLOWED",
        ),
        (
            "`unreadable` of what was opened, by the same key",
            opened(&unreadable(&first), &unattended).to_vec(),
            "KEY_NOT_ALLOWED",
        ),
        (
            "another office's receipt",
            statement::bytes(&received_of(&other.identity, vec![first.clone()])).to_vec(),
            "DESK_FOREIGN",
        ),
        (
            "another envelope under the message's id",
            statement::bytes(&received_of(
                &desk.identity,
                vec![statement::nobodys(first.index, first.message_id.clone())],
            ))
            .to_vec(),
            "NOT_OWED",
        ),
    ] {
        let results = subscription.state_bytes(vec![bytes.into()]).await;
        let refusal = statement::refused(&results[0]);
        assert_eq!(refusal.reason, reason, "{what}: {refusal:?}");
    }
    let auditor = stage.auditor("iachr").await;
    assert!(auditor.entries_of(EntryKind::Receipt).await.is_empty(), "nothing was recorded");
    // A machine's stage may be signed with either key. What is handed up again changes nothing.
    let by_hand = signed_with(&good, &attended);
    assert_eq!(statement::recorded(&subscription.state_bytes(vec![by_hand.clone()]).await[0]).news, 1);
    assert_eq!(statement::recorded(&subscription.state_bytes(vec![by_hand]).await[0]).news, 0);
    let unopened = signed_with(&unreadable(&first), &unattended);
    assert_eq!(statement::recorded(&subscription.state_bytes(vec![unopened]).await[0]).news, 1);
    let opened = opened(&unreadable(&second), &attended);
    assert_eq!(statement::recorded(&subscription.state_bytes(vec![opened]).await[0]).news, 1);
}

#[tokio::test]
async fn notes_that_are_not_those_of_their_receipts_are_refused() {
    let stage = Stage::open().await;
    let (desk, _) = owed(&stage).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    let receipt = statement::bytes(&read(&desk.identity, named(&came[0])));
    let machine = statement::bytes(&received_of(&desk.identity, vec![named(&came[0])]));
    let large = Bytes::from(vec![7; 64 * 1024 + 1]);
    for (receipt, note, reason) in [
        (&receipt, Bytes::new(), "PAYLOAD_MISMATCH"),
        (&receipt, flipped(&Bytes::from_static(NOTE)), "PAYLOAD_MISMATCH"),
        (&machine, Bytes::from_static(NOTE), "PAYLOAD_MISMATCH"),
        (&receipt, large, "TOO_LARGE"),
    ] {
        let handed = HandedReceipt { receipt: receipt.clone(), note };
        expect_item(&statement::refused(&subscription.state_handed(vec![handed]).await[0]), reason);
    }
    assert_eq!(statement::recorded(&subscription.state_bytes(vec![receipt]).await[0]).news, 1);
}
