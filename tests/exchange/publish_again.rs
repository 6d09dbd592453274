//! Handing in again: the first answer, for ever; other bytes under the same id never.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use resguardo::model::entry::EntryKind;
use resguardo::model::epoch::EpochId;
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::policy::Policy;
use resguardo::seal::Kind;
use resguardo::wire::amendment;
use resguardo::wire::log::Recorded;
use resguardo::wire::promise::{self, PromiseError};
use resguardo::wire::proto::{Accepted, PublishRequest, Signed};
use tokio::task::JoinSet;
use tonic::Code;

use crate::stage::audit::all;
use crate::stage::client::{Desk, accepted, refused};
use crate::stage::draft::Draft;
use crate::stage::draft::recipient;
use crate::stage::founding::desk_keys;
use crate::stage::sign::signature;
use crate::stage::subscription::id;
use crate::stage::told::{expect_item, told};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR, MEXICO};

/// That an answer is the first one; the hub signs each anew.
fn same(answer: &Accepted, first: &Accepted) -> bool {
    let promise = answer.promise.clone();
    *answer == Accepted { duplicate: true, promise, ..first.clone() }
}

/// That the hub is bound by an answer.
async fn bound(desk: &Desk, draft: &Draft, answer: &Accepted) -> Result<(), PromiseError> {
    let mut policy = Policy::default();
    for entry in desk.directory().await.expect("it is told").entries {
        let entry = amendment::read(&entry).expect("it is one");
        policy.amend(&Arc::new(entry)).expect("it follows");
    }
    let recorded = Recorded {
        index: Index(answer.index),
        time: UnixMicros(answer.accepted_unix_us),
        kind: EntryKind::Publish,
        identity: &desk.identity,
        statement: draft.request().envelope,
    };
    promise::check(answer.promise.as_ref(), &policy, EpochId(answer.epoch), &recorded)
}

async fn assert_first_answer(desk: &Desk, draft: &Draft, first: &Accepted, when: &str) {
    let again = desk.publish(draft).await.expect("it is answered");
    assert!(same(&again, first), "{when}, alone: {again:?}");
    assert_eq!(bound(desk, draft, &again).await, Ok(()), "{when}, alone");
    let results = desk.publish_frames(vec![vec![draft.request(); 3], vec![draft.request()]]).await;
    for again in results.expect("the stream goes through").iter().map(accepted) {
        assert!(same(&again, first), "{when}, in a stream: {again:?}");
        assert_eq!(bound(desk, draft, &again).await, Ok(()), "{when}, in a stream");
    }
}

#[tokio::test]
async fn every_answer_binds_the_hub_and_binds_it_to_nothing_else() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let drafts: Vec<_> = (0..40).map(|_| desk.draft(&[IACHR])).collect();
    let frames = drafts.chunks(20).map(|drafts| drafts.iter().map(Draft::request).collect()).collect();
    let results = desk.publish_frames(frames).await.expect("the stream goes through");
    let answers: Vec<_> = results.iter().map(accepted).collect();
    for (draft, answer) in drafts.iter().zip(&answers) {
        assert_eq!(bound(&desk, draft, answer).await, Ok(()));
    }
    let together = answers.iter().filter_map(|it| it.promise.as_ref()).any(|promise| promise.count > 1);
    assert!(together, "one signature is over those that came to the disk together");
    assert!(bound(&desk, &drafts[1], &answers[0]).await.is_err());
    let later = Accepted { accepted_unix_us: answers[0].accepted_unix_us + 1, ..answers[0].clone() };
    assert!(bound(&desk, &drafts[0], &later).await.is_err());
    let unsigned = Accepted { promise: None, ..answers[0].clone() };
    assert_eq!(bound(&desk, &drafts[0], &unsigned).await, Err(PromiseError::Missing));
}

#[tokio::test]
async fn same_message_again_gets_the_first_answer_also_after_stop_kill_and_rebuild() {
    let mut stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR, MEXICO]);
    let first = desk.send(&draft).await;
    assert_first_answer(&desk, &draft, &first, "at once").await;
    assert_first_answer(&stage.desk(HONDURAS).await, &draft, &first, "over another connection").await;
    stage.restart().await;
    assert_first_answer(&stage.desk(HONDURAS).await, &draft, &first, "after a stop").await;
    stage.kill().await;
    stage.start().await;
    assert_first_answer(&stage.desk(HONDURAS).await, &draft, &first, "after a kill").await;
    assert!(stage.stop().await.success());
    let rebuilt = stage.program(&["hub", "rebuild"]).await;
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    stage.start().await;
    assert_first_answer(&stage.desk(HONDURAS).await, &draft, &first, "after a rebuild").await;
    let auditor = stage.auditor("iachr").await;
    assert_eq!(auditor.deliveries(all()).await.unwrap().len(), 2);
    let mut subscription = stage.desk(MEXICO).await.subscribe().await;
    assert_eq!(id(&subscription.delivery().await), draft.id());
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn first_answer_is_for_ever_and_not_for_a_window() {
    let stage = Stage::open_with(Setup::fast()).await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let first = desk.send(&draft).await;
    let others: Vec<Draft> = (0..6_000).map(|_| desk.draft(&[MEXICO])).collect();
    desk.send_all(&others, 200).await;
    assert_first_answer(&desk, &draft, &first, "after 6,000 others").await;
}

#[tokio::test]
async fn acknowledged_message_handed_in_again_is_not_delivered_again() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let first = desk.send(&draft).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let delivery = subscription.delivery().await;
    subscription.acknowledge(&[delivery]).await;
    assert_first_answer(&desk, &draft, &first, "after the acknowledgement").await;
    subscription.nothing_comes().await;
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, 0);
}

#[tokio::test]
async fn other_bytes_under_the_same_id_are_refused_and_change_nothing() {
    let mut stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let first = desk.send(&draft).await;
    // A field that nobody knows is part of what is signed.
    let mut padded = draft.envelope.encode_to_vec();
    padded.extend([0xa2, 0x06, 0x01, b'x']);
    let statement: Bytes = padded.into();
    let signatures = vec![signature(&desk_keys(&desk.identity)[0], Kind::Envelope, &statement)];
    let envelope = Signed { statement, signatures }.encode_to_vec().into();
    let padded = PublishRequest { envelope, payload: draft.payload.clone() };
    let others = [
        draft.clone().urgent().request(),
        draft.clone().payload(Bytes::from_static(b"another payload")).request(),
        draft.clone().edit(|envelope| envelope.recipients = vec![recipient(MEXICO)]).request(),
        padded,
    ];
    for round in ["at once", "after a kill"] {
        let desk = stage.desk(HONDURAS).await;
        for other in &others {
            let alone = told(desk.publish_request(other.clone()).await);
            assert_eq!(alone.expect_reason("ID_REUSED").code, Code::AlreadyExists, "{round}");
            let results = desk.publish_frames(vec![vec![other.clone()]]).await.unwrap();
            expect_item(&refused(&results[0]), "ID_REUSED");
        }
        assert_first_answer(&desk, &draft, &first, round).await;
        stage.kill().await;
        stage.start().await;
    }
    // An id is the office's, not the desk's: a second desk cannot use it for its own message.
    let second = stage.desk_named(HONDURAS, "desk-2").await;
    let theirs = draft.clone().edit(|envelope| second.identity.clone_into(&mut envelope.sender));
    told(second.publish(&theirs).await).expect_reason("ID_REUSED");
    assert_eq!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn two_messages_of_one_id_in_one_frame_are_one_and_a_refusal() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let other = draft.clone().urgent();
    let frame = vec![draft.request(), other.request(), draft.request()];
    let results = desk.publish_frames(vec![frame]).await.unwrap();
    let first = accepted(&results[0]);
    assert!(!first.duplicate);
    expect_item(&refused(&results[1]), "ID_REUSED");
    assert!(same(&accepted(&results[2]), &first));
}

#[tokio::test]
async fn message_handed_in_many_times_at_once_gets_one_index() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    for _ in 0..20 {
        let draft = desk.draft(&[IACHR]);
        let mut handing_in = JoinSet::new();
        for _ in 0..16 {
            let (desk, draft) = (desk.clone(), draft.clone());
            handing_in.spawn(async move { desk.publish(&draft).await.unwrap() });
        }
        let answers = handing_in.join_all().await;
        assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1, "{answers:?}");
        let new = answers.iter().find(|answer| !answer.duplicate).expect("it was counted");
        assert!(answers.iter().filter(|it| it.duplicate).all(|again| same(again, new)), "{answers:?}");
    }
    assert_eq!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().len(), 20);
}

#[tokio::test]
async fn rivals_for_one_id_at_once_one_wins_and_the_other_is_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    for _ in 0..20 {
        let draft = desk.draft(&[IACHR]);
        let rival = draft.clone().urgent();
        let (one, two) = tokio::join!(desk.publish(&draft), desk.publish(&rival));
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        assert!(!won.unwrap().duplicate);
        told(lost).expect_reason("ID_REUSED");
    }
}

#[tokio::test]
async fn id_belongs_to_its_office() {
    let stage = Stage::open().await;
    let (honduras, mexico) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let draft = honduras.draft(&[IACHR]);
    let namesake = draft.clone().edit(|envelope| mexico.identity.clone_into(&mut envelope.sender));
    let (first, second) = (honduras.send(&draft).await, mexico.send(&namesake).await);
    assert_ne!(first.index, second.index);
    assert_first_answer(&honduras, &draft, &first, "with a namesake").await;
    assert_first_answer(&mexico, &namesake, &second, "with a namesake").await;
    let auditor = stage.auditor("ohchr").await;
    for (office, answer) in [(HONDURAS, first), (MEXICO, second)] {
        let history = auditor.describe(&draft.id(), office).await.unwrap();
        assert_eq!(history.message.unwrap().index, answer.index);
    }
    let whose = auditor.describe(&draft.id(), "").await;
    assert!(whose.is_err(), "two messages have this id; one was told: {whose:?}");
    assert_eq!(stage.desk(IACHR).await.subscribe().await.next(2).await.len(), 2);
}

#[tokio::test]
async fn call_that_its_caller_cancels_leaves_one_message_or_none() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let drafts: Vec<Draft> = (0..60).map(|_| desk.draft(&[IACHR]).payload(vec![5; 20_000])).collect();
    let mut calls = JoinSet::new();
    for (at, draft) in (0_u64..).zip(&drafts) {
        let (desk, draft) = (desk.clone(), draft.clone());
        calls.spawn(async move {
            // Some are cut before they are under way, some in their middle, some after their end.
            let patience = std::time::Duration::from_micros(at * 400);
            tokio::time::timeout(patience, desk.publish(&draft)).await.ok().map(Result::unwrap)
        });
    }
    let answered: Vec<Accepted> = calls.join_all().await.into_iter().flatten().collect();
    assert!(answered.len() < drafts.len(), "none was cut");
    let mut indexes = std::collections::BTreeSet::new();
    for draft in &drafts {
        let first = desk.publish(draft).await.unwrap();
        assert!(same(&desk.publish(draft).await.unwrap(), &first));
        indexes.insert(first.index);
    }
    assert_eq!(indexes.len(), drafts.len());
    assert!(answered.iter().all(|accepted| indexes.contains(&accepted.index)));
    let rows = stage.auditor("iachr").await.deliveries(all()).await.unwrap();
    assert_eq!(rows.len(), drafts.len(), "each once");
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    assert_eq!(subscription.next(60).await.len(), 60);
    subscription.nothing_comes().await;
}
