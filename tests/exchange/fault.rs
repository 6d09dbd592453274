//! A disk that takes no more: the hub confirms nothing that it has not written, and what it confirmed is there after.

use resguardo::wire::proto::Accepted;

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::statement;
use crate::stage::told::{Told, told};
use crate::{HONDURAS, IACHR};

/// Publishes so many messages.
async fn publish(sender: &Desk, count: usize) -> Vec<(Draft, Accepted)> {
    let mut confirmed = Vec::new();
    for _ in 0..count {
        let draft = sender.draft(&[IACHR]).payload(vec![5; 20_000]);
        let accepted = sender.send(&draft).await;
        confirmed.push((draft, accepted));
    }
    confirmed
}

/// Publishes until the hub says no; gives what it confirmed, what it did not, and what it said.
async fn publish_until_refused(sender: &Desk, most: usize) -> (Vec<(Draft, Accepted)>, Draft, Told) {
    let mut confirmed = Vec::new();
    loop {
        let draft = sender.draft(&[IACHR]).payload(vec![4; 20_000]);
        match sender.publish(&draft).await {
            Ok(accepted) => confirmed.push((draft, accepted)),
            Err(status) => return (confirmed, draft, Told::of(&status)),
        }
        assert!(confirmed.len() < most, "more was confirmed than there was room for");
    }
}

/// Checks that everything confirmed is in the audit once, in its place; gives how many messages there are.
async fn assert_kept(stage: &Stage, confirmed: &[(Draft, Accepted)]) -> usize {
    let rows = stage.auditor("iachr").await.deliveries(all()).await.expect("deliveries are listed");
    let messages: Vec<_> = rows.into_iter().filter_map(|row| row.message).collect();
    for (draft, accepted) in confirmed {
        let found: Vec<_> = messages.iter().filter(|row| row.message_id == draft.id()).collect();
        assert_eq!(found.len(), 1, "{:02x?}", draft.id());
        assert_eq!((found[0].index, found[0].accepted_unix_us), (accepted.index, accepted.accepted_unix_us));
    }
    messages.len()
}

#[tokio::test]
async fn where_no_further_segment_fits_publishes_are_refused_and_receipts_still_go() {
    let mut stage = Stage::open().await;
    let mut confirmed = publish(&stage.desk(HONDURAS).await, 5).await;
    assert!(stage.stop().await.success());
    // Three quarters of a segment: the one that is there can be written for a while, no other can be made.
    stage.start_cramped(1_536).await;
    let sender = stage.desk(HONDURAS).await;
    let (more, lost, told) = publish_until_refused(&sender, 60).await;
    confirmed.extend(more);
    if told.reason == "DISK_RESERVE" {
        told.expect_bound();
        let mut subscription = stage.desk(IACHR).await.subscribe().await;
        let came = subscription.next(confirmed.len()).await;
        assert_eq!(subscription.acknowledge(&came).await.news as usize, confirmed.len());
        assert!(stage.stop().await.success());
    } else {
        assert!(["FAULT", "STOPPING"].contains(&told.reason.as_str()), "{told:?}");
        stage.hub.take().expect("it was started").end().await;
    }
    stage.start().await;
    assert_kept(&stage, &confirmed).await;
    stage.desk(HONDURAS).await.publish(&lost).await.unwrap();
}

#[tokio::test]
async fn write_that_fails_is_not_confirmed_and_ends_the_hub_with_a_reason() {
    let mut stage = Stage::open().await;
    let confirmed = publish(&stage.desk(HONDURAS).await, 38).await;
    assert!(stage.stop().await.success());
    // The segment is written beyond this already: the very next write fails.
    stage.start_cramped(1_700).await;
    let iachr = stage.desk(IACHR).await;
    let mut subscription = iachr.subscribe().await;
    let came = subscription.next(confirmed.len()).await;
    let receipt = statement::bytes(&statement::received(&iachr.identity, &came));
    let told = told(subscription.try_state_bytes(vec![receipt]).await);
    assert!(["FAULT", "STOPPING"].contains(&told.reason.as_str()), "{told:?}");
    assert!(!told.message.contains("os error") && !told.message.contains(".segment"), "{told:?}");
    let ended = stage.hub.take().expect("it was started").end().await;
    assert!(!ended.status.success(), "{ended}");
    assert!(ended.said("segment") && !ended.said("panicked"), "it says why: {ended}");
    stage.start().await;
    assert_eq!(assert_kept(&stage, &confirmed).await, confirmed.len());
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let owed = usize::try_from(subscription.started.outstanding).unwrap();
    assert!(owed == 0 || owed == confirmed.len(), "a receipt counts whole or not at all; {owed} are owed");
    let again = subscription.acknowledge(&came).await;
    assert_eq!(again.news as usize, owed);
}
