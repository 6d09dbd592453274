//! Frames that come empty, too full or out of their order: the call is refused with a reason, and others go on.

use bytes::Bytes;
use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::{Credit, PublishRequest, Receipts, Start, SubscribeRequest};
use tonic::{Code, Status};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::Desk;
use crate::stage::statement;
use crate::stage::subscription::{Subscription, end_of};
use crate::stage::told::{Told, told};
use crate::{HONDURAS, IACHR};

fn up(frame: Up) -> SubscribeRequest {
    SubscribeRequest { frame: Some(frame) }
}

fn start() -> Start {
    Start { credit: 10, ..Start::default() }
}

/// Opens a subscription with this first frame; gives how it ends.
async fn ends(desk: &Desk, first: SubscribeRequest) -> Status {
    match Subscription::open_raw(desk, first).await {
        // The way up stays open: it is the hub that ends it.
        Ok((_up, mut down)) => end_of(&mut down).await,
        Err(status) => status,
    }
}

#[tokio::test]
async fn first_frame_must_be_a_start() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let receipt = statement::received_of(&desk.identity, vec![]);
    for first in [
        up(Up::Receipts(Receipts { receipts: vec![statement::handed(statement::bytes(&receipt))] })),
        up(Up::Receipts(Receipts { receipts: vec![] })),
        up(Up::Credit(Credit { deliveries: 5 })),
        SubscribeRequest { frame: None },
    ] {
        let shown = format!("{first:?}");
        let told = Told::of(&ends(&desk, first).await);
        assert_eq!(told.code, Code::InvalidArgument, "{shown}: {told:?}");
        told.expect_reason("FRAME_UNEXPECTED");
    }
    desk.subscribe().await;
}

#[tokio::test]
async fn second_start_and_empty_frames_end_the_subscription_with_a_reason() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let mut twice = desk.subscribe().await;
    twice.send(Up::Start(start())).await;
    let end = Told::of(&twice.end().await);
    assert_eq!(end.expect_reason("FRAME_UNEXPECTED").code, Code::InvalidArgument);
    let mut empty = desk.subscribe().await;
    empty.send_raw(SubscribeRequest { frame: None }).await;
    let end = Told::of(&empty.end().await);
    assert_eq!((end.code, end.reason.is_empty()), (Code::InvalidArgument, false), "{end:?}");
    desk.subscribe().await;
}

#[tokio::test]
async fn frames_of_receipts_hold_from_1_to_256() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    for count in [0, 257, 4_000] {
        let mut subscription = desk.subscribe().await;
        let receipts = vec![statement::handed(Bytes::from_static(b"\xff")); count];
        subscription.send(Up::Receipts(Receipts { receipts })).await;
        let end = Told::of(&subscription.end().await);
        assert_eq!((end.code, end.reason.is_empty()), (Code::InvalidArgument, false), "{count}: {end:?}");
    }
    let mut subscription = desk.subscribe().await;
    let results = subscription.state_bytes(vec![Bytes::from_static(b"\xff"); 256]).await;
    assert_eq!(results.len(), 256);
}

#[tokio::test]
async fn frames_of_messages_hold_from_1_to_256() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    for count in [0, 257, 1_000] {
        let frame: Vec<PublishRequest> = (0..count).map(|_| desk.draft(&[IACHR]).request()).collect();
        let mut stream = desk.publish_stream().await.unwrap();
        let frame = resguardo::wire::proto::PublishStreamRequest { messages: frame };
        stream.up.send(frame).await.unwrap();
        let end = crate::stage::wait::within("the stream ends", stream.down.message()).await;
        let end = told(end);
        assert_eq!((end.code, end.reason.is_empty()), (Code::InvalidArgument, false), "{count}: {end:?}");
    }
    assert!(
        stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty(),
        "a frame is taken whole or not"
    );
    let drafts: Vec<_> = (0..256).map(|_| desk.draft(&[IACHR])).collect();
    assert_eq!(desk.send_all(&drafts, 256).await.len(), 256);
}

#[tokio::test]
async fn what_was_confirmed_before_a_bad_frame_stays() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let good = desk.draft(&[IACHR]);
    let mut stream = desk.publish_stream().await.unwrap();
    let frame = |messages| resguardo::wire::proto::PublishStreamRequest { messages };
    stream.up.send(frame(vec![good.request()])).await.unwrap();
    let results = stream.down.message().await.unwrap().unwrap().results;
    let first = crate::stage::client::accepted(&results[0]);
    stream.up.send(frame(vec![])).await.unwrap();
    told(stream.down.message().await);
    let again = desk.publish(&good).await.unwrap();
    assert_eq!((again.index, again.duplicate), (first.index, true));
}

#[tokio::test]
async fn publishing_stream_that_sends_nothing_ends_well() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    assert!(desk.publish_frames(vec![]).await.unwrap().is_empty());
    let stream = desk.publish_stream().await.unwrap();
    drop(stream.up);
    let mut down = stream.down;
    assert!(crate::stage::wait::within("the stream ends", down.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn subscriber_that_closes_its_way_up_is_let_go_in_order() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let end = desk.subscribe().await.finish().await;
    assert_eq!(end.code(), Code::Ok, "{end:?}");
}

#[tokio::test]
async fn start_with_the_same_stream_many_times_harms_nobody() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let streams = vec!["studies".to_owned(); 10_000];
    if let Ok(subscription) = Subscription::open(&desk, Start { streams, ..start() }).await {
        assert_eq!(subscription.started.outstanding, 0);
    }
    desk.subscribe().await.nothing_comes().await;
}
