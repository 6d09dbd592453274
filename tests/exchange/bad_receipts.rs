//! Receipts that are not as they must be: each refused by the field that is wrong, and the subscription goes on.

use bytes::Bytes;
use resguardo::wire::proto::Stage as ReceiptStage;
use resguardo::wire::proto::{Action, CoveredMessage, Delivery};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::chance::random_bytes;
use crate::stage::draft::new_id;
use crate::stage::statement::{self, bytes, named, received, refused};
use crate::stage::statement::{Receipt, nobodys};
use crate::stage::told::expect_item;
use crate::{HONDURAS, IACHR};

/// A change that spoils a `received` of one message, and the field that is to be named.
type Spoiled = (&'static str, fn(&mut Receipt));

fn many(count: u64) -> Vec<CoveredMessage> {
    (1..=count).map(|index| nobodys(index, new_id())).collect()
}

const SPOILED: [Spoiled; 29] = [
    ("desk", |it| it.desk.clear()),
    ("desk", |it| it.desk = "iachr".into()),
    ("desk", |it| it.desk = "urn:resguardo:auditor:iachr".into()),
    ("stage", |it| it.stage = 0),
    ("stage", |it| it.stage = 7),
    ("stage", |it| it.stage = -1),
    ("stage", |it| it.stage = i32::MAX),
    ("messages", |it| it.messages.clear()),
    ("messages", |it| it.messages = vec![it.messages[0].clone(), it.messages[0].clone()]),
    ("messages", |it| it.messages.insert(0, nobodys(u64::MAX, new_id()))),
    ("messages", |it| it.messages = many(513)),
    ("messages", |it| (it.stage, it.messages) = (ReceiptStage::Read.into(), vec![])),
    ("messages", |it| (it.stage, it.messages) = (ReceiptStage::Read.into(), many(2))),
    ("messages", |it| (it.stage, it.notices) = (ReceiptStage::Read.into(), vec![1])),
    ("messages", |it| {
        (it.stage, it.messages, it.reason) = (ReceiptStage::Declined.into(), many(2), "no".into());
    }),
    ("messages.message_id", |it| it.messages[0].message_id = Bytes::new()),
    ("messages.message_id", |it| it.messages[0].message_id = Bytes::from_static(&[0; 16])),
    ("messages.message_id", |it| it.messages[0].message_id.truncate(15)),
    ("notices", |it| it.notices = vec![2, 1]),
    ("notices", |it| it.notices = vec![1, 1]),
    ("notices", |it| it.notices = (0..513).collect()),
    ("action", |it| it.action = Action::AskedState.into()),
    ("action", |it| it.action = 8),
    ("action", |it| it.stage = ReceiptStage::Acted.into()),
    ("action", |it| (it.stage, it.action) = (ReceiptStage::Acted.into(), 99)),
    ("reason", |it| it.reason = "received has none".into()),
    ("reason", |it| (it.stage, it.reason) = (ReceiptStage::Unreadable.into(), " \n".into())),
    ("reason", |it| (it.stage, it.reason) = (ReceiptStage::Declined.into(), "said in clear".into())),
    ("reason", |it| (it.stage, it.reason) = (ReceiptStage::Unreadable.into(), "é".repeat(513))),
];

#[tokio::test]
async fn spoiled_receipt_is_refused_by_its_field_and_clears_nothing() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came: Vec<Delivery> = subscription.next(1).await;
    for (at, (field, spoil)) in SPOILED.into_iter().enumerate() {
        let mut receipt = received(&desk.identity, &came);
        spoil(&mut receipt);
        let refusal = refused(&subscription.state(&receipt).await);
        assert_eq!(refusal.reason, "FIELD_INVALID", "{at}: {receipt:?}: {refusal:?}");
        expect_item(&refusal, "FIELD_INVALID");
        assert_eq!((refusal.field.as_str(), refusal.retry_after_ms), (field, 0), "{at}: {refusal:?}");
    }
    assert!(stage.auditor("iachr").await.receipts(all()).await.unwrap().is_empty());
    assert_eq!(subscription.acknowledge(&came).await.news, 1);
}

#[tokio::test]
async fn garbage_in_place_of_a_receipt_is_refused_and_the_others_of_its_frame_are_not() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    let good = bytes(&received(&desk.identity, &came));
    let mut padded = good.to_vec();
    // Field 100, which nobody knows, of 70,000 bytes.
    padded.extend([0xa2, 0x06, 0xf0, 0xa2, 0x04]);
    padded.resize(padded.len() + 70_000, b'.');
    let frame = vec![
        Bytes::from_static(b"\xff\xff\xff"),
        good.slice(..good.len() - 3),
        padded.into(),
        good.clone(),
        Bytes::from_static(b"{}"),
    ];
    let results = subscription.state_bytes(frame).await;
    for (at, reason) in [(0, "MALFORMED"), (1, "MALFORMED"), (2, "TOO_LARGE"), (4, "MALFORMED")] {
        expect_item(&refused(&results[at]), reason);
    }
    assert_eq!(statement::recorded(&results[3]).news, 1);
    for length in 0..120_usize {
        let noise: Vec<u8> = (0..=length).flat_map(|_| random_bytes::<3>()).collect();
        refused(&subscription.state_bytes(vec![noise.into()]).await[0]);
    }
}

#[tokio::test]
async fn receipt_keeps_fields_that_nobody_knows_yet() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    let receipt =
        statement::turned_down(&desk.identity, ReceiptStage::Unreadable, named(&came[0]), "not ours");
    let mut exact = bytes(&receipt).to_vec();
    exact.extend([0xa2, 0x06, 0x03, b'n', b'e', b'w']);
    let recorded = statement::recorded(&subscription.state_bytes(vec![exact.clone().into()]).await[0]);
    let entries = stage.auditor("iachr").await.entries(all()).await.unwrap();
    assert_eq!(entries.last().unwrap().index, recorded.index);
    assert_eq!(entries.last().unwrap().statement, exact);
    let notice = sender.subscribe().await.delivery().await;
    assert_eq!(crate::stage::subscription::notice(&notice), &exact);
}
