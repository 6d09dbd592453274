//! A hub in this process, on a clock that the test moves.

use std::sync::Arc;

use resguardo::host::clock::ManualClock;
use resguardo::host::disk::OsDisk;
use resguardo::host::network::TcpNetwork;
use resguardo::host::random::OsRandom;
use resguardo::host::tasks::{Tasks, TokioTasks};
use resguardo::hub::run::{Host, RunError, run};
use resguardo::ledger::store::memory::MemoryStores;
use resguardo::model::id::UnixMicros;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use super::Stage;
use super::authority::now_us;
use super::wait::within;

/// Microseconds in a minute.
pub(crate) const MINUTE_US: u64 = 60_000_000;

/// What a hub in this process is given.
pub(crate) struct InProcess {
    /// Its clock, half a day behind at the beginning: the certificates are of yesterday, today and tomorrow.
    pub(crate) clock: Arc<ManualClock>,
    host: Host,
}

/// A hub that runs.
pub(crate) struct Running {
    stop: CancellationToken,
    hub: JoinHandle<Result<(), RunError>>,
}

impl InProcess {
    /// Runs a test on one thread: a hub does not leave the one that runs it.
    pub(crate) async fn run(test: impl AsyncFnOnce(Self)) {
        let clock = Arc::new(ManualClock::at(UnixMicros(now_us() - 12 * 60 * MINUTE_US)));
        let host = Host {
            disk: Arc::new(OsDisk),
            clock: Arc::clone(&clock) as _,
            random: Arc::new(OsRandom),
            network: Arc::new(TcpNetwork),
            tasks: Arc::new(TokioTasks::on(Handle::current())),
            stores: Arc::new(MemoryStores::default()),
            reload: Arc::default(),
            stop: CancellationToken::new(),
        };
        LocalSet::new().run_until(Box::pin(test(Self { clock, host }))).await;
    }

    /// With other tasks.
    pub(crate) fn with_tasks(mut self, tasks: impl FnOnce(TokioTasks) -> Arc<dyn Tasks>) -> Self {
        self.host.tasks = tasks(TokioTasks::on(Handle::current()));
        self
    }

    /// Starts a hub on a stage's home.
    pub(crate) async fn start(&self, stage: &Stage) -> Running {
        let host = Host { stop: CancellationToken::new(), ..self.host.clone() };
        let (stop, home, (ready, listens)) = (host.stop.clone(), stage.home(), oneshot::channel());
        let hub = spawn_local(async move {
            run(&host, &home, &mut |_| {}, |_| ready.send(()).expect("the test waits")).await
        });
        let heard = within("the hub listens", listens).await;
        assert!(heard.is_ok(), "the hub did not start: {:?}", hub.await);
        Running { stop, hub }
    }
}

impl Running {
    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        within("the hub stops", self.hub).await.expect("it does not panic").expect("it stops in order");
    }
}
