//! What was handed up and never published goes a day later by the hub's own clock, and nothing else does.
//!
//! The hub runs in this process, on a clock that the test moves.

use std::sync::Arc;

use resguardo::host::clock::ManualClock;
use resguardo::host::disk::OsDisk;
use resguardo::host::random::OsRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::hub::run::{Host, RunError, run};
use resguardo::ledger::store::memory::MemoryStores;
use resguardo::model::id::UnixMicros;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use crate::stage::authority::now_us;
use crate::stage::transfer::file_of;
use crate::stage::wait::{until, within};
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, IACHR};

/// Microseconds in a minute.
const MINUTE_US: u64 = 60_000_000;

struct Running {
    stop: CancellationToken,
    hub: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start(stage: &Stage, host: &Host) -> Self {
        let host = Host { stop: CancellationToken::new(), ..host.clone() };
        let (stop, home, (ready, listens)) = (host.stop.clone(), stage.home(), oneshot::channel());
        let hub = spawn_local(async move {
            run(&host, &home, &mut |_| {}, |_| ready.send(()).expect("the test waits")).await
        });
        let heard = within("the hub listens", listens).await;
        assert!(heard.is_ok(), "the hub did not start: {:?}", hub.await);
        Self { stop, hub }
    }

    async fn stop(self) {
        self.stop.cancel();
        within("the hub stops", self.hub).await.expect("it does not panic").expect("it stops in order");
    }
}

#[tokio::test]
async fn orphan_goes_a_day_later_by_the_hubs_clock_and_a_packets_file_stays() {
    // A hub does not leave the thread that runs it.
    LocalSet::new().run_until(Box::pin(a_day_passes())).await;
}

async fn a_day_passes() {
    let stage = Stage::prepare(Setup::default()).await;
    // The certificates are of yesterday, today and tomorrow.
    let clock = Arc::new(ManualClock::at(UnixMicros(now_us() - 12 * 60 * MINUTE_US)));
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: Arc::clone(&clock) as _,
        random: Arc::new(OsRandom),
        tasks: Arc::new(TokioTasks::on(Handle::current())),
        stores: Arc::new(MemoryStores::default()),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    };
    let names = || {
        let names = std::fs::read_dir(stage.home().join("files").join(GUATEMALA)).expect("it is there");
        let mut names: Vec<_> =
            names.map(|name| name.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    };
    let name_of = |content: &[u8]| resguardo::wire::convert::file_ref("file", &file_of(content));
    let name_of = |content: &[u8]| name_of(content).expect("a file's name").digest.to_string();
    let hub = Running::start(&stage, &host).await;
    let desk = stage.desk(GUATEMALA).await;
    desk.hand_up(b"handed up first").await.expect("it is taken");
    clock.advance_us(2 * MINUTE_US);
    desk.hand_up(b"handed up later").await.expect("it is taken");
    let kept = desk.hand_up(b"published").await.expect("it is taken");
    let packet = desk.packet(&[IACHR], vec![kept.clone()]);
    let accepted = desk.send(&packet).await;
    drop(desk);
    hub.stop().await;
    // A day after the first and not yet after the others: that the first has gone shows that it was looked.
    clock.advance_us(24 * 60 * MINUTE_US - MINUTE_US);
    let hub = Running::start(&stage, &host).await;
    until("the first has gone", async || (names().len() == 4).then_some(())).await;
    let (later, published) = (name_of(b"handed up later"), name_of(b"published"));
    let mut all = [later.clone(), format!("{later}.since"), published.clone(), format!("{published}.since")];
    all.sort();
    assert_eq!(names(), all);
    hub.stop().await;
    clock.advance_us(MINUTE_US);
    let hub = Running::start(&stage, &host).await;
    until("the other has gone, and the mark of what was published", async || {
        (names() == [published.clone()]).then_some(())
    })
    .await;
    let reader = stage.desk(IACHR).await;
    assert_eq!(reader.download(&packet, &accepted, &kept, 0).await.expect("it comes"), b"published");
    drop(reader);
    hub.stop().await;
}
