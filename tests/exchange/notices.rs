//! Notices: `declined` and `unreadable` reach the office that sent the message, at once and until acknowledged.

use resguardo::wire::proto::Stage as ReceiptStage;
use resguardo::wire::proto::{Delivery, Start};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::statement::Receipt;
use crate::stage::statement::{self, named, receipt, turned_down};
use crate::stage::subscription::{id, notice};
use crate::stage::told::expect_item;
use crate::{COLOMBIA, HONDURAS, IACHR, MEXICO};

/// Turns down every message that a desk is owed; gives the receipts and their indexes.
async fn turn_down(desk: &Desk, count: usize, stage: ReceiptStage, reason: &str) -> Vec<(Receipt, u64)> {
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(count).await;
    let mut stated = Vec::new();
    for delivery in came {
        let receipt = turned_down(&desk.identity, stage, named(&delivery), reason);
        stated.push((receipt.clone(), subscription.record(&receipt).await.index));
    }
    stated
}

fn assert_notice(delivery: &Delivery, stated: &(Receipt, u64)) {
    assert_eq!(notice(delivery), &statement::bytes(&stated.0), "the exact bytes of the receipt");
    assert_eq!(delivery.index, stated.1);
    assert!(delivery.accepted_unix_us > 0);
}

#[tokio::test]
async fn declined_and_unreadable_reach_the_senders_open_subscriptions_at_once() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let mut live = [sender.subscribe().await, stage.desk_named(HONDURAS, "desk-2").await.subscribe().await];
    let mut bystander = stage.desk(COLOMBIA).await.subscribe().await;
    sender.send(&sender.draft(&[IACHR, MEXICO])).await;
    let mexico = turn_down(&stage.desk(MEXICO).await, 1, ReceiptStage::Unreadable, "no key for it").await;
    let iachr = turn_down(&stage.desk(IACHR).await, 1, ReceiptStage::Declined, "outside our mandate").await;
    for session in &mut live {
        assert_notice(&session.delivery().await, &mexico[0]);
        assert_notice(&session.delivery().await, &iachr[0]);
    }
    bystander.nothing_comes().await;
    live[0].nothing_comes().await;
}

#[tokio::test]
async fn notices_come_again_until_one_desk_acknowledges_them_also_after_a_kill() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let drafts = [sender.draft(&[IACHR]), sender.draft(&[IACHR]), sender.draft(&[IACHR])];
    sender.send_all(&drafts, 3).await;
    let stated = turn_down(&stage.desk(IACHR).await, 3, ReceiptStage::Declined, "not ours").await;
    for round in 0..3 {
        let mut subscription = stage.desk(HONDURAS).await.subscribe().await;
        let came = subscription.next(3).await;
        for (delivery, stated) in came.iter().zip(&stated) {
            assert_notice(delivery, stated);
        }
        if round == 1 {
            stage.kill().await;
            stage.start().await;
        }
    }
    let mut subscription = stage.desk(HONDURAS).await.subscribe().await;
    let came = subscription.next(3).await;
    let first = subscription.acknowledge(&came[..2]).await;
    assert_eq!(first.news, 2);
    let again = subscription.acknowledge(&came[..2]).await;
    assert_eq!((again.index, again.news), (first.index, 0));
    let mut rest = stage.desk_named(HONDURAS, "desk-2").await.subscribe().await;
    assert_notice(&rest.delivery().await, &stated[2]);
    rest.nothing_comes().await;
    stage.restart().await;
    let mut rest = stage.desk(HONDURAS).await.subscribe().await;
    let last = rest.delivery().await;
    assert_notice(&last, &stated[2]);
    rest.acknowledge(&[last]).await;
    stage.desk(HONDURAS).await.subscribe().await.nothing_comes().await;
}

#[tokio::test]
async fn one_receipt_acknowledges_messages_and_notices_together() {
    let stage = Stage::open().await;
    let (honduras, iachr) = (stage.desk(HONDURAS).await, stage.desk(IACHR).await);
    honduras.send(&honduras.draft(&[IACHR])).await;
    turn_down(&iachr, 1, ReceiptStage::Unreadable, "damaged").await;
    let answer: Draft = iachr.draft(&[HONDURAS]);
    iachr.send(&answer).await;
    let mut subscription = honduras.subscribe().await;
    let came = subscription.next(2).await;
    assert_eq!(subscription.acknowledge(&came).await.news, 2);
    assert_eq!(honduras.subscribe().await.started.outstanding, 0);
    honduras.subscribe().await.nothing_comes().await;
}

#[tokio::test]
async fn turned_down_delivery_stays_open_and_comes_again() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let iachr = stage.desk(IACHR).await;
    turn_down(&iachr, 1, ReceiptStage::Unreadable, "no key for it").await;
    let auditor = stage.auditor("ohchr").await;
    for waiting_for in [ReceiptStage::Received, ReceiptStage::Read, ReceiptStage::Acted] {
        assert_eq!(auditor.outstanding(all(), waiting_for).await.unwrap().len(), 1);
    }
    let mut again = iachr.subscribe().await;
    assert_eq!(again.started.outstanding, 1);
    assert_eq!(id(&again.delivery().await), draft.id());
}

#[tokio::test]
async fn repeated_turning_down_tells_the_sender_once() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let iachr = stage.desk(IACHR).await;
    let stated = turn_down(&iachr, 1, ReceiptStage::Declined, "not ours").await;
    let mut subscription = iachr.subscribe().await;
    let repeated = subscription.record(&stated[0].0).await;
    assert_eq!((repeated.index, repeated.news), (stated[0].1, 0));
    let mut told = sender.subscribe().await;
    assert_notice(&told.delivery().await, &stated[0]);
    told.nothing_comes().await;
}

#[tokio::test]
async fn notice_is_the_senders_alone_to_acknowledge() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR, MEXICO])).await;
    let stated = turn_down(&stage.desk(IACHR).await, 1, ReceiptStage::Declined, "not ours").await;
    for office in [MEXICO, IACHR, COLOMBIA] {
        let desk = stage.desk(office).await;
        let mut subscription = desk.subscribe().await;
        let mut receipt = receipt(&desk.identity, ReceiptStage::Received, vec![]);
        receipt.notices = vec![stated[0].1];
        expect_item(&statement::refused(&subscription.state(&receipt).await), "NOT_OWED");
    }
    assert_notice(&sender.subscribe().await.delivery().await, &stated[0]);
}

#[tokio::test]
async fn notices_use_credit_and_come_whatever_streams_are_asked_for() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send_all(&[sender.draft(&[IACHR]), sender.draft(&[IACHR])], 2).await;
    let stated = turn_down(&stage.desk(IACHR).await, 2, ReceiptStage::Declined, "not ours").await;
    let start = Start { credit: 1, streams: vec!["studies".into()], ..Start::default() };
    let mut subscription = sender.subscribe_with(start).await;
    assert_notice(&subscription.delivery().await, &stated[0]);
    subscription.nothing_comes().await;
    subscription.credit(1).await;
    assert_notice(&subscription.delivery().await, &stated[1]);
}

#[tokio::test]
async fn sender_that_is_its_own_recipient_is_told_of_its_own_turning_down() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[HONDURAS])).await;
    let stated = turn_down(&sender, 1, ReceiptStage::Unreadable, "our own key is gone").await;
    let mut other_desk = stage.desk_named(HONDURAS, "desk-2").await.subscribe().await;
    let came = other_desk.next(2).await;
    let told: Vec<_> = came.iter().filter(|delivery| delivery.index == stated[0].1).collect();
    assert_eq!(told.len(), 1);
    assert_notice(told[0], &stated[0]);
}
