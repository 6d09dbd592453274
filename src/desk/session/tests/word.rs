//! What a subscription makes of the hub's own word: that a message is erased, or was asked for.

use super::*;
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::wire::erasure::{SignedOrder, ordered_bytes};

/// A message as a hub sends it that says of it what no sender has signed.
fn said(number: u64, say: impl Fn(&mut proto::Message)) -> proto::Delivery {
    let mut delivery = delivery(number);
    let Some(proto::delivery::Content::Message(message)) = &mut delivery.content else { panic!("a message") };
    say(message);
    delivery
}

fn erased(number: u64) -> proto::Delivery {
    said(number, |message| (message.payload, message.erased) = (bytes::Bytes::new(), true))
}

fn ordered(index: u64, number: u64) -> proto::Delivery {
    let by = OrderedBy::Desk(crate::desk::sample::desk("iachr"));
    let order = ErasureOrder { by, message_id: id(number), at: NOW, reason: "a reason".into() };
    let bytes = ordered_bytes(SignedOrder::by(&keys("iachr")[0], &order), Index(number));
    let notice = Some(proto::notice::Notice::Erasure(bytes));
    let content = Some(proto::delivery::Content::Notice(proto::Notice { notice, note: bytes::Bytes::new() }));
    proto::Delivery { index, accepted_unix_us: NOW.0, content }
}

/// What was stated until a receipt names a message: stages and indexes.
async fn stated_until(call: &mut hub::Call, index: u64) -> Vec<(Stage, Vec<u64>)> {
    let mut stated = Vec::new();
    loop {
        let receipts = read(&call.receipts().await);
        call.record(receipts.iter().map(|_| 50)).await;
        stated.extend(receipts.iter().map(|it| (it.stage, indexes(it))));
        if stated.iter().any(|(_, indexes)| indexes.contains(&index)) {
            return stated;
        }
    }
}

#[tokio::test]
async fn erased_is_stated_once_an_order_holds_and_never_on_the_hubs_word() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![erased(5), erased(6), delivery(7)]).await;
            assert_eq!(stated_until(&mut call, 7).await, [(Stage::Received, vec![7])]);
            drop(call);
            // What is owed comes again: one with its payload, the other with an order.
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5), erased(6), delivery(8)]).await;
            assert_eq!(stated_until(&mut call, 8).await, [(Stage::Received, vec![5, 8])]);
            call.deliver(vec![ordered(9, 6)]).await;
            assert!(stated_until(&mut call, 6).await.contains(&(Stage::Erased, vec![6])));
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    let counts = ["ErasedCame", "message 5", "Erased {"].map(|words| desk.told.count(words));
    assert_eq!(counts, [2, 1, 1], "{:?}", desk.told.words);
}

#[tokio::test]
async fn replayed_is_believed_only_where_a_replay_was_asked_for() {
    let replayed = || said(5, |message| message.replayed = true);
    let exec = ExecPlan { command: "true".into(), output_to_stderr: true };
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let plan = Plan { exec: Some(exec.clone()), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![replayed()]).await;
            assert_eq!(stated_until(&mut call, 5).await, [(Stage::Received, vec![5])]);
            desk.told.wait_for("command 5: well", 1).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    let desk = Desk::new();
    let plan = Plan { replay_from: Some(ReplayFrom::Index(Index(0))), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![replayed(), delivery(6)]).await;
            assert_eq!(stated_until(&mut call, 6).await, [(Stage::Received, vec![6])]);
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
}

#[tokio::test]
async fn a_receipt_of_a_key_that_cannot_be_looked_up_now_is_judged_when_it_comes_again() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let good = notice(6);
    let mut unknown = good.clone();
    if let Some(proto::delivery::Content::Notice(notice)) = &mut unknown.content {
        let Some(proto::notice::Notice::Receipt(bytes)) = &notice.notice else { panic!("a receipt") };
        let receipt = SignedReceipt::read(bytes).unwrap().receipt;
        let key = &crate::model::policy::tests::desk_keys(90)[0];
        let bytes = SignedReceipt::by(key, receipt, [6; 32]).to_bytes();
        notice.notice = Some(proto::notice::Notice::Receipt(bytes));
    }
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            // This hub gives no directory.
            call.deliver(vec![unknown, delivery(7)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts.len(), indexes(&receipts[0])), (1, vec![7]));
            assert!(receipts[0].notices.is_empty() && desk.after_power_cut().notices().unwrap().is_empty());
            drop(call);
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![good]).await;
            assert_eq!(read(&call.receipts().await)[0].notices, [Index(6)]);
            call.record([51]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(desk.told.count("notice 6"), 1);
}
