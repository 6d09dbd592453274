//! Refusals: those of known identities are entries, at a bounded rate; strangers are counted and fill no disk.

use std::sync::Arc;

use resguardo::wire::proto::{CapMsgType, EntryKind, PublishRequest};
use tokio::net::TcpStream;

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::authority::{Authority, When};
use crate::stage::client::{Desk, refused};
use crate::stage::draft::new_id;
use crate::stage::raw::{send_plain, shake_hands, tls};
use crate::stage::statement;
use crate::stage::statement::nobodys;
use crate::stage::told::{expect_item, told};
use crate::stage::wait::until;
use crate::{HONDURAS, IACHR, MEXICO};

#[tokio::test]
async fn refusals_of_known_identities_are_entries_with_who_what_and_why() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let foreign =
        desk.draft(&[IACHR]).edit(|envelope| envelope.sender = "urn:resguardo:office:iachr:desk-1".into());
    let unknown = desk.draft(&[IACHR]).stream("no-such-stream");
    told(desk.publish(&foreign).await).expect_reason("SENDER_FOREIGN");
    let results = desk.publish_frames(vec![vec![unknown.request()]]).await.unwrap();
    refused(&results[0]);
    let mut subscription = desk.subscribe().await;
    subscription.nothing_comes().await;
    let publisher = Desk::connect(&stage, "urn:resguardo:auditor:ohchr").await;
    told(publisher.publish(&desk.draft(&[IACHR])).await).expect_reason("ROLE_NOT_ALLOWED");

    let auditor = stage.auditor("iachr").await;
    let expected = [
        (desk.identity.as_str(), "SENDER_FOREIGN", "Publish"),
        (desk.identity.as_str(), "STREAM_UNKNOWN", "PublishStream"),
        (desk.identity.as_str(), "NOT_OWED", "Subscribe"),
        (publisher.identity.as_str(), "ROLE_NOT_ALLOWED", "Publish"),
    ];
    for (identity, reason, call) in expected {
        let record = until(&format!("the refusal {reason} is an entry"), async || {
            let refusals = auditor.refusals().await;
            refusals.into_iter().find(|(who, record)| who == identity && record.reason == reason)
        })
        .await;
        assert_eq!(record.1.call, call);
        assert!(!record.1.message.trim().is_empty());
    }
    // An office sees its own refusals, and not those of others.
    let own = desk.auditor().refusals().await;
    assert!(own.iter().all(|(who, _)| *who == desk.identity), "{own:?}");
    assert!(stage.desk(MEXICO).await.auditor().refusals().await.is_empty());
}

#[tokio::test]
async fn flood_of_refusals_is_summed_up_and_every_one_is_counted() {
    const REFUSED: u64 = 2_000;
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let foreign =
        desk.draft(&[IACHR]).edit(|envelope| envelope.sender = "urn:resguardo:office:iachr:desk-1".into());
    let frame: Vec<PublishRequest> = vec![foreign.request(); 200];
    let results = desk.publish_frames(vec![frame; 10]).await.unwrap();
    assert_eq!(results.len() as u64, REFUSED);
    let auditor = stage.auditor("iachr").await;
    let written = until("each refusal is an entry or counted in a summary", async || {
        let written =
            auditor.refusals().await.iter().filter(|(_, it)| it.reason == "SENDER_FOREIGN").count() as u64;
        let summed_up = auditor.summed_up("SENDER_FOREIGN").await;
        assert!(written + summed_up <= REFUSED, "{written} entries and {summed_up} in summaries");
        (written + summed_up == REFUSED).then_some(written)
    })
    .await;
    assert!(written < REFUSED / 4, "{written} of {REFUSED} refusals are entries");
    assert!(written > 0, "the first ones are entries");
    // Another office's refusals are still told one by one: the rate is an office's own.
    let other = stage.desk(MEXICO).await;
    told(other.publish(&other.draft(&[IACHR]).stream("no-such-stream")).await);
    until("another office's refusal is an entry", async || {
        auditor.refusals().await.into_iter().find(|(who, _)| *who == other.identity)
    })
    .await;
}

#[tokio::test]
async fn strangers_are_counted_by_reason_in_one_summary_and_write_nothing_else() {
    const KNOCKS: u64 = 40;
    const DESK: &str = "urn:resguardo:office:iachr:desk-1";
    let stage = Stage::open().await;
    let auditor = stage.auditor("ohchr").await;
    let before = auditor.entries(all()).await.unwrap();
    let ours = &stage.authority;
    let elsewhere = Authority::new("elsewhere").client(DESK);
    let cases = [
        ("NO_CERTIFICATE", None),
        ("UNKNOWN_CA", Some(elsewhere)),
        ("EXPIRED", Some(ours.client_when(DESK, When::Past))),
        ("NOT_YET_VALID", Some(ours.client_when(DESK, When::Future))),
    ];
    for (_, papers) in &cases {
        let config = Arc::new(tls(ours.pem(), papers.as_ref(), &[]));
        for _ in 0..KNOCKS {
            shake_hands(&stage.address(), config.clone()).await.unwrap_err();
        }
    }
    for _ in 0..KNOCKS {
        send_plain(&stage.address(), b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
        drop(TcpStream::connect(stage.address()).await.unwrap());
    }
    // Whoever has a right certificate and no place in the directory is a stranger too.
    let nobody = stage.desk("nowhere").await;
    for _ in 0..KNOCKS {
        told(nobody.directory().await).expect_reason("NOT_ENROLLED");
    }
    for reason in ["NOT_ENROLLED", "NO_CERTIFICATE", "UNKNOWN_CA", "EXPIRED", "NOT_YET_VALID", "NOT_TLS"] {
        until(&format!("{KNOCKS} strangers are counted as {reason}"), async || {
            let counted = auditor.summed_up(reason).await;
            assert!(counted <= KNOCKS, "{counted} of {KNOCKS}: {reason}");
            (counted == KNOCKS).then_some(())
        })
        .await;
    }
    let after = auditor.entries(all()).await.unwrap();
    let new = &after[before.len()..];
    assert!(new.iter().all(|entry| entry.kind() == EntryKind::Summary), "{new:?}");
    assert!(new.len() <= 3, "{} summaries of {} knocks in two minutes", new.len(), KNOCKS * 6);
    assert!(stage.hub().log().contains("UNKNOWN_CA"), "strangers are logged");
}

#[tokio::test]
async fn flood_of_strangers_fills_neither_the_journal_nor_the_log() {
    let stage = Stage::open().await;
    for _ in 0..30 {
        // Anew, for a connection of somebody who is not enrolled is ended after a while.
        let nobody = stage.desk("nowhere").await;
        for _ in 0..100 {
            told(nobody.directory().await).expect_reason("NOT_ENROLLED");
        }
    }
    let lines = stage.hub().log().lines().count();
    assert!(lines < 600, "3,000 refusals of a stranger are {lines} lines of the log");
    let entries = stage.auditor("iachr").await.entries(all()).await.unwrap();
    assert!(entries.len() < 30, "3,000 refusals of a stranger are {} entries", entries.len());
}

#[tokio::test]
async fn receipts_that_are_refused_do_not_fill_the_journal() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let auditor = stage.auditor("iachr").await;
    let before = auditor.entries(all()).await.unwrap().len();
    for _ in 0..20 {
        let nobodys = |index| nobodys(index, new_id());
        let receipts =
            (1_000..1_100).map(|index| statement::received_of(&desk.identity, vec![nobodys(index)]));
        let results = subscription.state_bytes(receipts.map(|it| statement::bytes(&it)).collect()).await;
        for result in &results {
            expect_item(&statement::refused(result), "NOT_OWED");
        }
    }
    let written = auditor.entries(all()).await.unwrap().len() - before;
    assert!(written < 500, "2,000 refused receipts are {written} entries");
    let kept = auditor.entries_of(EntryKind::Receipt).await.len();
    assert_eq!(kept, 0, "a refused receipt stands among the receipts, and nothing says that it was refused");
}

#[tokio::test]
async fn refusal_changes_nothing_that_was_accepted() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    desk.send(&desk.draft(&[IACHR])).await;
    let auditor = stage.auditor("iachr").await;
    let deliveries = auditor.deliveries(all()).await.unwrap();
    told(desk.publish(&desk.draft(&[IACHR]).stream("no-such-stream")).await);
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let delivery = subscription.delivery().await;
    let receipt = statement::received("urn:resguardo:office:iachr:other", &[delivery]);
    statement::refused(&subscription.state(&receipt).await);
    assert_eq!(auditor.deliveries(all()).await.unwrap(), deliveries);
    assert!(auditor.receipts(all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn notices_that_are_none_do_not_fill_the_journal() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let mut headquarters = stage.desk(IACHR).await.subscribe().await;
    let came = headquarters.next(1).await;
    let received = headquarters.acknowledge(&came).await;
    // A receipt about one's own message, but no notice: nobody was turned down.
    let mut subscription = sender.subscribe().await;
    for index in [received.index, came[0].index, 0] {
        let mut receipt = statement::received_of(&sender.identity, vec![]);
        receipt.notices = vec![index];
        let refusal = statement::refused(&subscription.state(&receipt).await);
        expect_item(&refusal, "NOT_OWED");
        assert_eq!(refusal.field, "notices", "{refusal:?}");
    }
    let kept = stage.auditor("iachr").await.entries_of(EntryKind::Receipt).await;
    assert_eq!(kept.len(), 1, "a refused receipt stands among the receipts");
}

#[tokio::test]
async fn update_that_is_refused_stands_as_a_refusal_and_not_among_the_messages() {
    let stage = Stage::open().await;
    let (honduras, mexico) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let alert = honduras.draft(&[IACHR]);
    honduras.send(&alert).await;
    let foreign = mexico.draft(&[IACHR]).edit(|envelope| {
        (envelope.msg_type, envelope.references) = (CapMsgType::Cancel.into(), vec![alert.id()]);
    });
    told(mexico.publish(&foreign).await).expect_reason("REFERENCE_FOREIGN").expect_field("references");
    let results = mexico.publish_frames(vec![vec![foreign.request()]]).await.unwrap();
    expect_item(&refused(&results[0]), "REFERENCE_FOREIGN");
    let auditor = stage.auditor("iachr").await;
    until("both refusals are entries", async || {
        let refusals = auditor.refusals().await;
        let calls: Vec<_> = refusals
            .iter()
            .filter(|(who, it)| *who == mexico.identity && it.reason == "REFERENCE_FOREIGN")
            .map(|(_, it)| it.call.as_str())
            .collect();
        (calls == ["Publish", "PublishStream"]).then_some(())
    })
    .await;
    let kept = auditor.entries_of(EntryKind::Publish).await;
    assert_eq!(kept.len(), 1, "a refused message stands among the messages");
}

#[tokio::test]
async fn record_of_a_refusal_is_short_whatever_was_handed_in() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let long = "\u{1f525}".repeat(3_500);
    let envelope = desk.draft(&[IACHR]).edit(|envelope| envelope.sender = long.clone());
    told(desk.publish(&envelope).await).expect_reason("FIELD_INVALID").expect_field("sender");
    let receipt = statement::received(&long.repeat(2), &[]);
    let mut subscription = desk.subscribe().await;
    expect_item(&statement::refused(&subscription.state(&receipt).await), "FIELD_INVALID");
    let auditor = stage.auditor("iachr").await;
    let records = until("both refusals are entries", async || {
        let refusals = auditor.refusals().await;
        (refusals.len() == 2).then_some(refusals)
    })
    .await;
    for (_, record) in records {
        assert!(record.message.len() <= 1_024, "{} bytes of {}", record.message.len(), record.reason);
    }
    assert!(stage.hub().log().len() < 64 << 10, "the log has {} bytes", stage.hub().log().len());
}
