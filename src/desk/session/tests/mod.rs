//! What a subscription promises, against a hub that says what the test tells it to.

mod cut;
mod hub;
mod stale;
mod waiting;
mod word;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::hub::{FakeHub, Way};
use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::inbox::Inbox;
use crate::desk::members::tests::keep_copy;
use crate::desk::outbox::Outgoing;
use crate::desk::sample::{NOW, delivery, delivery_of, envelope, id, keys, notice, policy, signed};
use crate::desk::signer::Signer;
use crate::host::clock::ManualClock;
use crate::host::disk::{CrashStyle, Disk as _, MemoryDisk};
use crate::host::random::SeededRandom;
use crate::host::tasks::TokioTasks;
use crate::model::envelope::Envelope;
use crate::model::epoch::EpochId;
use crate::model::receipt::{Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::signed::SignedReceipt;
use crate::wire::{proto, status};

/// Remembers what was told, as words.
#[derive(Default)]
struct Told {
    words: Mutex<Vec<String>>,
    news: Notify,
}

impl Observer for Told {
    fn tell(&self, event: Event<'_>) -> io::Result<()> {
        let words = match event {
            Event::Message(kept, _) => format!("message {}", kept.entry.index),
            Event::Notice(notice) => format!("notice {}", notice.index),
            Event::Lost { .. } => "lost".into(),
            Event::Started { .. } => "started".into(),
            Event::Acknowledged { count } => format!("acknowledged {count}"),
            Event::MessageHandedIn { outcome, .. } => {
                format!("message handed in: {}", outcome.stand().name())
            }
            Event::StatementHandedIn { outcome, .. } => {
                format!("receipt handed in: {}", outcome.stand().name())
            }
            Event::CommandEnded { entry, ran } => format!("command {}: {}", entry.index, ran_words(ran)),
            other => format!("{other:?}"),
        };
        self.words.lock().unwrap().push(words);
        self.news.notify_one();
        Ok(())
    }
}

fn ran_words(ran: &Ran) -> String {
    match ran {
        Ran::Well => "well".into(),
        other => format!("{other:?}"),
    }
}

impl Told {
    fn count(&self, words: &str) -> usize {
        self.words.lock().unwrap().iter().filter(|told| told.starts_with(words)).count()
    }

    /// Waits until something was told so many times.
    async fn wait_for(&self, words: &str, count: usize) {
        while self.count(words) < count {
            self.news.notified().await;
        }
    }
}

/// A desk with its disk, and the way to stop it.
struct Desk {
    disk: MemoryDisk,
    home: Home,
    told: Told,
    stop: CancellationToken,
}

impl Desk {
    fn new() -> Self {
        let disk = MemoryDisk::new();
        let home = home_on(&disk);
        keep_copy(&home, &policy());
        Self { disk, home, told: Told::default(), stop: CancellationToken::new() }
    }

    /// Runs a subscription and a script beside it, to the end of both.
    async fn run<T>(
        &self,
        way: Way,
        plan: Plan,
        script: impl Future<Output = T>,
    ) -> (Result<End, SessionError>, T) {
        let host = Host {
            clock: Arc::new(ManualClock::at(NOW)),
            random: Arc::new(SeededRandom::new(3)),
            tasks: Arc::new(TokioTasks::on(Handle::current())),
            files: None,
            signer: Signer::new(
                self.home.desk().unwrap().clone(),
                keys("ohchr-honduras").into_iter().nth(1).unwrap(),
                Arc::new(SeededRandom::new(4)),
            ),
            unlocked: None,
        };
        let subscription =
            Subscription::open(&self.home, &way, host, plan, &self.told, self.stop.clone()).unwrap();
        // A test that hangs has failed.
        let both = async { tokio::join!(subscription.run(), script) };
        tokio::time::timeout(Duration::from_mins(1), both).await.expect("desk and script come to their ends")
    }

    /// What a power cut at this moment would leave in the inbox.
    fn after_power_cut(&self) -> Inbox {
        let disk = self.disk.crash(CrashStyle::DropUnsynced);
        Inbox::open(&Home::open(Arc::new(disk), Path::new("/home")).unwrap()).unwrap()
    }
}

fn read(receipts: &[bytes::Bytes]) -> Vec<Receipt> {
    receipts.iter().map(|bytes| SignedReceipt::read(bytes).unwrap().receipt).collect()
}

fn indexes(receipt: &Receipt) -> Vec<u64> {
    receipt.messages.iter().map(|message| message.index.0).collect()
}

#[tokio::test]
async fn a_message_is_on_the_disk_before_its_receipt_is_handed_up() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let streams = vec!["studies".parse().unwrap()];
    let plan = Plan { streams, replay_from: Some(ReplayFrom::Index(Index(4))), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (mut call, start) = hub.subscribed().await;
            assert_eq!((start.streams, start.replay_from_index), (vec!["studies".to_owned()], Some(4)));
            call.deliver(vec![delivery(9), notice(7), delivery(5)]).await;
            let receipts = read(&call.receipts().await);
            let inbox = desk.after_power_cut();
            assert_eq!(inbox.entries().unwrap().len(), 2);
            assert_eq!(inbox.notices().unwrap(), [(Index(7), EpochId(0))]);
            assert_eq!(receipts.len(), 1);
            assert_eq!((receipts[0].stage, receipts[0].at), (Stage::Received, NOW));
            assert_eq!((indexes(&receipts[0]), &receipts[0].notices), (vec![5, 9], &vec![Index(7)]));
            call.record([20]).await;
            desk.told.wait_for("acknowledged 3", 1).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
}

#[tokio::test]
async fn after_a_cut_a_duplicate_is_acknowledged_again_and_shown_once() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            call.receipts().await;
            // The receipt was on its way, and the hub never answered it.
            drop(call);
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            assert_eq!(indexes(&read(&call.receipts().await)[0]), [5]);
            desk.stop.cancel();
            call.record([20]).await;
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!((desk.told.count("message 5"), desk.told.count("lost")), (1, 1));
}

#[tokio::test]
async fn what_is_kept_is_acknowledged_before_a_stop() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, receipts) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            desk.told.wait_for("message 5", 1).await;
            desk.stop.cancel();
            let receipts = read(&call.receipts().await);
            call.record([20]).await;
            call.ended().await;
            receipts
        })
        .await;
    assert_eq!((end.unwrap(), indexes(&receipts[0])), (End::Stopped, vec![5]));
    assert_eq!(desk.told.count("acknowledged 1"), 1);
}

#[tokio::test]
async fn with_a_count_no_more_is_asked_for_and_the_last_receipt_is_waited_for() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let plan = Plan { count: Some(3), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (mut call, start) = hub.subscribed().await;
            assert_eq!(start.credit, 3);
            call.deliver(vec![delivery(5), notice(6)]).await;
            // One message and one notice came: two messages are still wanted, for one of which there is credit.
            let mut credit = 0;
            for _ in 0..2 {
                match call.next().await {
                    proto::subscribe_request::Frame::Credit(more) => credit += more.deliveries,
                    proto::subscribe_request::Frame::Receipts(_) => call.record([20]).await,
                    proto::subscribe_request::Frame::Start(_) => panic!("a second start"),
                }
            }
            assert_eq!(credit, 1);
            call.deliver(vec![delivery(8), delivery(9)]).await;
            assert_eq!(indexes(&read(&call.receipts().await)[0]), [8, 9]);
            call.record([21]).await;
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Counted);
    assert_eq!((desk.told.count("message"), desk.told.count("acknowledged")), (3, 2));
}

#[tokio::test]
async fn credit_is_given_back_within_what_the_hub_grants() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed_with(4).await;
            let mut left: u32 = 4;
            for index in 1..=20 {
                while left == 0 {
                    match call.next().await {
                        // A hub drops what is above its bound.
                        proto::subscribe_request::Frame::Credit(more) => {
                            left = (left + more.deliveries).min(4);
                        }
                        proto::subscribe_request::Frame::Receipts(frame) => {
                            call.record(frame.receipts.iter().map(|_| 50)).await;
                        }
                        proto::subscribe_request::Frame::Start(_) => panic!("a second start"),
                    }
                }
                call.deliver(vec![delivery(index)]).await;
                left -= 1;
            }
            desk.told.wait_for("message", 20).await;
            desk.stop.cancel();
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
}

#[tokio::test]
async fn a_broken_payload_is_stated_unreadable_and_kept_aside() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            let envelope = envelope(5, "iachr", "ohchr-honduras", b"what was sent");
            let broken = delivery_of(5, signed(&envelope), b"what came in");
            call.deliver(vec![broken, delivery(6)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts[0].stage, indexes(&receipts[0])), (Stage::Received, vec![6]));
            assert_eq!((receipts[1].stage, indexes(&receipts[1])), (Stage::Unreadable, vec![5]));
            assert!(receipts[1].reason.contains("payload"), "{}", receipts[1].reason);
            assert_eq!(desk.after_power_cut().asides().unwrap(), [Index(5)]);
            call.record([20, 21]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!((end.unwrap(), desk.told.count("Unreadable")), (End::Stopped, 1));
}

#[tokio::test]
async fn one_message_that_the_hub_refuses_leaves_the_others_acknowledged() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5), delivery(6), delivery(7)]).await;
            let mut open = read(&call.receipts().await);
            let mut recorded = Vec::new();
            while !open.is_empty() {
                let receipt = open.remove(0);
                if receipt.messages.iter().any(|message| message.index == Index(6)) {
                    call.refuse("NOT_OWED", 0).await;
                    if receipt.messages.len() > 1 {
                        open.extend(read(&call.receipts().await));
                    }
                } else {
                    recorded.extend(indexes(&receipt));
                    call.record([20]).await;
                }
            }
            recorded.sort_unstable();
            assert_eq!(recorded, [5, 7]);
            desk.told.wait_for("ReceiptRefused", 1).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
}

#[tokio::test]
async fn a_receipt_refused_for_now_is_handed_up_again() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            call.receipts().await;
            call.refuse("BUSY", 10).await;
            assert_eq!(indexes(&read(&call.receipts().await)[0]), [5]);
            call.record([20]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!((end.unwrap(), desk.told.count("acknowledged 1")), (End::Stopped, 1));
}

#[tokio::test]
async fn a_refusal_ends_the_subscription_and_one_that_passes_does_not() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    hub.refuse_subscribe(status::refused(&Refusal::new(Reason::Stopping, "stopping").retry_after_ms(1)));
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (call, _) = hub.subscribed().await;
            hub.refuse_subscribe(status::refused(&Refusal::new(Reason::NotEnrolled, "who?")));
            drop(call);
        })
        .await;
    let error = end.unwrap_err();
    assert!(
        matches!(&error, SessionError::Refused(refused) if refused.reason == "NOT_ENROLLED"),
        "{error:?}"
    );
    assert_eq!(desk.told.count("lost"), 2);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_tried_again_until_a_stop() {
    let (desk, hub) = (Desk::new(), FakeHub::start().await);
    let nowhere = hub.nowhere().await;
    let (end, ()) = desk
        .run(nowhere, Plan::default(), async {
            desk.told.wait_for("lost", 3).await;
            desk.stop.cancel();
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
}

/// A signed message that waits to be handed in.
fn waits(envelope: Envelope, payload: Bytes) -> Outgoing {
    Outgoing {
        envelope_bytes: signed(&envelope),
        envelope,
        payload,
        to_members: false,
        name: None,
        sources: Vec::new(),
        seen: None,
        erased: false,
        outcome: None,
        promise: None,
    }
}
