//! Who somebody is: the one URI in the certificate, and the directory that must hold it.

use rcgen::SanType;
use resguardo::wire::proto::Stage as ReceiptStage;
use resguardo::wire::proto::{CapMsgType, EntryKind, Start};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::authority::Papers;
use crate::stage::client::{Desk, refused};
use crate::stage::raw::request;
use crate::stage::statement;
use crate::stage::subscription::Subscription;
use crate::stage::told::{Told, expect_item, told};
use crate::{HONDURAS, IACHR, MEXICO};

/// Makes every call there is, each in the caller's own name; gives what was told.
async fn every_call(desk: &Desk, name: &str) -> Vec<(&'static str, Told)> {
    let draft = Desk { identity: name.to_owned(), channel: desk.channel.clone() }.draft(&[IACHR]);
    let auditor = desk.auditor();
    let outstanding = auditor.outstanding(all(), ReceiptStage::Read).await;
    let health = HealthClient::new(desk.channel.clone()).check(HealthCheckRequest::default()).await;
    // ServerReflectionRequest { list_services: "" }, framed.
    let (path, body) = ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "\0\0\0\0\x02\x3a\0");
    let reflection = request(&desk.channel, "POST", path, "application/grpc", body.to_owned()).await;
    let reflection = reflection.and_then(|answer| Status::from_header_map(&answer.headers));
    vec![
        ("Publish", told(desk.publish(&draft).await)),
        ("PublishStream", told(desk.publish_frames(vec![vec![draft.request()]]).await)),
        ("Subscribe", told(Subscription::open(desk, Start { credit: 10, ..Start::default() }).await)),
        ("DescribeDirectory", told(desk.directory().await)),
        ("ListDeliveries", told(auditor.deliveries(all()).await)),
        ("ListReceipts", told(auditor.receipts(all()).await)),
        ("ListOutstanding", told(outstanding)),
        ("DescribeMessage", told(auditor.describe(&draft.id(), "").await)),
        ("ListEntries", told(auditor.entries(all()).await)),
        ("Health", told(health)),
        ("Reflection", Told::of(&reflection.expect("reflection is answered with a status"))),
    ]
}

async fn assert_kept_out(stage: &Stage, papers: &Papers, who: &str, code: Code, reason: &str) {
    let desk = Desk::with(stage, who, papers).await;
    for (call, told) in every_call(&desk, "urn:resguardo:office:iachr:desk-1").await {
        assert_eq!((told.code, told.reason.as_str()), (code, reason), "{who}: {call}: {told:?}");
        told.expect_reason(reason);
    }
}

#[tokio::test]
async fn certificate_without_exactly_one_identity_gets_nothing_and_is_told_why() {
    let stage = Stage::open().await;
    let dns = || vec![SanType::DnsName("desk.example".try_into().unwrap())];
    let office = "urn:resguardo:office:iachr:desk-1";
    let cases: [(&[&str], &str); 10] = [
        (&[], "IDENTITY_MISSING"),
        (&[office, office], "IDENTITY_AMBIGUOUS"),
        (&[office, "urn:resguardo:office:ohchr-mexico:desk-1"], "IDENTITY_AMBIGUOUS"),
        (&[office, "https://example.org/"], "IDENTITY_AMBIGUOUS"),
        (&["https://example.org/"], "IDENTITY_MALFORMED"),
        (&["urn:resguardo:office:iachr"], "IDENTITY_MALFORMED"),
        (&["urn:resguardo:office:iachr:desk-1:more"], "IDENTITY_MALFORMED"),
        (&["urn:resguardo:office:IACHR:desk-1"], "IDENTITY_MALFORMED"),
        (&["urn:resguardo:king:iachr"], "IDENTITY_MALFORMED"),
        (&["urn:resguardo:office:iachr:"], "IDENTITY_MALFORMED"),
    ];
    for (uris, reason) in cases {
        let papers = stage.authority.client_of(uris, dns());
        assert_kept_out(&stage, &papers, &format!("{uris:?}"), Code::Unauthenticated, reason).await;
    }
}

#[tokio::test]
async fn identity_that_the_directory_does_not_hold_gets_nothing_and_writes_nothing() {
    let stage = Stage::open().await;
    let auditor = stage.auditor("iachr").await;
    let before = auditor.entries(all()).await.unwrap();
    for who in [
        "urn:resguardo:office:nowhere:desk-1",
        "urn:resguardo:auditor:nobody",
        "urn:resguardo:operator:night-shift",
        "urn:resguardo:hub:stage",
    ] {
        let papers = stage.authority.client(who);
        assert_kept_out(&stage, &papers, who, Code::PermissionDenied, "NOT_ENROLLED").await;
    }
    let mut after = auditor.entries(all()).await.unwrap();
    after.retain(|entry| entry.kind() != EntryKind::Summary);
    assert_eq!(before, after);
}

#[tokio::test]
async fn auditor_neither_publishes_nor_receives() {
    let stage = Stage::open().await;
    let auditor = Desk::connect(&stage, "urn:resguardo:auditor:ohchr").await;
    let draft = stage.desk(IACHR).await.draft(&[MEXICO]);
    let opened = Subscription::open(&auditor, Start { credit: 10, ..Start::default() }).await;
    let in_frames = auditor.publish_frames(vec![vec![draft.request()]]).await.unwrap();
    expect_item(&refused(&in_frames[0]), "ROLE_NOT_ALLOWED");
    for answer in [told(auditor.publish(&draft).await), told(opened)] {
        assert_eq!(answer.expect_reason("ROLE_NOT_ALLOWED").code, Code::PermissionDenied);
    }
    auditor.directory().await.unwrap();
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn envelope_in_another_name_is_refused_and_leaves_no_message() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    for name in [
        "urn:resguardo:office:iachr:desk-1",
        "urn:resguardo:office:ohchr-honduras:desk-2",
        "urn:resguardo:office:nowhere:desk-1",
    ] {
        let draft = desk.draft(&[MEXICO]).edit(|envelope| name.clone_into(&mut envelope.sender));
        let alone = told(desk.publish(&draft).await);
        assert_eq!(alone.expect_reason("SENDER_FOREIGN").expect_field("sender").code, Code::PermissionDenied);
        let results = desk.publish_frames(vec![vec![draft.request()]]).await.unwrap();
        let refusal = refused(&results[0]);
        expect_item(&refusal, "SENDER_FOREIGN");
        assert_eq!((refusal.field.as_str(), refusal.retry_after_ms), ("sender", 0));
    }
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn receipt_in_another_name_is_refused_and_clears_nothing() {
    let stage = Stage::open().await;
    stage.desk(HONDURAS).await.send(&stage.desk(HONDURAS).await.draft(&[IACHR, MEXICO])).await;
    let mexico = stage.desk(MEXICO).await;
    let mut subscription = mexico.subscribe().await;
    let delivery = subscription.delivery().await;
    for name in [
        "urn:resguardo:office:iachr:desk-1",
        "urn:resguardo:office:ohchr-mexico:desk-2",
        "urn:resguardo:office:nowhere:desk-1",
        "urn:resguardo:office:ohchr-honduras:desk-1",
    ] {
        let receipt = statement::received(name, std::slice::from_ref(&delivery));
        let refusal = statement::refused(&subscription.state(&receipt).await);
        expect_item(&refusal, "DESK_FOREIGN");
        assert_eq!((refusal.field.as_str(), refusal.retry_after_ms), ("desk", 0));
    }
    let auditor = stage.auditor("iachr").await;
    assert!(auditor.receipts(all()).await.unwrap().is_empty());
    assert_eq!(auditor.outstanding(all(), ReceiptStage::Received).await.unwrap().len(), 2);
}

#[tokio::test]
async fn update_or_cancel_of_another_offices_message_is_refused_and_reaches_nobody() {
    let stage = Stage::open().await;
    let (honduras, mexico) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let alert = honduras.draft(&[IACHR]);
    honduras.send(&alert).await;
    for msg_type in [CapMsgType::Update, CapMsgType::Cancel] {
        let about = |desk: &Desk| {
            desk.draft(&[IACHR]).edit(|envelope| {
                (envelope.msg_type, envelope.references) = (msg_type.into(), vec![alert.id()]);
            })
        };
        let foreign = told(mexico.publish(&about(&mexico)).await);
        assert_eq!(foreign.expect_reason("REFERENCE_FOREIGN").code, Code::PermissionDenied);
        honduras.send(&about(&honduras)).await;
    }
    assert_eq!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().len(), 3);
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, 3);
}
