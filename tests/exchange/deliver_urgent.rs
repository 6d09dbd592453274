//! Urgent messages go first, on connecting and live; credit says how many may come.

use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::{Credit, Priority, Start, SubscribeRequest};

use crate::stage::Stage;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::subscription::{Subscription, id, ids};
use crate::stage::told::{Told, told};
use crate::{HONDURAS, IACHR};

async fn publish(desk: &Desk, priorities: &[Priority]) -> Vec<Draft> {
    let drafts: Vec<Draft> = priorities.iter().map(|it| desk.draft(&[IACHR]).priority(*it)).collect();
    for draft in &drafts {
        desk.send(draft).await;
    }
    drafts
}

fn credit(credit: u32) -> Start {
    Start { credit, ..Start::default() }
}

#[tokio::test]
async fn urgent_comes_first_on_connecting_and_each_kind_in_order() {
    use Priority::{Low, Normal, Urgent};
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let drafts = publish(&sender, &[Normal, Low, Urgent, Normal, Urgent, Low, Normal, Urgent]).await;
    let expected: Vec<_> = [2, 4, 7, 0, 1, 3, 5, 6].map(|at: usize| drafts[at].id()).to_vec();
    // At once, and one by one.
    assert_eq!(ids(&stage.desk(IACHR).await.subscribe().await.next(8).await), expected);
    let mut sparing = stage.desk(IACHR).await.subscribe_with(credit(1)).await;
    for (at, expected) in expected.iter().enumerate() {
        assert_eq!(id(&sparing.delivery().await), expected, "delivery {at}");
        sparing.credit(1).await;
    }
}

#[tokio::test]
async fn urgent_message_overtakes_what_waits_for_credit() {
    use Priority::{Normal, Urgent};
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(credit(1)).await;
    let waiting = publish(&sender, &[Normal; 40]).await;
    assert_eq!(id(&subscription.delivery().await), waiting[0].id());
    let urgent = publish(&sender, &[Urgent, Urgent]).await;
    subscription.nothing_comes().await;
    subscription.credit(3).await;
    assert_eq!(ids(&subscription.next(3).await), [urgent[0].id(), urgent[1].id(), waiting[1].id()]);
    let late = publish(&sender, &[Urgent]).await;
    subscription.credit(100).await;
    assert_eq!(id(&subscription.delivery().await), late[0].id());
    let rest: Vec<_> = waiting[2..].iter().map(Draft::id).collect();
    assert_eq!(ids(&subscription.next(38).await), rest);
}

#[tokio::test]
async fn no_more_comes_than_there_is_credit_for() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    publish(&sender, &[Priority::Normal; 20]).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(credit(3)).await;
    let mut came = subscription.next(3).await;
    for more in [1_u32, 2, 5] {
        subscription.nothing_comes().await;
        subscription.credit(more).await;
        came.extend(subscription.next(usize::try_from(more).unwrap()).await);
    }
    subscription.nothing_comes().await;
    // An acknowledgement is no credit.
    subscription.acknowledge(&came).await;
    subscription.nothing_comes().await;
    publish(&sender, &[Priority::Urgent]).await;
    subscription.nothing_comes().await;
    assert!(came.windows(2).all(|pair| pair[0].index < pair[1].index));
}

#[tokio::test]
async fn start_without_credit_is_refused_by_its_field() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    told(Subscription::open(&desk, credit(0)).await)
        .expect_reason("FIELD_INVALID")
        .expect_field("start.credit");
}

#[tokio::test]
async fn credit_beyond_all_measure_is_refused_or_cut_to_the_bound() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    match Subscription::open(&desk, credit(u32::MAX)).await {
        Ok(subscription) => assert!(subscription.started.credit <= 65_536, "{:?}", subscription.started),
        Err(status) => {
            Told::of(&status).expect_reason("FIELD_INVALID").expect_field("start.credit");
        }
    }
    // Over and over: no sum of credits may run over.
    let first = SubscribeRequest { frame: Some(Up::Start(credit(1_000))) };
    let (up, mut down) = Subscription::open_raw(&desk, first).await.unwrap();
    let more = SubscribeRequest { frame: Some(Up::Credit(Credit { deliveries: u32::MAX })) };
    for _ in 0..8 {
        if up.send(more.clone()).await.is_err() {
            break;
        }
    }
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    let mut frames = 0;
    let end = crate::stage::wait::within("it goes on or ends with a reason", async {
        loop {
            match down.message().await {
                Ok(Some(_)) if frames == 1 => return None,
                Ok(Some(_)) => frames += 1,
                Ok(None) => panic!("it ended without a reason"),
                Err(status) => return Some(status),
            }
        }
    })
    .await;
    if let Some(status) = end {
        assert!(!Told::of(&status).reason.is_empty(), "{status:?}");
    }
    stage.desk(IACHR).await.subscribe().await.delivery().await;
}
