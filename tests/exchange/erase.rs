//! Erasures: from the order on nobody is given a payload, its bytes go from the disk, and all else stays.

use bytes::Bytes;
use prost::Message as _;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::proto::erasure::Erasure as What;
use resguardo::wire::proto::{
    EraseRequest, EraseResponse, Erasure, ErasureOrder, Notice, OrderedErasure, Signed,
    Stage as ReceiptStage, Start, delivery, notice,
};
use tonic::Status;

use crate::stage::Stage;
use crate::stage::audit::{all, assert_same, everything};
use crate::stage::authority::now_us;
use crate::stage::client::Desk;
use crate::stage::draft::{Draft, new_id};
use crate::stage::founding::{desk_keys, key};
use crate::stage::sign::signature;
use crate::stage::statement::{self, named, receipt};
use crate::stage::subscription::{id, message};
use crate::stage::told::{expect_item, told};
use crate::stage::wait::{until, within};
use crate::{COLOMBIA, GUATEMALA, HONDURAS, IACHR, MEXICO};

const REASON: &str = "sent to the wrong offices";

pub(crate) fn order(desk: &Desk, draft: &Draft) -> ErasureOrder {
    ErasureOrder {
        desk: desk.identity.clone(),
        message_id: draft.id(),
        at_unix_us: now_us(),
        reason: REASON.into(),
        ..ErasureOrder::default()
    }
}

/// An order as a desk's person signs it.
fn signed(order: &ErasureOrder) -> Bytes {
    signed_with(order, &desk_keys(&order.desk)[0], Kind::ErasureOrder)
}

fn signed_with(order: &ErasureOrder, key: &SigningKey, kind: Kind) -> Bytes {
    let statement = order.encode_to_vec().into();
    let signatures = vec![signature(key, kind, &statement)];
    Signed { statement, signatures }.encode_to_vec().into()
}

pub(crate) async fn erase(desk: &Desk, order: &ErasureOrder) -> Result<EraseResponse, Status> {
    hand_in(desk, signed(order)).await
}

async fn hand_in(desk: &Desk, order: Bytes) -> Result<EraseResponse, Status> {
    let answer = within("an order is answered", desk.exchange().erase(EraseRequest { order })).await;
    Ok(answer?.into_inner())
}

#[tokio::test]
async fn erased_payload_is_given_to_nobody_and_goes_from_the_disk_while_all_else_stays() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let (draft, other) = (sender.draft(&[IACHR, MEXICO]), sender.draft(&[IACHR, MEXICO]));
    let accepted = sender.send(&draft).await;
    sender.send(&other).await;
    let mut iachr = stage.desk(IACHR).await.subscribe().await;
    let had = iachr.next(2).await;
    iachr.acknowledge(&had).await;
    assert!(stage.holds(&draft.payload));

    let said = order(&sender, &draft);
    let answer = erase(&sender, &said).await.unwrap();
    assert!(!answer.duplicate && answer.index > accepted.index);
    // Who has it is told: who received it, who has it outstanding, the other desks of the sender.
    let told = iachr.delivery().await;
    assert_eq!(told.index, answer.index);
    let Some(delivery::Content::Notice(Notice { notice: Some(notice::Notice::Erasure(bytes)), .. })) =
        &told.content
    else {
        panic!("{told:?}")
    };
    let ordered = OrderedErasure { order: signed(&said), message_index: accepted.index };
    assert_eq!(*bytes, Erasure { erasure: Some(What::Ordered(ordered)) }.encode_to_vec());
    // Who has not got it yet gets it without its payload.
    let mut mexico = stage.desk(MEXICO).await.subscribe().await;
    let came = mexico.next(3).await;
    let erased = came.iter().find(|it| statement::is_message(it) && id(it) == draft.id()).unwrap();
    assert!(message(erased).erased && message(erased).payload.is_empty());
    assert_eq!(message(erased).envelope, draft.envelope_bytes());
    let kept = came.iter().find(|it| statement::is_message(it) && id(it) == other.id()).unwrap();
    assert!(!message(kept).erased);
    assert_eq!(message(kept).payload, other.payload);
    let own = stage.desk_named(HONDURAS, "desk-2").await.subscribe().await.delivery().await;
    assert_eq!(own.index, answer.index);
    // Each states what it erased; that closes the delivery.
    let mut stated = receipt(&mexico.desk, ReceiptStage::Erased, vec![named(erased)]);
    stated.notices = vec![answer.index];
    assert_eq!(mexico.record(&stated).await.news, 2);
    let gone = named(had.iter().find(|it| id(it) == draft.id()).unwrap());
    let of_iachr = receipt(&iachr.desk, ReceiptStage::Erased, vec![gone]);
    assert_eq!(iachr.record(&of_iachr).await.news, 1);
    let replayed = Start { credit: 9, replay_from_index: Some(0), ..Start::default() };
    let mut again = stage.desk(MEXICO).await.subscribe_with(replayed).await;
    let again = again.next(2).await;
    assert!(again.iter().any(|it| id(it) == draft.id() && message(it).payload.is_empty()));

    until("its bytes are overwritten", async || (!stage.holds(&draft.payload)).then_some(())).await;
    assert!(stage.holds(&other.payload));
    let before = everything(&stage).await;
    stage.stop().await;
    for command in [["hub", "verify"], ["hub", "rebuild"]] {
        let ran = stage.program(&command).await;
        assert!(ran.status.success(), "{command:?}: {ran:?}");
    }
    stage.start().await;
    assert_same(&before, &everything(&stage).await, "after verify and rebuild");
    let history = stage.auditor("ohchr").await.describe(&draft.id(), HONDURAS).await.unwrap();
    let erasure = history.erasure.unwrap();
    assert_eq!((erasure.index, erasure.reason.as_str()), (answer.index, REASON));
    let stages = |office: &str| -> Vec<i32> {
        let row = history.deliveries.iter().find(|row| row.office == office).unwrap();
        row.stages.iter().map(|stage| stage.stage).collect()
    };
    assert_eq!(stages(IACHR), [ReceiptStage::Received as i32, ReceiptStage::Erased as i32]);
    assert_eq!(stages(MEXICO), [ReceiptStage::Erased as i32]);
}

#[tokio::test]
async fn second_order_gets_the_first_answer_also_after_a_kill() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let first = erase(&sender, &order(&sender, &draft)).await.unwrap();
    let mut other = order(&stage.desk_named(HONDURAS, "desk-2").await, &draft);
    stage.kill().await;
    stage.start().await;
    let desk = stage.desk_named(HONDURAS, "desk-2").await;
    for _ in 0..2 {
        let again = erase(&desk, &other).await.unwrap();
        assert_eq!(again, EraseResponse { duplicate: true, ..first });
        other.reason.push('!');
    }
    // What is published again under its id is known, and stays erased.
    assert!(stage.desk(HONDURAS).await.publish(&draft).await.unwrap().duplicate);
    let came = stage.desk(IACHR).await.subscribe().await.next(2).await;
    assert!(came.iter().any(|it| statement::is_message(it) && message(it).erased));
}

#[tokio::test]
async fn orders_for_what_is_not_ones_own_and_orders_out_of_form_are_refused() {
    let stage = Stage::open().await;
    let (sender, other) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let draft = sender.draft(&[MEXICO]);
    sender.send(&draft).await;
    told(erase(&other, &order(&other, &draft)).await).expect_reason("MESSAGE_UNKNOWN");
    told(erase(&other, &order(&sender, &draft)).await).expect_reason("DESK_FOREIGN").expect_field("desk");
    let unknown = sender.draft(&[MEXICO]);
    told(erase(&sender, &order(&sender, &unknown)).await).expect_reason("MESSAGE_UNKNOWN");
    let changed = |change: &dyn Fn(&mut ErasureOrder)| {
        let mut order = order(&sender, &draft);
        change(&mut order);
        order
    };
    for wrong in [
        changed(&|order| order.reason.clear()),
        changed(&|order| order.reason = "x".repeat(1_025)),
        changed(&|order| order.message_id = vec![7; 16].into()),
        changed(&|order| order.desk = "urn:resguardo:hub:stage".into()),
        changed(&|order| order.registrar = "iachr".into()),
        changed(&|order| order.sender_office = "ohchr-mexico".into()),
    ] {
        let order = signed_with(&wrong, &desk_keys(&sender.identity)[0], Kind::ErasureOrder);
        told(hand_in(&sender, order).await).expect_reason("FIELD_INVALID");
    }
    told(hand_in(&sender, vec![0xff; 9].into()).await).expect_reason("MALFORMED");
    let delivered = other.subscribe().await.delivery().await;
    assert_eq!(message(&delivered).payload, draft.payload, "nothing was erased");
}

#[tokio::test]
async fn orders_that_nobody_signed_as_they_must_be_are_refused() {
    let stage = Stage::open().await;
    let (sender, other) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let draft = sender.draft(&[MEXICO]);
    sender.send(&draft).await;
    let own = order(&sender, &draft);
    let [attended, unattended] = desk_keys(&sender.identity);
    let [foreign, _] = desk_keys(&other.identity);
    let kind = Kind::ErasureOrder;
    let around = |change: &dyn Fn(&mut Signed)| {
        let mut signed = Signed::decode(signed(&own)).unwrap();
        change(&mut signed);
        Bytes::from(signed.encode_to_vec())
    };
    let of_registrar = by_registrar(&own, "iachr");
    let of_nobody = ErasureOrder { registrar: "ohchr-1".into(), ..of_registrar.clone() };
    let by_iachr = &key(1);
    for (what, order, reason) in [
        ("nobody signed", around(&|it| it.signatures.clear()), "SIGNATURE_MISSING"),
        ("half of it is gone", around(&|it| it.signatures[0].ed25519 = Bytes::new()), "SIGNATURE_INVALID"),
        ("changed", around(&|it| it.statement = changed_reason(&own)), "SIGNATURE_INVALID"),
        ("signed as something else", signed_with(&own, &attended, Kind::Receipt), "SIGNATURE_INVALID"),
        ("a key for when nobody is there", signed_with(&own, &unattended, kind), "KEY_NOT_ALLOWED"),
        ("another office's key", signed_with(&own, &foreign, kind), "KEY_UNKNOWN"),
        ("a registrar's, in a desk's name", signed_with(&own, by_iachr, kind), "KEY_UNKNOWN"),
        ("a desk's, in a registrar's name", signed_with(&of_registrar, &attended, kind), "KEY_UNKNOWN"),
        ("the other registrar's", signed_with(&of_registrar, &key(2), kind), "KEY_UNKNOWN"),
        ("of no registrar", signed_with(&of_nobody, by_iachr, kind), "KEY_UNKNOWN"),
    ] {
        let refused = told(hand_in(&sender, order).await);
        assert_eq!(refused.reason, reason, "{what}: {refused:?}");
    }
    let elsewhere = ErasureOrder { sender_office: "ohchr-peru".into(), ..of_registrar.clone() };
    told(hand_in(&other, signed_with(&elsewhere, by_iachr, kind)).await).expect_reason("MESSAGE_UNKNOWN");
    let delivered = other.subscribe().await.delivery().await;
    assert_eq!(message(&delivered).payload, draft.payload, "nothing was erased");
}

fn by_registrar(order: &ErasureOrder, name: &str) -> ErasureOrder {
    let (registrar, sender_office) = (name.into(), "ohchr-honduras".into());
    ErasureOrder { desk: String::new(), registrar, sender_office, ..order.clone() }
}

fn changed_reason(order: &ErasureOrder) -> Bytes {
    ErasureOrder { reason: "another".into(), ..order.clone() }.encode_to_vec().into()
}

#[tokio::test]
async fn one_registrar_has_any_message_erased_and_any_desk_hands_the_order_in() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let order = by_registrar(&order(&sender, &draft), "ohchr");
    let bytes = signed_with(&order, &key(2), Kind::ErasureOrder);
    let answer = hand_in(&stage.desk(COLOMBIA).await, bytes.clone()).await.unwrap();
    assert!(!answer.duplicate);
    let came = stage.desk(IACHR).await.subscribe().await.next(2).await;
    assert!(came.iter().any(|it| statement::is_message(it) && message(it).erased));
    let told = sender.subscribe().await.delivery().await;
    assert_eq!(told.index, answer.index);
    let history = stage.auditor("iachr").await.describe(&draft.id(), HONDURAS).await.unwrap();
    let erasure = history.erasure.unwrap();
    assert_eq!((erasure.ordered_by.as_str(), erasure.order), ("registrar ohchr", bytes));
}

#[tokio::test]
async fn erased_is_taken_of_what_is_to_be_erased_alone() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let mut iachr = stage.desk(IACHR).await.subscribe().await;
    let came = iachr.delivery().await;
    let stated = receipt(&iachr.desk, ReceiptStage::Erased, vec![named(&came)]);
    expect_item(&statement::refused(&iachr.state(&stated).await), "NOT_ERASED");
    let mut foreign = stage.desk(COLOMBIA).await.subscribe().await;
    let stated = receipt(&foreign.desk, ReceiptStage::Erased, vec![named(&came)]);
    expect_item(&statement::refused(&foreign.state(&stated).await), "NOT_OWED");
    let auditor = stage.auditor("iachr").await;
    assert_eq!(auditor.outstanding(all(), ReceiptStage::Received).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_asked_of_an_erased_message_any_more_but_to_erase_it() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]).urgent().edit(|envelope| envelope.receive_by_s = Some(1));
    sender.send(&draft).await;
    let late = sender.draft(&[IACHR]).edit(|envelope| envelope.receive_by_s = Some(1));
    sender.send(&late).await;
    erase(&sender, &order(&sender, &draft)).await.unwrap();
    let auditor = stage.auditor("iachr").await;
    // The other one falls due, and is said after what would have fallen due before it.
    let mut honduras = sender.subscribe().await;
    loop {
        let came = honduras.delivery().await;
        if let Some(delivery::Content::Notice(Notice { notice: Some(notice::Notice::Overdue(_)), .. })) =
            came.content
        {
            break;
        }
    }
    let history = auditor.describe(&draft.id(), HONDURAS).await.unwrap();
    assert!(history.deliveries[0].due.is_empty(), "{:?}", history.deliveries[0].due);
    let history = auditor.describe(&late.id(), HONDURAS).await.unwrap();
    assert!(history.deliveries[0].due[0].overdue);
}

#[tokio::test]
async fn files_of_an_erased_packet_go_but_for_those_that_another_packet_has() {
    let stage = Stage::open().await;
    let (sender, reader) = (stage.desk(GUATEMALA).await, stage.desk(IACHR).await);
    let (own, shared) = (b"only in the one that is erased".to_vec(), b"in both of the packets".to_vec());
    let files = [sender.hand_up(&own).await.unwrap(), sender.hand_up(&shared).await.unwrap()];
    let packet = sender.packet(&[IACHR], files.to_vec());
    let accepted = sender.send(&packet).await;
    let other = sender.packet(&[IACHR], vec![files[1].clone()]);
    let other_accepted = sender.send(&other).await;
    erase(&sender, &order(&sender, &packet)).await.unwrap();
    for file in &files {
        told(reader.download(&packet, &accepted, file, 0).await).expect_reason("MESSAGE_UNKNOWN");
    }
    assert_eq!(reader.download(&other, &other_accepted, &files[1], 0).await.unwrap(), shared);
    until("the file is gone", async || (!stage.holds(&own)).then_some(())).await;
    assert!(stage.holds(&shared));
    // The same file may come again, with another packet.
    sender.hand_up(&own).await.unwrap();
    let anew = sender.packet(&[IACHR], vec![files[0].clone()]);
    let anew_accepted = sender.send(&anew).await;
    assert_eq!(reader.download(&anew, &anew_accepted, &files[0], 0).await.unwrap(), own);
}

#[tokio::test]
async fn unknown_id_is_not_said_to_be_another_offices() {
    let stage = Stage::open().await;
    let (sender, other) = (stage.desk(HONDURAS).await, stage.desk(COLOMBIA).await);
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let mut nobodys = draft.clone();
    nobodys.envelope.message_id = new_id();
    let said = |status: Status, id: &str| status.message().replace(id, "it");
    let hex = |draft: &Draft| uuid::Uuid::from_slice(&draft.id()).unwrap().to_string();
    let foreign = erase(&other, &order(&other, &draft)).await.unwrap_err();
    let unknown = erase(&other, &order(&other, &nobodys)).await.unwrap_err();
    assert_eq!(said(foreign, &hex(&draft)), said(unknown, &hex(&nobodys)));
}
