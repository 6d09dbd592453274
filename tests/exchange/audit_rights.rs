//! Who may ask what happened: an auditor everything, an office what it sent, was owed and stated.

use resguardo::wire::proto::{DeliveryRow, EntryKind, EntryRow, Stage as ReceiptStage};

use crate::stage::Stage;
use crate::stage::audit::{all, of};
use crate::stage::client::{Auditor, Desk};
use crate::stage::draft::Draft;
use crate::stage::statement::decoded;
use crate::stage::told::told;
use crate::{COLOMBIA, GUATEMALA, HONDURAS, IACHR, MEXICO};

/// Two conversations that have nothing to do with each other, each message acknowledged once.
struct Scene {
    stage: Stage,
    /// From Honduras to headquarters and Mexico; Mexico has it.
    first: Draft,
    /// From Colombia to Guatemala; Guatemala has it.
    second: Draft,
}

async fn scene() -> Scene {
    let stage = Stage::open().await;
    let (honduras, colombia) = (stage.desk(HONDURAS).await, stage.desk(COLOMBIA).await);
    let (first, second) = (honduras.draft(&[IACHR, MEXICO]), colombia.draft(&[GUATEMALA]));
    honduras.send(&first).await;
    colombia.send(&second).await;
    for office in [MEXICO, GUATEMALA] {
        let mut subscription = stage.desk(office).await.subscribe().await;
        let delivery = subscription.delivery().await;
        subscription.acknowledge(&[delivery]).await;
    }
    Scene { stage, first, second }
}

fn owed(rows: &[DeliveryRow]) -> Vec<(Vec<u8>, String)> {
    rows.iter()
        .map(|row| (row.message.clone().unwrap_or_default().message_id.to_vec(), row.office.clone()))
        .collect()
}

async fn office(stage: &Stage, name: &str) -> Auditor {
    stage.desk(name).await.auditor()
}

fn published(entries: &[EntryRow]) -> Vec<Vec<u8>> {
    let published = entries.iter().filter(|entry| entry.kind() == EntryKind::Publish);
    published.map(|entry| entry.statement.to_vec()).collect()
}

#[tokio::test]
async fn auditors_of_both_institutions_audit_everything_and_see_the_same() {
    let Scene { stage, first, second } = scene().await;
    let (iachr, ohchr) = (stage.auditor("iachr").await, stage.auditor("ohchr").await);
    let seen = iachr.everything().await;
    assert_eq!(seen, ohchr.everything().await);
    let rows = owed(&iachr.deliveries(all()).await.unwrap());
    let (first, second) = (first.id().to_vec(), second.id().to_vec());
    let expected =
        [(first.clone(), IACHR.to_owned()), (first, MEXICO.to_owned()), (second, GUATEMALA.to_owned())];
    assert_eq!(rows, expected);
    assert_eq!(iachr.receipts(all()).await.unwrap().len(), 2);
    let waiting = iachr.outstanding(all(), ReceiptStage::Received).await.unwrap();
    assert_eq!(owed(&waiting), expected[..1]);
    assert_eq!(iachr.outstanding(all(), ReceiptStage::Read).await.unwrap().len(), 3);
}

#[tokio::test]
async fn office_audits_what_it_sent_and_was_owed_and_no_more() {
    let Scene { stage, first, second } = scene().await;
    let id = |draft: &Draft| draft.id().to_vec();
    let row = |draft: &Draft, office: &str| (id(draft), office.to_owned());
    let cases = [
        (HONDURAS, vec![row(&first, IACHR), row(&first, MEXICO)], vec![first.envelope_bytes().to_vec()], 1),
        (MEXICO, vec![row(&first, MEXICO)], vec![first.envelope_bytes().to_vec()], 1),
        (IACHR, vec![row(&first, IACHR)], vec![first.envelope_bytes().to_vec()], 0),
        (GUATEMALA, vec![row(&second, GUATEMALA)], vec![second.envelope_bytes().to_vec()], 1),
        ("ohchr-central-america", vec![], vec![], 0),
    ];
    for (name, deliveries, envelopes, receipts) in cases {
        let seen = office(&stage, name).await;
        assert_eq!(owed(&seen.deliveries(all()).await.unwrap()), deliveries, "{name}");
        assert_eq!(published(&seen.entries(all()).await.unwrap()), envelopes, "{name}");
        assert_eq!(seen.receipts(all()).await.unwrap().len(), receipts, "{name}");
        let unread = seen.outstanding(all(), ReceiptStage::Read).await.unwrap();
        assert_eq!(owed(&unread).len(), deliveries.len(), "{name}");
    }
}

#[tokio::test]
async fn office_that_asks_for_anothers_gets_nothing_of_it() {
    let Scene { stage, second, .. } = scene().await;
    let mexico = office(&stage, MEXICO).await;
    let strange = second.id();
    // A refusal is as good an answer as an empty listing.
    let deliveries = mexico.deliveries(of(GUATEMALA)).await.unwrap_or_default();
    let outstanding = mexico.outstanding(of(GUATEMALA), ReceiptStage::Read).await.unwrap_or_default();
    assert!(deliveries.is_empty() && outstanding.is_empty(), "{deliveries:?} {outstanding:?}");
    assert!(mexico.receipts(of(GUATEMALA)).await.unwrap_or_default().is_empty());
    let entries = mexico.entries(of(COLOMBIA)).await.unwrap_or_default();
    assert!(published(&entries).is_empty(), "{entries:?}");
    for sender in ["", COLOMBIA] {
        told(mexico.describe(&strange, sender).await).expect_reason("MESSAGE_UNKNOWN");
    }
    office(&stage, GUATEMALA).await.describe(&strange, COLOMBIA).await.unwrap();
}

#[tokio::test]
async fn sender_sees_who_acknowledged_and_a_recipient_only_itself() {
    let Scene { stage, first, .. } = scene().await;
    let history =
        async |name: &str| office(&stage, name).await.describe(&first.id(), HONDURAS).await.unwrap();
    let sender = history(HONDURAS).await;
    assert_eq!(sender.envelope, first.envelope_bytes());
    let stages: Vec<_> =
        sender.deliveries.iter().map(|row| (row.office.as_str(), row.stages.len())).collect();
    assert_eq!(stages, [(IACHR, 0), (MEXICO, 1)]);
    assert_eq!(sender.receipts.len(), 1);
    let recipient = history(IACHR).await;
    assert_eq!(recipient.deliveries.len(), 1);
    assert_eq!((recipient.deliveries[0].office.as_str(), recipient.receipts.len()), (IACHR, 0));
}

#[tokio::test]
async fn receipt_that_covers_several_senders_shows_each_sender_its_own() {
    let stage = Stage::open().await;
    let (honduras, colombia): (Desk, Desk) = (stage.desk(HONDURAS).await, stage.desk(COLOMBIA).await);
    let (ours, theirs) = (honduras.draft(&[IACHR]), colombia.draft(&[IACHR]));
    honduras.send(&ours).await;
    colombia.send(&theirs).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let deliveries = subscription.next(2).await;
    subscription.acknowledge(&deliveries).await;
    let rows = honduras.auditor().receipts(all()).await.unwrap();
    let named: Vec<_> =
        rows.iter().flat_map(|row| &row.messages).map(|message| message.message_id.clone()).collect();
    assert_eq!(named, [ours.id()]);
    let rows = stage.auditor("iachr").await.receipts(all()).await.unwrap();
    assert_eq!(rows[0].messages.len(), 2);
    // The entry is the statement's exact bytes: it must not show one sender what another sent.
    let entries = honduras.auditor().entries(all()).await.unwrap();
    for entry in entries.iter().filter(|entry| entry.kind() == EntryKind::Receipt) {
        let receipt = decoded(&entry.statement);
        assert!(receipt.messages.iter().all(|message| message.message_id != theirs.id()), "{receipt:?}");
    }
}

#[tokio::test]
async fn outstanding_is_listed_by_office_then_urgent_first_then_in_order() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let drafts = [
        sender.draft(&[MEXICO]),
        sender.draft(&[IACHR, MEXICO]),
        sender.draft(&[MEXICO]).urgent(),
        sender.draft(&[IACHR]).urgent(),
    ];
    for draft in &drafts {
        sender.send(draft).await;
    }
    let rows = stage.auditor("iachr").await.outstanding(all(), ReceiptStage::Received).await.unwrap();
    let expected = [(3, IACHR), (1, IACHR), (2, MEXICO), (0, MEXICO), (1, MEXICO)];
    assert_eq!(
        owed(&rows),
        expected.map(|(at, office): (usize, _)| (drafts[at].id().to_vec(), office.to_owned()))
    );
}

#[tokio::test]
async fn listings_select_by_index_office_and_number() {
    let Scene { stage, .. } = scene().await;
    let auditor = stage.auditor("ohchr").await;
    let every = auditor.entries(all()).await.unwrap();
    assert!(every.iter().zip(0..).all(|(entry, index)| entry.index == index), "without gaps, from 0");
    let mut selection = all();
    (selection.from_index, selection.limit) = (1, 2);
    assert_eq!(auditor.entries(selection).await.unwrap(), every[1..3]);
    let rows = auditor.deliveries(of(MEXICO)).await.unwrap();
    assert!(rows.len() == 1 && rows[0].office == MEXICO);
    let rows = auditor.receipts(of(GUATEMALA)).await.unwrap();
    assert_eq!(rows.len(), 1);
    let mut selection = all();
    selection.from_index = u64::MAX;
    assert!(auditor.deliveries(selection).await.unwrap().is_empty());
}

#[tokio::test]
async fn news_of_a_receipt_counts_only_what_the_caller_may_see() {
    let stage = Stage::open().await;
    let (honduras, colombia): (Desk, Desk) = (stage.desk(HONDURAS).await, stage.desk(COLOMBIA).await);
    let (ours, second) = (honduras.draft(&[IACHR]), honduras.draft(&[IACHR]));
    honduras.send(&ours).await;
    honduras.send(&second).await;
    for _ in 0..3 {
        colombia.send(&colombia.draft(&[IACHR])).await;
    }
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let deliveries = subscription.next(5).await;
    let first = subscription.acknowledge(&deliveries[..1]).await;
    let rest = subscription.acknowledge(&deliveries).await;
    assert_eq!((first.news, rest.news), (1, 4));
    let news = async |auditor: &Auditor| {
        let rows = auditor.receipts(all()).await.unwrap();
        rows.iter().map(|row| (row.messages.len(), row.news)).collect::<Vec<_>>()
    };
    assert_eq!(news(&stage.auditor("iachr").await).await, [(1, 1), (5, 4)]);
    assert_eq!(news(&office(&stage, IACHR).await).await, [(1, 1), (5, 4)]);
    assert_eq!(news(&honduras.auditor()).await, [(1, 1), (2, 1)], "one of its two messages was known");
    assert_eq!(news(&colombia.auditor()).await, [(3, 3)]);
    // In one message's history a receipt is news of that message, or it is not.
    for (draft, expected) in [(&ours, vec![1, 0]), (&second, vec![1])] {
        for seen in [honduras.auditor(), stage.auditor("ohchr").await, office(&stage, IACHR).await] {
            let history = seen.describe(&draft.id(), HONDURAS).await.unwrap();
            let news: Vec<_> = history.receipts.iter().map(|row| row.news).collect();
            assert_eq!(news, expected, "{}", seen.identity);
        }
    }
}
