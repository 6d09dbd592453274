//! Slow and silent callers: a subscriber that stops reading costs a cursor, and everybody else goes on.

use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::{PublishStreamRequest, Receipts, Start, SubscribeRequest};
use tokio::task::JoinSet;

use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::subscription::{Subscription, id};
use crate::stage::wait::within;
use crate::stage::{Setup, Stage};
use crate::{COLOMBIA, HONDURAS, IACHR, MEXICO};

/// Bytes of a payload; a thousand of them are far more than any window or buffer has.
const PAYLOAD_BYTES: usize = 128 * 1_024;
const MESSAGES: usize = 1_000;
/// What the hub may grow by while 125 MiB go by: windows of a few subscribers, the ledger's cache, its own heap.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// Frames that one who reads nothing hands in: a fixed number, so that what they cost depends on no machine's speed.
/// They carry 150 MiB of messages, or 75,000 receipts.
const DEAF_FRAMES: usize = 300;

/// Hands in many large messages, one frame of a few at a time.
async fn flood(desk: &Desk, to: &[&str]) -> Vec<bytes::Bytes> {
    let mut sent = Vec::new();
    for _ in 0..MESSAGES / 10 {
        let drafts: Vec<Draft> = (0..10).map(|_| desk.draft(to).payload(vec![9; PAYLOAD_BYTES])).collect();
        desk.send_all(&drafts, 5).await;
        sent.extend(drafts.iter().map(Draft::id));
    }
    sent
}

#[tokio::test]
async fn subscriber_that_stops_reading_costs_no_memory_and_holds_up_nobody() {
    let stage = Stage::open_with(Setup::fast()).await;
    let sender = stage.desk(HONDURAS).await;
    let start = || Start { credit: 65_536, ..Start::default() };
    // Sessions that ask for everything and read nothing, one of them of the same office as the one that reads.
    let mut stuck = Vec::new();
    for (office, desk) in [(MEXICO, "desk-1"), (MEXICO, "desk-2"), (IACHR, "desk-2")] {
        stuck.push(stage.desk_named(office, desk).await.subscribe_with(start()).await);
    }
    let reader = stage.desk(IACHR).await;
    let mut reading = reader.subscribe_with(start()).await;
    let before = stage.hub().memory_bytes();
    let mut most = before;
    let (sent, came) = tokio::join!(flood(&sender, &[IACHR, MEXICO]), async {
        let mut came = Vec::new();
        for _ in 0..MESSAGES {
            let delivery = reading.delivery().await;
            came.push(id(&delivery));
            if came.len() % 50 == 0 {
                reading.credit(50).await;
                most = most.max(stage.hub().memory_bytes());
            }
        }
        came
    });
    assert_eq!(came, sent, "who reads gets everything, live and in order");
    let grown = most - before;
    assert!(grown < GROWTH_BYTES_MAX, "the hub grew by {grown} bytes");
    // On the very connection whose subscription is stuck, other calls go on.
    let mexico = stage.desk(MEXICO).await;
    mexico.send(&mexico.draft(&[COLOMBIA])).await;
    // When the slow one reads again, it has lost nothing.
    let slow = &mut stuck[0];
    let mut late = Vec::new();
    while late.len() < MESSAGES {
        late.push(id(&slow.delivery().await));
        if late.len() % 50 == 0 {
            slow.credit(50).await;
        }
    }
    assert_eq!(late, sent);
}

#[tokio::test]
async fn calls_on_the_connection_of_a_stuck_subscription_go_on() {
    let stage = Stage::open_with(Setup::fast()).await;
    let sender = stage.desk(HONDURAS).await;
    let desk = stage.desk(MEXICO).await;
    let _stuck = desk.subscribe_with(Start { credit: 65_536, ..Start::default() }).await;
    let drafts: Vec<Draft> =
        (0..100).map(|_| sender.draft(&[MEXICO]).payload(vec![1; PAYLOAD_BYTES])).collect();
    sender.send_all(&drafts, 5).await;
    desk.send(&desk.draft(&[IACHR])).await;
    desk.directory().await.unwrap();
    let mut second = Subscription::open(&desk, Start { credit: 1, ..Start::default() }).await.unwrap();
    assert_eq!(id(&second.delivery().await), drafts[0].id());
}

#[tokio::test]
async fn publisher_that_reads_no_results_costs_a_bound_and_holds_up_nobody() {
    let stage = Stage::open_with(Setup::fast()).await;
    let deaf = stage.desk(HONDURAS).await;
    let stream = deaf.publish_stream().await.unwrap();
    let before = stage.hub().memory_bytes();
    let mut sending = JoinSet::new();
    let up = stream.up.clone();
    let desk = deaf.clone();
    sending.spawn(async move {
        for _ in 0..DEAF_FRAMES {
            let messages = (0..64).map(|_| desk.draft(&[MEXICO]).payload(vec![2; 8_192]).request()).collect();
            // Held up for ever is well too: what counts is what it costs.
            up.send(PublishStreamRequest { messages }).await.expect("the stream stands");
        }
        std::future::pending::<()>().await;
    });
    let other = stage.desk(COLOMBIA).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    for _ in 0..150 {
        let draft = other.draft(&[IACHR]);
        other.send(&draft).await;
        let delivery = within("it is delivered", subscription.delivery()).await;
        assert_eq!(id(&delivery), draft.id());
        subscription.credit(1).await;
    }
    let grown = stage.hub().memory_bytes().saturating_sub(before);
    assert!(grown < 2 * GROWTH_BYTES_MAX, "the hub grew by {grown} bytes");
    drop((sending, stream));
}

#[tokio::test]
async fn subscriber_that_reads_no_results_costs_a_bound_and_holds_up_nobody() {
    let stage = Stage::open_with(Setup::fast()).await;
    let deaf = stage.desk(MEXICO).await;
    let first = SubscribeRequest { frame: Some(Up::Start(Start { credit: 1, ..Start::default() })) };
    let (up, down) = Subscription::open_raw(&deaf, first).await.unwrap();
    let before = stage.hub().memory_bytes();
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        let receipts = Receipts {
            receipts: vec![crate::stage::statement::handed(bytes::Bytes::from_static(b"\xff\xff")); 256],
        };
        let frame = SubscribeRequest { frame: Some(Up::Receipts(receipts)) };
        for _ in 0..DEAF_FRAMES {
            up.send(frame.clone()).await.expect("the stream stands");
        }
        std::future::pending::<()>().await;
    });
    let other = stage.desk(COLOMBIA).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    for _ in 0..150 {
        let draft = other.draft(&[IACHR]);
        other.send(&draft).await;
        assert_eq!(id(&within("it is delivered", subscription.delivery()).await), draft.id());
    }
    let grown = stage.hub().memory_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "the hub grew by {grown} bytes");
    drop((sending, down));
}

#[tokio::test]
async fn office_that_never_acknowledges_gets_each_message_once_a_connection() {
    let stage = Stage::open_with(Setup::fast()).await;
    let sender = stage.desk(HONDURAS).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let mut sent = Vec::new();
    for _ in 0..200 {
        let draft = sender.draft(&[IACHR]);
        sender.send(&draft).await;
        sent.push(draft.id());
    }
    let came: Vec<_> = subscription.next(200).await.iter().map(id).collect();
    assert_eq!(came, sent);
    subscription.nothing_comes().await;
}
