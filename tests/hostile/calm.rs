//! Two offices that go about their work: an urgent alert every 20 ms, received and acknowledged, whatever others do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::wire::proto::Start;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::client::Desk;
use crate::stage::subscription::id;
use crate::stage::wait::until;
use crate::{HONDURAS, IACHR};

/// Between two alerts.
const EVERY: Duration = Duration::from_millis(20);

/// What both offices know.
#[derive(Default)]
struct Known {
    /// When each was to be handed in; it has not come yet.
    due: HashMap<Bytes, u64>,
    confirmed: Vec<Bytes>,
    came: Vec<Bytes>,
    acknowledged: u64,
    took: Vec<u64>,
}

/// The pair.
pub(crate) struct Pair {
    known: Arc<Mutex<Known>>,
    sending: JoinHandle<()>,
    receiving: JoinHandle<()>,
}

/// What a phase came to, in microseconds from when an alert was due to its arrival.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// How many.
    pub(crate) count: u64,
    /// Half of them took no longer.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
}

impl Pair {
    /// Begins.
    #[expect(
        clippy::disallowed_methods,
        reason = "the offices are beside the test, as another process would be"
    )]
    pub(crate) async fn begin(stage: &Stage) -> Self {
        let clock = Arc::new(SystemClock::new());
        let known: Arc<Mutex<Known>> = Arc::default();
        let (sender, receiver) = (stage.desk(HONDURAS).await, stage.desk(IACHR).await);
        let receiving = tokio::spawn(receive(receiver, Arc::clone(&known), Arc::clone(&clock)));
        let sending = tokio::spawn(send(sender, Arc::clone(&known), clock));
        Self { known, sending, receiving }
    }

    /// Looks on for some time.
    pub(crate) async fn phase(&self, time: Duration) -> Took {
        self.known.lock().unwrap().took.clear();
        tokio::time::sleep(time).await;
        assert!(!self.sending.is_finished() && !self.receiving.is_finished(), "the pair goes on");
        let known = self.known.lock().unwrap();
        let mut histogram: Histogram<u64> = Histogram::new(3).unwrap();
        for took in &known.took {
            histogram.record(*took).unwrap();
        }
        Took {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
        }
    }

    /// Ends, and holds what came to what was confirmed.
    pub(crate) async fn end(self, stage: &Stage) {
        self.sending.abort();
        until("all that was confirmed has come and is acknowledged", async || {
            let known = self.known.lock().unwrap();
            let all = known.confirmed.iter().all(|id| known.came.contains(id));
            (all && known.acknowledged >= known.came.len() as u64).then_some(())
        })
        .await;
        self.receiving.abort();
        let known = std::mem::take(&mut *self.known.lock().unwrap());
        let mut came = known.came.clone();
        came.sort_unstable();
        came.dedup();
        assert_eq!(came.len(), known.came.len(), "none comes twice");
        let deliveries = stage.auditor("iachr").await.deliveries(all()).await.expect("they are listed");
        let mut listed: HashMap<Bytes, u64> = HashMap::new();
        for delivery in deliveries.iter().filter(|it| it.office == IACHR) {
            *listed.entry(delivery.message.as_ref().unwrap().message_id.clone()).or_default() += 1;
        }
        for id in &known.confirmed {
            assert_eq!(listed.get(id), Some(&1), "what was confirmed is in the audit, once");
        }
    }
}

async fn send(desk: Desk, known: Arc<Mutex<Known>>, clock: Arc<SystemClock>) {
    let mut turns = interval(EVERY);
    // Late ones are made up for: what waits behind a slow answer is late, too.
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = clock.monotonic_us();
    let mut calls = JoinSet::new();
    for turn in 0_u64.. {
        let draft = desk.draft(&[IACHR]).urgent();
        let (request, id) = (draft.request(), draft.id());
        turns.tick().await;
        let due = began + turn * u64::try_from(EVERY.as_micros()).expect("short");
        known.lock().unwrap().due.insert(id.clone(), due);
        let (desk, known) = (desk.clone(), Arc::clone(&known));
        calls.spawn(async move {
            desk.publish_request(request).await.expect("an alert is confirmed at once");
            known.lock().unwrap().confirmed.push(id);
        });
        while let Some(ended) = calls.try_join_next() {
            ended.expect("an alert is confirmed");
        }
    }
}

async fn receive(desk: Desk, known: Arc<Mutex<Known>>, clock: Arc<SystemClock>) {
    // Few on the way: what is urgent then waits behind few.
    let mut subscription = desk.subscribe_with(Start { credit: 64, ..Start::default() }).await;
    loop {
        let first = subscription.delivery().await;
        let now = clock.monotonic_us();
        let came: Vec<_> = std::iter::once(first).chain(subscription.came()).collect();
        {
            let mut known = known.lock().unwrap();
            for id in came.iter().map(id) {
                if let Some(due) = known.due.remove(&id) {
                    known.took.push(now.saturating_sub(due));
                }
                known.came.push(id);
            }
        }
        // All at once, as an office's program does: others' messages come between.
        subscription.acknowledge(&came).await;
        let count = u32::try_from(came.len()).expect("as many as its credit");
        subscription.credit(count).await;
        known.lock().unwrap().acknowledged += u64::from(count);
    }
}
