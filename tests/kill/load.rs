//! A hub under load: desks that publish, desks that receive and acknowledge, and the audit between two runs of the hub.
//!
//! Owns all who work, and what they know. What becomes of the hub is each test's.

use std::sync::Arc;

use resguardo::wire::proto::Stage as ReceiptStage;
use tokio::task::JoinSet;

use crate::audit::Picture;
use crate::book::Book;
use crate::gate::Gate;
use crate::publisher::Publisher;
use crate::stage::audit::all;
use crate::stage::chance::Chance;
use crate::stage::wait::{until, within};
use crate::stage::{Setup, Stage};
use crate::subscriber::Subscriber;
use crate::{PUBLISHERS, SUBSCRIBERS};

/// A hub, and all who work with it.
pub(crate) struct Load {
    pub(crate) stage: Stage,
    pub(crate) book: Arc<Book>,
    pub(crate) chance: Chance,
    seed: u64,
    gate: Arc<Gate>,
    publishers: JoinSet<()>,
    subscribers: JoinSet<()>,
    picture: Picture,
}

impl Load {
    /// Everybody is there and waits, with a hub that runs.
    pub(crate) async fn begin(seed: u64, setup: Setup) -> Self {
        let mut chance = Chance::seeded(seed);
        let stage = Stage::open_with(setup).await;
        let (book, gate) = (Arc::new(Book::default()), Arc::new(Gate::default()));
        let mut publishers = JoinSet::new();
        for (at, office) in PUBLISHERS.into_iter().enumerate() {
            let mut worker = Publisher::new(&stage, office, chance.bits(), &book, &gate);
            if at < 2 {
                publishers.spawn(async move { worker.by_single_calls().await });
            } else {
                publishers.spawn(async move { worker.by_stream().await });
            }
        }
        let mut subscribers = JoinSet::new();
        for office in SUBSCRIBERS {
            let mut worker = Subscriber::new(&stage, office, chance.bits(), &book, &gate);
            subscribers.spawn(async move { worker.run().await });
        }
        let picture = Picture::take(&stage).await;
        Self { stage, book, chance, seed, gate, publishers, subscribers, picture }
    }

    /// Waits until everybody has lost the hub.
    pub(crate) async fn all_wait(&self) {
        self.gate.all_wait(PUBLISHERS.len() + SUBSCRIBERS.len()).await;
    }

    /// Lets everybody work with the hub that runs now.
    pub(crate) async fn begin_run(&self) {
        self.all_wait().await;
        self.gate.open();
    }

    /// Waits until so many more messages are confirmed.
    pub(crate) async fn confirm(&mut self, more: u64) {
        let enough = self.book.confirmations() + more;
        let confirmed = within("enough is confirmed", self.book.confirmed(enough));
        tokio::select! {
            () = confirmed => {}
            end = self.publishers.join_next() => panic!("seed {}: a publisher ended: {end:?}", self.seed),
            end = self.subscribers.join_next() => panic!("seed {}: a subscriber ended: {end:?}", self.seed),
        }
    }

    /// Holds the audit to all that was seen and confirmed.
    pub(crate) async fn look(&mut self, when: &str) {
        self.picture.next(&self.stage, &self.book, &format!("seed {}, {when}", self.seed)).await;
    }

    /// Has everything come to its end with the hub that runs now, looks at it once more, and tells how much it was.
    pub(crate) async fn end(mut self) -> String {
        let seed = self.seed;
        self.begin_run().await;
        self.book.stop_publishing();
        within("publishers end", self.publishers.join_all()).await;
        let auditor = self.stage.auditor("iachr").await;
        until("every subscriber has acknowledged everything", async || {
            assert!(self.subscribers.try_join_next().is_none(), "seed {seed}: a subscriber ended");
            let owed = auditor.outstanding(all(), ReceiptStage::Received).await.expect("a listing");
            owed.is_empty().then_some(())
        })
        .await;
        for office in SUBSCRIBERS {
            assert_eq!(self.book.lacks(office), 0, "seed {seed}: confirmed messages never reached {office}");
        }
        self.subscribers.shutdown().await;
        assert_eq!(self.stage.stop().await.code(), Some(0));
        let verified = self.stage.program(&["hub", "verify"]).await;
        assert!(verified.status.success(), "seed {seed}: {verified:?}");
        self.stage.start().await;
        self.picture.next(&self.stage, &self.book, &format!("seed {seed}, at the end")).await;
        format!(
            "{} confirmed messages, {} confirmed receipts, {} entries",
            self.book.confirmations(),
            self.book.receipts(),
            self.picture.len()
        )
    }
}
