//! Several subscribers at once, as the offices of an exchange.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::common::hub::{DevSet, Hub};
use crate::common::latency::Latency;
use crate::common::messages::Flights;
use crate::common::subscriber::{Receipts, Subscriber};

/// Some subscribers.
pub(crate) struct Subscribers {
    tasks: JoinSet<Result<Latency>>,
    recorded: Vec<watch::Receiver<u64>>,
    stop: CancellationToken,
}

impl Subscribers {
    /// Begins a subscription of each office, which signs its receipts.
    pub(crate) async fn open(
        dev: &DevSet,
        hub: &Hub,
        offices: &[String],
        flights: &Arc<Flights>,
    ) -> Result<Self> {
        Self::open_with(dev, hub, offices, flights, |office| Ok(Receipts::Signed(dev.unattended(office)?)))
            .await
    }

    /// Begins a subscription of each office, which signs nothing.
    pub(crate) async fn open_unsigned(
        dev: &DevSet,
        hub: &Hub,
        offices: &[String],
        flights: &Arc<Flights>,
    ) -> Result<Self> {
        Self::open_with(dev, hub, offices, flights, |_| Ok(Receipts::Unsigned)).await
    }

    async fn open_with(
        dev: &DevSet,
        hub: &Hub,
        offices: &[String],
        flights: &Arc<Flights>,
        receipts: impl Fn(&str) -> Result<Receipts>,
    ) -> Result<Self> {
        let stop = CancellationToken::new();
        let (mut tasks, mut recorded) = (JoinSet::new(), Vec::new());
        for office in offices {
            let channel = hub.connect(&dev.office_home(office)).await?;
            let subscriber =
                Subscriber::open(channel, office, Arc::clone(flights), receipts(office)?).await?;
            recorded.push(subscriber.recorded());
            tasks.spawn(subscriber.run(stop.clone()));
        }
        Ok(Self { tasks, recorded, stop })
    }

    /// Waits until all receipts of this many messages are recorded.
    pub(crate) async fn drain(&mut self, count: u64) -> Result<()> {
        for recorded in &mut self.recorded {
            if recorded.wait_for(|recorded| *recorded >= count).await.is_err() {
                let failed = self.tasks.join_next().await.context("a subscriber ended")?;
                failed?.context("a subscriber failed")?;
            }
        }
        Ok(())
    }

    /// Ends them; gives the times from handing in to having, of all together.
    pub(crate) async fn end(mut self) -> Result<Latency> {
        self.stop.cancel();
        let mut all = Latency::new();
        while let Some(ended) = self.tasks.join_next().await {
            all.add(&ended??)?;
        }
        Ok(all)
    }
}
