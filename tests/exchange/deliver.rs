//! What an office is owed comes, in order, on connecting and live, to every session, until one of them acknowledges it.

use resguardo::wire::proto::{Delivery, Stage as ReceiptStage, Start};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::authority::now_us;
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::statement;
use crate::stage::subscription::{id, ids, message};
use crate::stage::wait::until;
use crate::{HONDURAS, IACHR, MEXICO};

async fn publish(desk: &Desk, count: usize, to: &[&str]) -> Vec<Draft> {
    let drafts: Vec<Draft> = (0..count).map(|_| desk.draft(to)).collect();
    desk.send_all(&drafts, 50).await;
    drafts
}

fn drafted(drafts: &[Draft]) -> Vec<bytes::Bytes> {
    drafts.iter().map(Draft::id).collect()
}

#[tokio::test]
async fn what_is_outstanding_comes_in_order_on_connecting_and_then_live() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let mut expected = drafted(&publish(&sender, 30, &[IACHR]).await);
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    assert_eq!(subscription.started.outstanding, 30);
    expected.extend(drafted(&publish(&sender, 30, &[IACHR]).await));
    let came = subscription.next(60).await;
    assert_eq!(ids(&came), expected);
    assert!(came.windows(2).all(|pair| pair[0].index < pair[1].index));
    for draft in publish(&sender, 5, &[IACHR]).await {
        assert_eq!(id(&subscription.delivery().await), draft.id());
    }
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn start_says_where_the_journal_stands() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let last = sender.send(&sender.draft(&[MEXICO])).await;
    let subscription = stage.desk(IACHR).await.subscribe_with(Start { credit: 7, ..Start::default() }).await;
    let started = subscription.started;
    assert_eq!((started.next_index, started.outstanding, started.credit), (last.index + 1, 0, 7));
}

#[tokio::test]
async fn unacknowledged_comes_again_on_every_connection_and_after_a_kill() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    publish(&sender, 3, &[IACHR]).await;
    let mut first: Option<Vec<Delivery>> = None;
    for round in 0..4 {
        let mut subscription = stage.desk(IACHR).await.subscribe().await;
        assert_eq!(subscription.started.outstanding, 3, "round {round}");
        let came = subscription.next(3).await;
        assert_eq!(*first.get_or_insert_with(|| came.clone()), came, "round {round}");
        drop(subscription);
        if round == 1 {
            stage.restart().await;
        }
        if round == 2 {
            stage.kill().await;
            stage.start().await;
        }
    }
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let came = subscription.next(3).await;
    subscription.acknowledge(&came[1..2]).await;
    let mut again = stage.desk(IACHR).await.subscribe().await;
    assert_eq!(ids(&again.next(2).await), [id(&came[0]), id(&came[2])]);
    again.nothing_comes().await;
    stage.kill().await;
    stage.start().await;
    let mut again = stage.desk(IACHR).await.subscribe().await;
    assert_eq!(again.started.outstanding, 2);
    let came = again.next(2).await;
    again.acknowledge(&came).await;
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, 0);
}

#[tokio::test]
async fn sessions_of_one_office_each_see_it_and_one_receipt_clears_it_for_all() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let early = publish(&sender, 2, &[IACHR]).await;
    let mut sessions = Vec::new();
    for desk in ["desk-1", "desk-2", "desk-1"] {
        sessions.push(stage.desk_named(IACHR, desk).await.subscribe().await);
    }
    let live = publish(&sender, 2, &[IACHR]).await;
    let expected = [drafted(&early), drafted(&live)].concat();
    let mut seen = Vec::new();
    for session in &mut sessions {
        let came = session.next(4).await;
        assert_eq!(ids(&came), expected);
        seen = came;
    }
    let first = sessions[1].acknowledge(&seen).await;
    assert_eq!(first.news, 4);
    for session in &mut sessions {
        let again = session.acknowledge(&seen).await;
        assert_eq!((again.index, again.news), (first.index, 0), "one receipt had cleared it");
        session.nothing_comes().await;
    }
    assert_eq!(stage.desk_named(IACHR, "desk-3").await.subscribe().await.started.outstanding, 0);
    let rows = stage.auditor("iachr").await.deliveries(all()).await.unwrap();
    assert!(
        rows.iter().all(|row| row.stages.len() == 1 && row.stages[0].desk.ends_with(":desk-2")),
        "{rows:?}"
    );
}

#[tokio::test]
async fn what_another_session_cleared_before_it_was_sent_does_not_come() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    publish(&sender, 3, &[IACHR]).await;
    let office = stage.desk(IACHR).await;
    let mut slow = office.subscribe_with(Start { credit: 1, ..Start::default() }).await;
    let one = slow.delivery().await;
    let mut quick = office.subscribe().await;
    let came = quick.next(3).await;
    quick.acknowledge(&came).await;
    let later = publish(&sender, 1, &[IACHR]).await;
    slow.credit(10).await;
    assert_eq!(id(&one), id(&came[0]));
    assert_eq!(id(&slow.delivery().await), later[0].id(), "one receipt clears it for every session");
}

#[tokio::test]
async fn past_expiry_it_is_delivered_all_the_same_and_marked() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let hour = 3_600_000_000;
    let past = sender.draft(&[IACHR]).expires(now_us() - hour);
    let future = sender.draft(&[IACHR]).expires(now_us() + hour);
    let soon = sender.draft(&[MEXICO]).expires(now_us() + 3_000_000);
    for draft in [&past, &future, &soon] {
        sender.send(draft).await;
    }
    let came = stage.desk(IACHR).await.subscribe().await.next(2).await;
    let marks: Vec<_> = came.iter().map(|delivery| (id(delivery), message(delivery).expired)).collect();
    assert_eq!(marks, [(past.id(), true), (future.id(), false)]);
    // It expires while nobody has acknowledged it: from then on it comes marked, with the same bytes.
    let mexico = stage.desk(MEXICO).await;
    let marked = until("it comes marked", async || {
        let delivery = mexico.subscribe().await.delivery().await;
        message(&delivery).expired.then_some(delivery)
    })
    .await;
    assert!(now_us() >= soon.envelope.expires_unix_us.unwrap());
    assert_eq!(message(&marked).envelope, soon.envelope_bytes());
}

#[tokio::test]
async fn read_and_acted_say_more_than_received_and_clear_it_too() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let drafts = publish(&sender, 3, &[IACHR]).await;
    let office = stage.desk(IACHR).await;
    let mut subscription = office.subscribe().await;
    let came = subscription.next(3).await;
    subscription.record(&statement::read(&office.identity, statement::named(&came[0]))).await;
    let acted = statement::acted(
        &office.identity,
        statement::named(&came[1]),
        resguardo::wire::proto::Action::ContactedPerson,
    );
    subscription.record(&acted).await;
    let mut again = stage.desk(IACHR).await.subscribe().await;
    assert_eq!(again.started.outstanding, 1);
    assert_eq!(ids(&again.next(1).await), [drafts[2].id()]);
    let waiting = stage.auditor("ohchr").await.outstanding(all(), ReceiptStage::Received).await.unwrap();
    assert_eq!(waiting.len(), 1);
}
