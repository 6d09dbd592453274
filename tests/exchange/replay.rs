//! Replay: what was acknowledged before, again on request, from an index on, marked as such.

use resguardo::wire::proto::{Delivery, Start};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::draft::{Draft, STREAM};
use crate::stage::subscription::{id, message};
use crate::stage::wait::within;
use crate::{HONDURAS, IACHR, MEXICO};

/// Ten messages to headquarters, of which all but the fourth and the eighth are acknowledged; and one to Mexico.
async fn scene(stage: &Stage) -> (Vec<Draft>, Vec<u64>) {
    let sender = stage.desk(HONDURAS).await;
    let mut drafts: Vec<Draft> = (0..10).map(|_| sender.draft(&[IACHR])).collect();
    drafts[6] = drafts[6].clone().stream("studies");
    let mut indexes = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        indexes.push(sender.send(draft).await.index);
        if at == 4 {
            sender.send(&sender.draft(&[MEXICO])).await;
        }
    }
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let mut came = subscription.next(10).await;
    came.retain(|delivery| delivery.index != indexes[3] && delivery.index != indexes[7]);
    subscription.acknowledge(&came).await;
    (drafts, indexes)
}

fn replay(from: u64) -> Start {
    Start { replay_from_index: Some(from), credit: 100, ..Start::default() }
}

fn marks(came: &[Delivery]) -> Vec<(u64, bool)> {
    let mut marks: Vec<_> =
        came.iter().map(|delivery| (delivery.index, message(delivery).replayed)).collect();
    marks.sort_unstable();
    marks
}

#[tokio::test]
async fn replay_brings_what_was_acknowledged_from_the_index_on_and_what_is_outstanding_as_always() {
    let stage = Stage::open().await;
    let (drafts, indexes) = scene(&stage).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(replay(indexes[5])).await;
    assert_eq!(subscription.started.outstanding, 2);
    let came = subscription.next(6).await;
    let expected = [3, 5, 6, 7, 8, 9].map(|at| (indexes[at], !matches!(at, 3 | 7)));
    assert_eq!(marks(&came), expected);
    let replayed: Vec<_> = came.iter().filter(|it| message(it).replayed).map(|it| it.index).collect();
    assert!(replayed.windows(2).all(|pair| pair[0] < pair[1]), "in order: {replayed:?}");
    for delivery in &came {
        let at = indexes.iter().position(|index| *index == delivery.index).unwrap();
        assert_eq!(message(delivery).envelope, drafts[at].envelope_bytes());
        assert_eq!(message(delivery).payload, drafts[at].payload);
    }
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn replay_from_the_beginning_after_a_restart_brings_all_that_the_office_was_owed_and_no_more() {
    let mut stage = Stage::open().await;
    let (_, indexes) = scene(&stage).await;
    stage.kill().await;
    stage.start().await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(replay(0)).await;
    let came = subscription.next(10).await;
    assert_eq!(marks(&came).iter().map(|(index, _)| *index).collect::<Vec<_>>(), indexes);
    subscription.nothing_comes().await;
    let mut nothing = stage.desk(MEXICO).await.subscribe_with(replay(indexes[9] + 1_000)).await;
    assert!(!message(&nothing.delivery().await).replayed);
    nothing.nothing_comes().await;
}

#[tokio::test]
async fn replay_begins_at_a_time_of_the_hubs_as_at_the_index_that_came_first_then() {
    let stage = Stage::open().await;
    let (_, indexes) = scene(&stage).await;
    let entries = stage.auditor("iachr").await.entries(all()).await.unwrap();
    let time_of = |index: u64| entries[usize::try_from(index).unwrap()].recorded_unix_us;
    let since = |time: u64| Start { replay_from_unix_us: Some(time), credit: 100, ..Start::default() };
    for at in [0, 5, 9] {
        let time = time_of(indexes[at]);
        let begins = entries.iter().find(|entry| entry.recorded_unix_us >= time).unwrap().index;
        let mut by_time = stage.desk(IACHR).await.subscribe_with(since(time)).await;
        let mut by_index = stage.desk(IACHR).await.subscribe_with(replay(begins)).await;
        // What comes again, and the two that are owed.
        let again = (0..10).filter(|it| indexes[*it] >= begins || matches!(it, 3 | 7));
        let count = again.count();
        assert_eq!(
            marks(&by_time.next(count).await),
            marks(&by_index.next(count).await),
            "from message {at}"
        );
        by_time.nothing_comes().await;
    }
    // After all that there is: only what is owed. With an index too, the later of both counts.
    let later = Start { replay_from_index: Some(0), ..since(u64::MAX) };
    let mut owed = stage.desk(IACHR).await.subscribe_with(later).await;
    assert!(marks(&owed.next(2).await).iter().all(|(_, replayed)| !replayed));
    owed.nothing_comes().await;
}

#[tokio::test]
async fn replay_keeps_to_the_streams_asked_for() {
    let stage = Stage::open().await;
    let (_, indexes) = scene(&stage).await;
    let start = Start { streams: vec![STREAM.into()], ..replay(indexes[6]) };
    let mut subscription = stage.desk(IACHR).await.subscribe_with(start).await;
    let came = subscription.next(4).await;
    assert_eq!(
        marks(&came),
        [(indexes[3], false), (indexes[7], false), (indexes[8], true), (indexes[9], true)]
    );
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn replayed_messages_use_credit_and_change_nothing() {
    let stage = Stage::open().await;
    let (_, indexes) = scene(&stage).await;
    let auditor = stage.auditor("iachr").await;
    let before = auditor.everything().await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(Start { credit: 3, ..replay(0) }).await;
    let mut came = subscription.next(3).await;
    subscription.credit(7).await;
    came.extend(subscription.next(7).await);
    assert_eq!(marks(&came).len(), 10);
    drop(subscription);
    assert_eq!(auditor.everything().await, before);
    // Acknowledged again, they are known.
    let mut subscription = stage.desk(IACHR).await.subscribe_with(replay(indexes[8])).await;
    let mut came = subscription.next(4).await;
    came.retain(|delivery| message(delivery).replayed);
    assert_eq!(subscription.acknowledge(&came).await.news, 0);
}

#[tokio::test]
async fn live_messages_come_during_and_after_a_replay() {
    let stage = Stage::open().await;
    scene(&stage).await;
    let sender = stage.desk(HONDURAS).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(Start { credit: 4, ..replay(0) }).await;
    let mut came = subscription.next(4).await;
    let urgent = sender.draft(&[IACHR]).urgent();
    sender.send(&urgent).await;
    subscription.credit(1).await;
    let next = subscription.delivery().await;
    assert_eq!(id(&next), urgent.id(), "an urgent alert does not wait behind a replay");
    subscription.credit(100).await;
    came.extend(subscription.next(6).await);
    let late = sender.draft(&[IACHR]);
    sender.send(&late).await;
    let last = within("a live message comes", subscription.delivery()).await;
    assert_eq!(id(&last), late.id());
    assert_eq!(marks(&came).len(), 10);
}

#[tokio::test]
async fn urgent_message_that_is_owed_comes_once_also_when_the_replay_passes_over_it() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let drafts = [0, 1, 2, 3, 4].map(|at| {
        let draft = sender.draft(&[IACHR]);
        if at % 2 == 1 { draft.urgent() } else { draft }
    });
    let mut indexes = Vec::new();
    for draft in &drafts {
        indexes.push(sender.send(draft).await.index);
    }
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(5).await;
    let known: Vec<_> =
        came.iter().filter(|it| [indexes[1], indexes[2]].contains(&it.index)).cloned().collect();
    subscription.acknowledge(&known).await;
    let mut subscription = stage.desk(IACHR).await.subscribe_with(replay(0)).await;
    let came = subscription.next(5).await;
    let seen: Vec<_> = came.iter().map(|it| (it.index, message(it).replayed)).collect();
    let expected = [(3, false), (0, false), (1, true), (2, true), (4, false)];
    assert_eq!(seen, expected.map(|(at, replayed): (usize, bool)| (indexes[at], replayed)));
    subscription.nothing_comes().await;
    // Also where nothing but such messages stands in the range.
    let mut subscription = stage.desk(IACHR).await.subscribe_with(replay(indexes[3])).await;
    let came = subscription.next(3).await;
    assert_eq!(came.iter().map(|it| it.index).collect::<Vec<_>>(), [indexes[3], indexes[4], indexes[0]]);
    subscription.nothing_comes().await;
}
