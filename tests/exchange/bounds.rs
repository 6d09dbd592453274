//! Bounds on what is handed in: at each the caller is told when to come again, and it is counted.

use std::time::Duration;

use resguardo::wire::proto::publish_result::Outcome;
use resguardo::wire::proto::receipt_result;
use tokio::task::JoinSet;
use tonic::Code;

use crate::stage::client::{Auditor, Desk, refused};
use crate::stage::statement;
use crate::stage::subscription::id;
use crate::stage::told::{Told, expect_item, told};
use crate::stage::wait::until;
use crate::stage::{Setup, Stage};
use crate::{COLOMBIA, GUATEMALA, HONDURAS, IACHR, MEXICO};

/// Waits until the audit counts a refusal of this reason, as an entry or in a summary.
async fn counted(auditor: &Auditor, reason: &str) {
    until(&format!("{reason} is counted"), async || {
        let entry = auditor.refusals().await.iter().any(|(_, record)| record.reason == reason);
        (entry || auditor.summed_up(reason).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn payload_may_have_256_kib_and_not_a_byte_more() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    desk.send(&desk.draft(&[IACHR]).payload(vec![1; 256 * 1_024])).await;
    let larger = desk.draft(&[IACHR]).payload(vec![1; 256 * 1_024 + 1]);
    let told = told(desk.publish(&larger).await);
    // The same bytes never fit: nobody is told when to come again with them.
    assert_eq!((told.expect_reason("TOO_LARGE").code, told.retry), (Code::ResourceExhausted, None));
    let results =
        desk.publish_frames(vec![vec![larger.request(), desk.draft(&[IACHR]).request()]]).await.unwrap();
    expect_item(&refused(&results[0]), "TOO_LARGE");
    crate::stage::client::accepted(&results[1]);
    counted(&stage.auditor("iachr").await, "TOO_LARGE").await;
}

#[tokio::test]
async fn payload_bound_is_the_one_configured() {
    let stage = Stage::open_with(Setup::limits("payload_bytes_max = 1000")).await;
    let desk = stage.desk(HONDURAS).await;
    desk.send(&desk.draft(&[IACHR]).payload(vec![1; 1_000])).await;
    told(desk.publish(&desk.draft(&[IACHR]).payload(vec![1; 1_001])).await).expect_reason("TOO_LARGE");
}

#[tokio::test]
async fn recipients_are_bounded_as_configured() {
    let stage = Stage::open_with(Setup::limits("recipients_max = 3")).await;
    let desk = stage.desk(HONDURAS).await;
    desk.send(&desk.draft(&[IACHR, MEXICO, GUATEMALA])).await;
    let many = desk.draft(&[IACHR, MEXICO, GUATEMALA, COLOMBIA]);
    let answer = told(desk.publish(&many).await);
    answer.expect_reason("TOO_LARGE").expect_field("recipients");
    assert_eq!((answer.code, answer.retry), (Code::ResourceExhausted, None));
    counted(&stage.auditor("iachr").await, "TOO_LARGE").await;
}

#[tokio::test]
async fn publishes_a_second_are_bounded_by_office_and_pass_when_they_come_again_as_told() {
    let stage = Stage::open_with(Setup::limits("publishes_per_s = 5\npublishes_burst = 5")).await;
    let desks = [stage.desk(HONDURAS).await, stage.desk_named(HONDURAS, "desk-2").await];
    let other = stage.desk(MEXICO).await;
    let mut refusals: Vec<(Desk, crate::stage::draft::Draft, Told)> = Vec::new();
    let mut accepted = 0;
    for round in 0..30 {
        let desk = &desks[round % 2];
        let draft = desk.draft(&[IACHR]);
        match desk.publish(&draft).await {
            Ok(_) => accepted += 1,
            Err(status) => refusals.push((desk.clone(), draft, Told::of(&status))),
        }
    }
    assert!(!refusals.is_empty(), "{accepted} publishes at once, where 5 a second are allowed");
    for (_, _, told) in &refusals {
        told.expect_reason("RATE_EXCEEDED").expect_bound();
        assert!(told.retry.unwrap() < Duration::from_secs(30), "{told:?}");
    }
    other.send(&other.draft(&[IACHR])).await;
    // Every one passes in the end, by doing no more than what it was told.
    for (desk, draft, told) in refusals.into_iter().take(6) {
        let mut retry = told.retry.unwrap();
        until("it is accepted", async || {
            tokio::time::sleep(retry).await;
            match desk.publish(&draft).await {
                Ok(_) => Some(()),
                Err(status) => {
                    let told = Told::of(&status);
                    told.expect_reason("RATE_EXCEEDED").expect_bound();
                    retry = told.retry.unwrap();
                    None
                }
            }
        })
        .await;
    }
    counted(&stage.auditor("iachr").await, "RATE_EXCEEDED").await;
}

#[tokio::test]
async fn rate_is_told_to_each_message_of_a_stream_in_its_place() {
    let stage = Stage::open_with(Setup::limits("publishes_per_s = 10\npublishes_burst = 10")).await;
    let desk = stage.desk(HONDURAS).await;
    let drafts: Vec<_> = (0..100).map(|_| desk.draft(&[IACHR])).collect();
    let frame = drafts.iter().map(crate::stage::draft::Draft::request).collect();
    let results = desk.publish_frames(vec![frame]).await.unwrap();
    assert_eq!(results.len(), 100, "none is dropped in silence");
    let mut kept = Vec::new();
    let mut over = 0;
    for (result, draft) in results.iter().zip(&drafts) {
        if let Some(Outcome::Accepted(_)) = &result.outcome {
            kept.push(draft.id());
            continue;
        }
        let refusal = refused(result);
        expect_item(&refusal, "RATE_EXCEEDED");
        assert!(refusal.retry_after_ms > 0);
        over += 1;
    }
    assert!(over >= 50, "{over} of 100 at once were over a rate of 10 a second");
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let came: Vec<_> = subscription.next(kept.len()).await.iter().map(id).collect();
    assert_eq!(came, kept, "what was accepted is there, and nothing else");
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn receipts_a_second_are_bounded_and_those_beyond_are_told_when_to_come_again() {
    let stage = Stage::open_with(Setup::limits("receipts_per_s = 1")).await;
    let sender = stage.desk(HONDURAS).await;
    let drafts: Vec<_> = (0..20).map(|_| sender.draft(&[IACHR])).collect();
    sender.send_all(&drafts, 20).await;
    let iachr = stage.desk(IACHR).await;
    let mut subscription = iachr.subscribe().await;
    let came = subscription.next(20).await;
    let receipts = came.chunks(1).map(|one| statement::bytes(&statement::received(&iachr.identity, one)));
    let results = subscription.state_bytes(receipts.collect()).await;
    assert_eq!(results.len(), 20, "none is dropped in silence");
    let mut recorded = 0;
    for result in results {
        match result.outcome {
            Some(receipt_result::Outcome::Recorded(_)) => recorded += 1,
            Some(receipt_result::Outcome::Refusal(refusal)) => {
                expect_item(&refusal, "RATE_EXCEEDED");
                assert!(refusal.retry_after_ms > 0, "{refusal:?}");
            }
            None => panic!("a receipt without an answer"),
        }
    }
    assert!((2..=10).contains(&recorded), "{recorded} of 20 at once were taken at a rate of 1 a second");
    let outstanding = 20 - recorded;
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, outstanding);
    counted(&stage.auditor("iachr").await, "RATE_EXCEEDED").await;
}

#[tokio::test]
async fn disk_at_its_reserve_refuses_publishes_and_goes_on_with_receipts_and_reading() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]);
    let first = sender.send(&draft).await;
    assert!(stage.stop().await.success());
    // More than any disk has: the reserve is reached at once.
    stage.set_limits("disk_reserve_bytes = 1125899906842624");
    stage.start().await;
    let sender = stage.desk(HONDURAS).await;
    let late = sender.draft(&[IACHR]);
    told(sender.publish(&late).await).expect_reason("DISK_RESERVE").expect_bound();
    let results = sender.publish_frames(vec![vec![late.request()]]).await.unwrap();
    let refusal = refused(&results[0]);
    expect_item(&refusal, "DISK_RESERVE");
    assert!(refusal.retry_after_ms > 0);
    let again = sender.publish(&draft).await.unwrap();
    assert_eq!((again.index, again.duplicate), (first.index, true), "what is kept is answered for");
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let came = subscription.next(1).await;
    assert_eq!(subscription.acknowledge(&came).await.news, 1);
    let auditor = stage.auditor("iachr").await;
    assert_eq!(auditor.deliveries(crate::stage::audit::all()).await.unwrap()[0].stages.len(), 1);
    counted(&auditor, "DISK_RESERVE").await;
    assert!(stage.stop().await.success());
    stage.set_limits("");
    stage.start().await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&late).await;
}

#[tokio::test]
async fn at_the_bound_of_waiting_bytes_each_is_accepted_or_told_to_come_again() {
    const CALLERS: usize = 96;
    const ROUNDS: usize = 3;
    let limits = "waiting_bytes_max = 8388608\npublishes_per_s = 1000000\npublishes_burst = 1000000";
    let stage = Stage::open_with(Setup::limits(limits)).await;
    let mut publishing = JoinSet::new();
    for office in [HONDURAS, MEXICO, GUATEMALA, COLOMBIA] {
        let desk = stage.desk(office).await;
        for _ in 0..CALLERS / 4 {
            let desk = desk.clone();
            publishing.spawn(async move {
                for _ in 0..ROUNDS {
                    let draft = desk.draft(&[IACHR]).payload(vec![3; 250_000]);
                    while let Err(status) = desk.publish(&draft).await {
                        let told = Told::of(&status);
                        told.expect_reason("BUSY").expect_bound();
                        tokio::time::sleep(told.retry.unwrap()).await;
                    }
                }
            });
        }
    }
    publishing.join_all().await;
    let rows = stage.auditor("iachr").await.deliveries(crate::stage::audit::all()).await.unwrap();
    assert_eq!(rows.len(), CALLERS * ROUNDS);
}
