//! Bounds on connections, calls that stay open, and deliveries under way.

use resguardo::wire::proto::Start;

use crate::stage::client::{Auditor, Desk};
use crate::stage::subscription::{Subscription, id, ids};
use crate::stage::told::{Told, told};
use crate::stage::wait::until;
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR, MEXICO};

fn start(credit: u32) -> Start {
    Start { credit, ..Start::default() }
}

async fn counted(auditor: &Auditor, reason: &str) {
    until(&format!("{reason} is counted"), async || {
        let entry = auditor.refusals().await.iter().any(|(_, record)| record.reason == reason);
        (entry || auditor.summed_up(reason).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_is_refused_keeps_no_place_from_who_is_not() {
    let limits = "connections_max = 3\nconnections_per_office_max = 1\nhandshake_ms = 120000";
    let stage = Stage::open_with(Setup::limits(limits)).await;
    let desk = stage.desk(HONDURAS).await;
    let mut refused = Vec::new();
    // Not in the directory, and one office too often: each is told so, and its connection stays for two minutes.
    for identity in ["urn:resguardo:office:nobody:desk-1", "urn:resguardo:office:ohchr-honduras:desk-2"] {
        for _ in 0..4 {
            let other = Desk::connect(&stage, identity).await;
            told(other.publish(&desk.draft(&[IACHR])).await);
            refused.push(other);
        }
    }
    for office in [IACHR, MEXICO] {
        let other = stage.desk(office).await;
        other.send(&other.draft(&[HONDURAS])).await;
    }
}

#[tokio::test]
async fn connection_beyond_the_bound_is_told_and_gets_in_when_another_has_left() {
    let stage = Stage::open_with(Setup::limits("connections_max = 3")).await;
    let mut inside = Vec::new();
    for office in [HONDURAS, IACHR, MEXICO] {
        let desk = stage.desk(office).await;
        desk.directory().await.unwrap();
        inside.push(desk);
    }
    let late = stage.desk_named(MEXICO, "desk-2").await;
    let answer = told(late.directory().await);
    answer.expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    for desk in &inside {
        desk.directory().await.unwrap();
    }
    drop(inside.pop());
    drop(late);
    until("a place is free", async || {
        let desk = stage.desk_named(MEXICO, "desk-2").await;
        desk.directory().await.is_ok().then_some(())
    })
    .await;
    inside[1].send(&inside[1].draft(&[HONDURAS])).await;
    drop(inside);
    let auditor = stage.auditor("iachr").await;
    counted(&auditor, "CONNECTIONS_EXCEEDED").await;
}

#[tokio::test]
async fn one_office_has_its_share_of_connections_and_leaves_the_others_theirs() {
    let stage = Stage::open_with(Setup::limits("connections_per_office_max = 2")).await;
    let mut inside = Vec::new();
    for desk in ["desk-1", "desk-2"] {
        let desk = stage.desk_named(MEXICO, desk).await;
        desk.directory().await.unwrap();
        inside.push(desk);
    }
    let late = stage.desk_named(MEXICO, "desk-3").await;
    told(late.directory().await).expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    stage.desk(HONDURAS).await.directory().await.unwrap();
    for desk in &inside {
        desk.directory().await.unwrap();
    }
    drop(inside.pop());
    until("a place of the office is free", async || {
        let desk = stage.desk_named(MEXICO, "desk-3").await;
        desk.directory().await.is_ok().then_some(())
    })
    .await;
    counted(&stage.auditor("iachr").await, "CONNECTIONS_EXCEEDED").await;
}

#[tokio::test]
async fn unenrolled_identities_keep_no_connection_from_offices() {
    let stage = Stage::open_with(Setup::limits("connections_max = 3\nhandshake_ms = 1000")).await;
    let mut strangers = Vec::new();
    for at in 0..3 {
        let stranger = stage.desk_named("nowhere", &format!("desk-{at}")).await;
        told(stranger.directory().await).expect_reason("NOT_ENROLLED");
        strangers.push(stranger);
    }
    until("an office gets in while they stay", async || {
        let desk = stage.desk(HONDURAS).await;
        desk.directory().await.is_ok().then_some(())
    })
    .await;
    drop(strangers);
}

#[tokio::test]
async fn streams_of_one_connection_are_bounded() {
    let stage = Stage::open_with(Setup::limits("streams_per_connection_max = 2")).await;
    let desk = stage.desk(IACHR).await;
    let first = Subscription::open(&desk, start(5)).await.unwrap();
    let mut second = desk.publish_stream().await.unwrap();
    let beyond = told(Subscription::open(&desk, start(5)).await);
    beyond.expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    let beyond = match desk.publish_stream().await {
        Err(status) => Told::of(&status),
        Ok(mut stream) => told(stream.down.message().await),
    };
    beyond.expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    // The ones that are open go on, single calls too, and another connection has its own.
    let draft = desk.draft(&[MEXICO]);
    let frame = resguardo::wire::proto::PublishStreamRequest { messages: vec![draft.request()] };
    second.up.send(frame).await.unwrap();
    second.down.message().await.unwrap().unwrap();
    desk.send(&desk.draft(&[MEXICO])).await;
    stage.desk(IACHR).await.subscribe().await;
    drop(first);
    until("a place is free", async || Subscription::open(&desk, start(5)).await.ok()).await;
    counted(&stage.auditor("iachr").await, "CONNECTIONS_EXCEEDED").await;
}

#[tokio::test]
async fn streams_of_one_office_are_bounded_over_all_its_desks_and_no_other_office_pays() {
    let stage = Stage::open_with(Setup::limits("streams_per_office_max = 2")).await;
    let desks = [stage.desk_named(IACHR, "desk-1").await, stage.desk_named(IACHR, "desk-2").await];
    let first = desks[0].subscribe().await;
    let _second = desks[1].publish_stream().await.unwrap();
    for desk in &desks {
        let beyond = told(Subscription::open(desk, start(5)).await);
        beyond.expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    }
    stage.desk(MEXICO).await.subscribe().await;
    drop(first);
    until("a place is free", async || Subscription::open(&desks[1], start(5)).await.ok()).await;
    counted(&stage.auditor("iachr").await, "CONNECTIONS_EXCEEDED").await;
}

#[tokio::test]
async fn streams_of_the_whole_hub_are_bounded() {
    let stage = Stage::open_with(Setup::limits("streams_max = 3")).await;
    let mut open = Vec::new();
    for office in [HONDURAS, IACHR, MEXICO] {
        open.push(stage.desk(office).await.subscribe().await);
    }
    let late = stage.desk_named(MEXICO, "desk-2").await;
    told(Subscription::open(&late, start(5)).await).expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    let draft = late.draft(&[IACHR]);
    late.send(&draft).await;
    assert_eq!(id(&open[1].delivery().await), draft.id());
    drop(open.remove(0));
    let mut subscription =
        until("a place is free", async || Subscription::open(&late, start(5)).await.ok()).await;
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn deliveries_under_way_are_bounded_whatever_credit_is_asked_for() {
    let stage = Stage::open_with(Setup::limits("deliveries_in_flight_max = 8")).await;
    let sender = stage.desk(HONDURAS).await;
    let drafts: Vec<_> = (0..30).map(|_| sender.draft(&[IACHR])).collect();
    sender.send_all(&drafts, 30).await;
    let desk: Desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe_with(start(1_000)).await;
    assert_eq!((subscription.started.credit, subscription.started.outstanding), (8, 30));
    let mut came = subscription.next(8).await;
    subscription.nothing_comes().await;
    while came.len() < 30 {
        let count = (30 - came.len()).min(8);
        subscription.credit(8).await;
        came.extend(subscription.next(count).await);
    }
    assert_eq!(ids(&came), drafts.iter().map(crate::stage::draft::Draft::id).collect::<Vec<_>>());
    let mut modest = desk.subscribe_with(start(5)).await;
    assert_eq!(modest.started.credit, 5);
    modest.next(5).await;
    modest.nothing_comes().await;
}

#[tokio::test]
async fn credit_given_later_fills_up_to_the_bound_and_no_further() {
    let stage = Stage::open_with(Setup::limits("deliveries_in_flight_max = 8")).await;
    let sender = stage.desk(HONDURAS).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(start(4)).await;
    for deliveries in [3, 1_000, u32::MAX] {
        subscription.credit(deliveries).await;
    }
    // Frames are taken in their order: once this has its answer, the credit has been taken too.
    subscription.state_bytes(vec![bytes::Bytes::from_static(b"no receipt")]).await;
    let drafts: Vec<_> = (0..30).map(|_| sender.draft(&[IACHR])).collect();
    sender.send_all(&drafts, 30).await;
    subscription.next(8).await;
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn many_connections_that_come_and_go_leave_room_for_the_next() {
    let stage = Stage::open_with(Setup::limits("connections_max = 8\nstreams_max = 8")).await;
    for round in 0..60 {
        let desk = stage.desk_named(IACHR, &format!("desk-{}", round % 5)).await;
        let opened = until("there is room", async || match Subscription::open(&desk, start(5)).await {
            Ok(subscription) => Some(subscription),
            Err(status) => {
                Told::of(&status).expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
                None
            }
        })
        .await;
        assert_eq!(opened.started.credit, 5);
    }
}
