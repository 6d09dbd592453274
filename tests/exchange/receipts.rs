//! Receipts: each statement an entry with who, when and what; a repetition changes nothing and says so.

use resguardo::wire::proto::Stage as ReceiptStage;
use resguardo::wire::proto::{Action, CoveredMessage, Delivery, EntryKind, StageRow};
use tokio::task::JoinSet;

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::{Auditor, Desk};
use crate::stage::draft::new_id;
use crate::stage::statement::{self, acted, named, read, receipt, received, refused, turned_down};
use crate::stage::statement::{Receipt, bare, covered, decoded, nobodys};
use crate::stage::subscription::Subscription;
use crate::stage::told::expect_item;
use crate::{COLOMBIA, HONDURAS, IACHR, MEXICO};

/// Headquarters with some messages of Honduras before it, an open subscription, and an auditor.
struct Scene {
    stage: Stage,
    desk: Desk,
    subscription: Subscription,
    came: Vec<Delivery>,
    auditor: Auditor,
}

async fn scene(messages: usize) -> Scene {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    for _ in 0..messages {
        sender.send(&sender.draft(&[IACHR, MEXICO])).await;
    }
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(messages).await;
    let auditor = stage.auditor("ohchr").await;
    Scene { stage, desk, subscription, came, auditor }
}

impl Scene {
    /// The stages that headquarters has stated of the first message.
    async fn stages(&self) -> Vec<StageRow> {
        let rows = self.auditor.deliveries(all()).await.expect("deliveries are listed");
        rows.into_iter().find(|row| row.office == IACHR).expect("it is owed to headquarters").stages
    }
}

#[tokio::test]
async fn statement_is_an_entry_of_its_exact_bytes_with_office_desk_and_both_times() {
    let mut scene = scene(1).await;
    let (desk, first) = (scene.desk.identity.clone(), named(&scene.came[0]));
    let statements = [
        received(&desk, &scene.came),
        read(&desk, first.clone()),
        turned_down(&desk, ReceiptStage::Unreadable, first.clone(), "no key for it"),
        turned_down(&desk, ReceiptStage::Declined, first.clone(), "outside our mandate"),
        acted(&desk, first.clone(), Action::AskedState),
    ];
    for (at, statement) in (1_u64..).zip(statements) {
        let statement = Receipt { at_unix_us: 1_700_000_000_000_000 + at, ..statement };
        let recorded = scene.subscription.record(&statement).await;
        assert_eq!(recorded.news, 1);
        let entries = scene.auditor.entries(all()).await.unwrap();
        let entry = entries.iter().find(|entry| entry.index == recorded.index).unwrap();
        assert_eq!(entry.kind(), EntryKind::Receipt);
        assert_eq!(
            (entry.identity.as_str(), entry.recorded_unix_us),
            (desk.as_str(), recorded.recorded_unix_us)
        );
        assert_eq!(entry.statement, statement::bytes(&statement));
        let row = scene.stages().await.into_iter().find(|row| row.stage == statement.stage).unwrap();
        let expected = StageRow {
            stage: statement.stage,
            receipt_index: recorded.index,
            desk: desk.clone(),
            recorded_unix_us: recorded.recorded_unix_us,
            at_unix_us: statement.at_unix_us,
            action: statement.action,
            reason: statement.reason.clone(),
        };
        assert_eq!(row, expected);
        let listed = scene.auditor.receipts(all()).await.unwrap().pop().unwrap();
        assert_eq!((listed.stage, listed.news), (Some(expected), 1));
        assert_eq!(listed.messages, [bare(&first)]);
    }
    assert_eq!(scene.auditor.entries_of(EntryKind::Receipt).await.len(), 5);
    let history = scene.auditor.describe(&first.message_id, HONDURAS).await.unwrap();
    assert_eq!(history.receipts.len(), 5);
}

#[tokio::test]
async fn received_may_cover_many_messages_in_one_entry() {
    let mut scene = scene(40).await;
    let recorded = scene.subscription.acknowledge(&scene.came).await;
    assert_eq!(recorded.news, 40);
    let receipts = scene.auditor.receipts(all()).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].messages, scene.came.iter().map(|it| bare(&named(it))).collect::<Vec<_>>());
    let rows = scene.auditor.deliveries(all()).await.unwrap();
    for row in rows.iter().filter(|row| row.office == IACHR) {
        assert_eq!(row.stages.len(), 1);
        assert_eq!(row.stages[0].receipt_index, recorded.index);
    }
    assert!(rows.iter().filter(|row| row.office == MEXICO).all(|row| row.stages.is_empty()));
    assert_eq!(scene.stage.desk(IACHR).await.subscribe().await.started.outstanding, 0);
}

#[tokio::test]
async fn as_many_messages_as_a_receipt_may_name_are_taken_at_once() {
    let mut scene = scene(0).await;
    let sender = scene.stage.desk(HONDURAS).await;
    let drafts: Vec<_> = (0..512).map(|_| sender.draft(&[IACHR])).collect();
    sender.send_all(&drafts, 128).await;
    let mut came = Vec::new();
    while came.len() < 512 {
        came.extend(scene.subscription.next(64).await);
        scene.subscription.credit(64).await;
    }
    assert_eq!(scene.subscription.acknowledge(&came).await.news, 512);
}

#[tokio::test]
async fn repeated_receipt_changes_nothing_and_says_so() {
    let mut scene = scene(1).await;
    let (desk, first) = (scene.desk.identity.clone(), named(&scene.came[0]));
    let statements = [
        received(&desk, &scene.came),
        read(&desk, first.clone()),
        acted(&desk, first.clone(), Action::Relocation),
    ];
    for statement in statements {
        let recorded = scene.subscription.record(&statement).await;
        let before = scene.stages().await;
        let mut other_time = statement.clone();
        other_time.at_unix_us += 60_000_000;
        for again in [&statement, &other_time, &statement] {
            let repeated = scene.subscription.record(again).await;
            assert_eq!(repeated.news, 0, "it says that it changed nothing");
            assert_eq!(
                (repeated.index, repeated.recorded_unix_us),
                (recorded.index, recorded.recorded_unix_us)
            );
        }
        assert_eq!(scene.stages().await, before, "the first receipt of a stage counts");
    }
    scene.stage.kill().await;
    scene.stage.start().await;
    let mut subscription = scene.stage.desk(IACHR).await.subscribe().await;
    assert_eq!(subscription.record(&received(&desk, &scene.came)).await.news, 0, "also after a kill");
    let mut second = scene.stage.desk_named(IACHR, "desk-2").await.subscribe().await;
    let by_another = received("urn:resguardo:office:iachr:desk-2", &scene.came);
    assert_eq!(second.record(&by_another).await.news, 0, "stages are an office's");
}

#[tokio::test]
async fn desks_that_acknowledge_at_once_one_counts_and_the_others_are_told_of_it() {
    let scene = scene(20).await;
    let mut open = Vec::new();
    for at in 0..6 {
        let mut subscription = scene.stage.desk_named(IACHR, &format!("desk-{at}")).await.subscribe().await;
        let came = subscription.next(20).await;
        open.push((subscription, came));
    }
    let mut sessions = JoinSet::new();
    for (mut subscription, came) in open {
        sessions.spawn(async move {
            let mut told = Vec::new();
            for delivery in came {
                told.push(subscription.acknowledge(&[delivery]).await);
            }
            told
        });
    }
    let told = sessions.join_all().await;
    for at in 0..20 {
        let news: u32 = told.iter().map(|told| told[at].news).sum();
        assert_eq!(news, 1, "message {at}");
        let first = told[0][at].index;
        assert!(told.iter().all(|them| them[at].index == first), "message {at}");
    }
}

#[tokio::test]
async fn receipt_that_is_partly_news_says_for_how_many() {
    let mut scene = scene(5).await;
    let came = scene.came.clone();
    let first = scene.subscription.acknowledge(&came[1..3]).await;
    let more = scene.subscription.acknowledge(&came).await;
    assert_eq!((first.news, more.news), (2, 3));
    let rows = scene.auditor.deliveries(all()).await.unwrap();
    let by: Vec<_> =
        rows.iter().filter(|row| row.office == IACHR).map(|row| row.stages[0].receipt_index).collect();
    assert_eq!(by, [more.index, first.index, first.index, more.index, more.index]);
}

#[tokio::test]
async fn receipt_for_what_the_office_was_never_owed_is_refused() {
    let mut scene = scene(2).await;
    let desk = scene.desk.identity.clone();
    let colombia = scene.stage.desk(COLOMBIA).await;
    let elsewhere = colombia.draft(&[MEXICO]);
    let index = colombia.send(&elsewhere).await.index;
    let (one, two) = (named(&scene.came[0]), named(&scene.came[1]));
    let strange = [
        covered(index, &elsewhere.envelope_bytes()),
        CoveredMessage { index: one.index, ..two.clone() },
        nobodys(one.index, new_id()),
        nobodys(one.index, one.message_id.clone()),
        CoveredMessage { index: 0, ..one.clone() },
        CoveredMessage { index: u64::MAX, ..one.clone() },
    ];
    for message in strange {
        for stage in [ReceiptStage::Received, ReceiptStage::Read] {
            let statement = receipt(&desk, stage, vec![message.clone()]);
            expect_item(&refused(&scene.subscription.state(&statement).await), "NOT_OWED");
        }
        // One that was never owed spoils the whole statement: nothing of it counts.
        let mut messages = vec![two.clone(), message.clone()];
        messages.sort_by_key(|message| message.index);
        let statement = receipt(&desk, ReceiptStage::Received, messages);
        let refusal = refused(&scene.subscription.state(&statement).await);
        assert!(["NOT_OWED", "FIELD_INVALID"].contains(&refusal.reason.as_str()), "{refusal:?}");
    }
    let notice = Receipt { notices: vec![one.index], ..receipt(&desk, ReceiptStage::Received, vec![]) };
    expect_item(&refused(&scene.subscription.state(&notice).await), "NOT_OWED");
    assert!(scene.auditor.receipts(all()).await.unwrap().is_empty());
    assert_eq!(scene.stage.desk(IACHR).await.subscribe().await.started.outstanding, 2);
    // The sender was not a recipient: it owes no receipt for its own message.
    let mut sender = scene.stage.desk(HONDURAS).await.subscribe().await;
    let own = receipt("urn:resguardo:office:ohchr-honduras:desk-1", ReceiptStage::Received, vec![one]);
    expect_item(&refused(&sender.state(&own).await), "NOT_OWED");
}

#[tokio::test]
async fn acted_closes_and_received_and_read_do_not() {
    let mut scene = scene(1).await;
    let (desk, first) = (scene.desk.identity.clone(), named(&scene.came[0]));
    let open = async |scene: &Scene| {
        let mut stages = Vec::new();
        for stage in [ReceiptStage::Received, ReceiptStage::Read, ReceiptStage::Acted] {
            let rows = scene.auditor.outstanding(all(), stage).await.unwrap();
            stages.push(rows.iter().any(|row| row.office == IACHR));
        }
        stages
    };
    assert_eq!(open(&scene).await, [true, true, true]);
    scene.subscription.acknowledge(&scene.came).await;
    assert_eq!(open(&scene).await, [false, true, true]);
    scene.subscription.record(&read(&desk, first.clone())).await;
    assert_eq!(open(&scene).await, [false, false, true]);
    let declined = turned_down(&desk, ReceiptStage::Declined, first.clone(), "not ours");
    scene.subscription.record(&declined).await;
    assert_eq!(open(&scene).await, [false, false, true], "declined does not close");
    scene.subscription.record(&acted(&desk, first, Action::None)).await;
    assert_eq!(open(&scene).await, [false, false, false]);
    let rows = scene.auditor.outstanding(all(), ReceiptStage::Acted).await.unwrap();
    assert!(rows.iter().all(|row| row.office == MEXICO), "each office's delivery is its own");
}

#[tokio::test]
async fn receipts_of_one_frame_get_their_results_in_order() {
    let mut scene = scene(6).await;
    let desk = scene.desk.identity.clone();
    let mut statements: Vec<_> =
        scene.came.iter().map(|delivery| received(&desk, std::slice::from_ref(delivery))).collect();
    statements.insert(3, receipt(&desk, ReceiptStage::Received, vec![nobodys(1, new_id())]));
    let results = scene.subscription.state_bytes(statements.iter().map(statement::bytes).collect()).await;
    expect_item(&refused(&results[3]), "NOT_OWED");
    let indexes: Vec<_> = results
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 3)
        .map(|(_, it)| statement::recorded(it).index)
        .collect();
    assert!(indexes.windows(2).all(|pair| pair[0] < pair[1]), "{indexes:?}");
    let kept = scene.auditor.entries_of(EntryKind::Receipt).await;
    let first = decoded(&kept[0].statement);
    assert_eq!(first.messages, [named(&scene.came[0])]);
}
