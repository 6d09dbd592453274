//! A running hub, from its home to its orderly stop.
//!
//! Start: lock → configuration → TLS → journal and ledger → sequence → services → listen.
//! Stop: refuse new publishes → end streams → drain what had come in → sync and mark the journal closed → close the ledger.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::alarms::Alarms;
use super::config::Config;
use super::connections::Connections;
use super::deadlines;
use super::door::{Door, Signatures};
use super::eraser;
use super::files::Transfers;
use super::home::{Home, HomeError};
use super::lane::Lane;
use super::live::Live;
use super::logs::{self, Logs};
use super::lookout;
use super::metrics::{self, Meters};
use super::open::{self, News, OpenError, Opened, Took};
use super::papers::{Papers, PapersError};
use super::promises::Promiser;
use super::refusals::Refusals;
use super::sequence::{BATCH_BYTES_MAX, RECEIPTS_WAIT, Sequence, SequenceError};
use super::serve;
use super::shares::Shares;
use super::submit::Submitter;
use super::{Hub, Run};
use crate::files::DiskError;
use crate::files::store::Store;
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::host::network::Network;
use crate::host::random::Random;
use crate::host::tasks::{Task, TaskError, Tasks};
use crate::journal::Space;
use crate::ledger::store::Stores;
use crate::ledger::{self, LedgerError, Staged};
use crate::model::id::{Index, Position};
use crate::model::identity::Identity;
use crate::order::Order;
use crate::order::local::{Bounds, Local};
use crate::wire::open_key::OpenKey;

/// Batches of rows that wait for the ledger's store; the sequence waits when it is that far behind. More than any disk
/// syncs while they are gathered.
const ROWS_WAITING_MAX: usize = 256;
/// How long rows are gathered: each batch that the store is given wakes all its threads, whatever is in it, and nobody but
/// a listing waits for it.
const ROWS_GATHER: Duration = Duration::from_millis(10);
/// Bytes of one submission: below what the journal takes in one batch.
const SUBMISSION_BYTES_MAX: usize = 7 * 1024 * 1024;

/// What the machine gives.
#[derive(Clone)]
pub struct Host {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Sockets.
    pub network: Arc<dyn Network>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// Stores for the ledger's rows.
    pub stores: Arc<dyn Stores>,
    /// Told: look now whether configuration or certificates have changed.
    pub reload: Arc<Notify>,
    /// Cancelled: whatever is under way ends in order.
    pub stop: CancellationToken,
}

/// Why a hub ended, other than by an orderly stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its TLS files cannot be used.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// It cannot listen.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system gives no further thread.
    #[error("no thread for {name}: {error}")]
    Thread {
        /// For what.
        name: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The journal or the ledger failed while it ran.
    #[error("{0}; nothing was acknowledged that is not in the journal: mend the cause and start again")]
    Sequence(#[from] SequenceError),
    /// The folder of packets' files cannot be used.
    #[error("packets' files: {0}")]
    Files(DiskError),
    /// A part of it ended that goes on as long as the hub.
    #[error("the hub's {0} ended: nothing more is acknowledged; start again to go on")]
    Part(&'static str),
    /// A part of it panicked.
    #[error("{0}: nothing more is acknowledged; start again to go on")]
    Task(#[from] TaskError),
}

/// Runs a hub until the host's stop comes or something fails. `news` hears of the opening, `ready` where it listens.
///
/// # Errors
/// [`RunError`]. Nothing that was answered is lost by any of them.
pub async fn run(
    host: &Host,
    dir: &Path,
    news: &mut dyn FnMut(&News),
    ready: impl FnOnce(SocketAddr),
) -> Result<(), RunError> {
    run_with(host, dir, news, ready, (Signatures::Checked, local)).await
}

/// The same with another order than this hub's own, which is asked for one that begins at a position.
///
/// # Errors
/// As [`run`].
pub async fn run_in_order<O: Order + 'static>(
    host: &Host,
    dir: &Path,
    news: &mut dyn FnMut(&News),
    ready: impl FnOnce(SocketAddr),
    order: impl FnOnce(Position) -> O,
) -> Result<(), RunError>
where
    O::Tail: 'static,
{
    run_with(host, dir, news, ready, (Signatures::Checked, order)).await
}

fn local(next: Position) -> Local {
    Local::starting_at(next, Bounds::default())
}

/// Runs a hub that LOOKS AT NO SIGNATURE of envelope or receipt and takes in also what nobody has signed, else as [`run`]: for a
/// benchmark, which learns so what the exchange costs without them. Such a hub proves nothing, and no desk keeps what it
/// delivers unsigned.
///
/// A function rather than a setting, so that no argument, variable or file leads to it: the program does not name it, which a
/// test holds it to. It says in its log, as an error, what it is.
///
/// # Errors
/// As [`run`].
pub async fn run_without_checking_signatures(
    host: &Host,
    dir: &Path,
    news: &mut dyn FnMut(&News),
    ready: impl FnOnce(SocketAddr),
) -> Result<(), RunError> {
    tracing::error!(
        "SIGNATURES ARE NOT CHECKED: this is a benchmark, and what this hub takes in proves nothing"
    );
    run_with(host, dir, news, ready, (Signatures::NotLookedAt, local)).await
}

async fn run_with<O: Order + 'static>(
    host: &Host,
    dir: &Path,
    news: &mut dyn FnMut(&News),
    ready: impl FnOnce(SocketAddr),
    (signatures, order): (Signatures, impl FnOnce(Position) -> O),
) -> Result<(), RunError>
where
    O::Tail: 'static,
{
    let home = Home::at(dir);
    let lock = home.lock(host.disk.as_ref())?;
    let config = home.config(host.disk.as_ref())?;
    let papers = Papers::read(&home, Arc::clone(&host.clock))?;
    let opened = open::open(host, &home, &config, news)?;
    let Took { store_us, journal_us, ledger_us } = opened.took;
    let entries = opened.reader.mark().next_index.0;
    tracing::info!(entries, store_us, journal_us, ledger_us, "open: journal and ledger are at one");
    let cannot = |address| move |error| RunError::Listen { address, error };
    let bound = host.network.bind(config.listen).await;
    let (listener, address) = bound.map_err(cannot(config.listen))?;
    let page = match config.metrics {
        Some(address) => Some(host.network.bind(address).await.map_err(cannot(address))?),
        None => None,
    };
    let store = Store::open(Arc::clone(&host.disk), home.files(), config.files.room(), host.clock.now());
    let store = store.map_err(RunError::Files)?;
    let key = OpenKey::Hub.read(host.disk.as_ref(), home.dir()).map(|key| key.map(Arc::new));
    let promiser = key.as_ref().ok().and_then(Option::as_ref);
    let promiser = promiser.map(|key| Arc::new(Promiser::new(Arc::clone(key), opened.view.clone())));
    let order = order(opened.journal.mark().position);
    let Parts { hub, sequence, rows, lanes, mut faults, drain, space } =
        start((host, &home, &config), opened, order, papers, (store, signatures, promiser))?;
    let limits = config.limits.clone();
    lookout::begin(&hub, &home, config, space, Arc::clone(&host.reload));
    deadlines::begin(&hub);
    eraser::begin(&hub);
    let logs = logs::begin(&hub, home.logs(), key);
    let logs = logs.map_err(|error| RunError::Thread { name: "logs", error })?;
    let end = CancellationToken::new();
    let server = serve::serve(&hub, listener, &limits, end.clone());
    if let Some((listener, address)) = page {
        tracing::info!(%address, "metrics are answered at /metrics");
        host.tasks.spawn("metrics", Box::pin(metrics::serve(Arc::clone(&hub), listener)));
    }
    ready(address);
    let (mut sequence, mut rows) = (pin!(sequence.ended()), pin!(rows.ended()));
    let (mut server, mut ended) = (pin!(server), Ended::default());
    tokio::select! {
        () = host.stop.cancelled() => {}
        sequence = &mut sequence => ended.sequence = Some(sequence),
        rows = &mut rows => ended.rows = Some(rows),
        server = &mut server => ended.part = Some(server.map_err(RunError::from).and(Err(RunError::Part("server")))),
        lane = lanes => ended.part = Some(lane),
        Some(fault) = faults.recv() => ended.part = Some(Err(SequenceError::Ledger(fault).into())),
    }
    ended.tell();
    hub.door.stopping.store(true, Ordering::Release);
    hub.stop.cancel();
    let grace_ms = hub.door.limits().grace_ms;
    let grace = Duration::from_millis(grace_ms);
    if ended.part.is_none() && tokio::time::timeout(grace, server).await.is_err() {
        tracing::warn!(grace_ms, "connections outlive the grace period: they are cut");
    }
    end.cancel();
    hub.door.refusals.sum_up();
    drain.cancel();
    let sequence = match ended.sequence {
        Some(ended) => ended,
        None => sequence.await,
    };
    let rows = match ended.rows {
        Some(ended) => ended,
        None => rows.await,
    };
    // What it reads is in use until it has ended; a look that reads the whole journal is not waited for.
    if let Ok(Err(error)) = tokio::time::timeout(grace, logs).await {
        tracing::error!(%error, "the logs were not kept to the end");
    }
    if tokio::time::timeout(grace, hub.transfers.settle()).await.is_err() {
        tracing::warn!(grace_ms, "files are still being written: the disk is slow");
    }
    drop(lock);
    // Why a part or the rows ended says more than that the sequence could not go on.
    ended.part.unwrap_or(Ok(())).and(rows).and(sequence)
}

/// What ended before the hub was asked to stop.
#[derive(Default)]
struct Ended {
    sequence: Option<Result<(), RunError>>,
    rows: Option<Result<(), RunError>>,
    part: Option<Result<(), RunError>>,
}

impl Ended {
    /// Says at once why the hub ends: the rest of the stop may take a while.
    fn tell(&self) {
        for error in
            [&self.part, &self.rows, &self.sequence].into_iter().flatten().filter_map(|it| it.as_ref().err())
        {
            tracing::error!(%error, "the hub ends");
        }
    }
}

/// A dedicated task and how it will end.
struct Dedicated {
    task: Task,
    told: oneshot::Receiver<Result<(), SequenceError>>,
}

impl Dedicated {
    fn start<F>(
        tasks: &dyn Tasks,
        name: &'static str,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, RunError>
    where
        F: Future<Output = Result<(), SequenceError>> + 'static,
    {
        let (tell, told) = oneshot::channel();
        let task = tasks.spawn_dedicated(
            name,
            Box::new(move || {
                let work = make();
                Box::pin(async move {
                    // Nobody waits only when the hub was dropped whole.
                    let _ = tell.send(work.await);
                })
            }),
        );
        Ok(Self { task: task.map_err(|error| RunError::Thread { name, error })?, told })
    }

    async fn ended(self) -> Result<(), RunError> {
        match self.told.await {
            Ok(ended) => Ok(ended?),
            // It was dropped before it could tell: it panicked.
            Err(_) => Ok(self.task.await?),
        }
    }
}

/// What runs beside the server.
struct Parts {
    hub: Arc<Hub>,
    sequence: Dedicated,
    rows: Dedicated,
    /// Ends with the first of the lanes.
    lanes: Pin<Box<dyn Future<Output = Result<(), RunError>> + Send>>,
    faults: mpsc::Receiver<LedgerError>,
    drain: CancellationToken,
    space: Space,
}

fn start<O: Order + 'static>(
    (host, home, config): (&Host, &Home, &Config),
    opened: Opened,
    order: O,
    papers: Papers,
    (store, signatures, promiser): (Arc<Store>, Signatures, Option<Arc<Promiser>>),
) -> Result<Parts, RunError>
where
    O::Tail: 'static,
{
    let Opened { journal, reader, ledger, rows, view, run, store: _, took: _ } = opened;
    let bytes_max = usize::try_from(config.limits.waiting_bytes_max).unwrap_or(usize::MAX);
    // A batch fits into a segment twice over, whatever its frames take beside what was weighed.
    let half_segment = usize::try_from(config.journal.segment_bytes / 2).unwrap_or(usize::MAX);
    let (submitter, submissions) =
        Submitter::new(Arc::clone(&host.clock), bytes_max, half_segment.min(SUBMISSION_BYTES_MAX));
    let (live, drain) = (Arc::new(Live::default()), CancellationToken::new());
    let (staged, waiting) = mpsc::channel(ROWS_WAITING_MAX);
    let (tell_written, written) = watch::channel(view.written().next_index);
    let (space, meters) = (journal.space(), Meters::new());
    let sequence = Sequence {
        tail: order.tail(journal.mark().position),
        order,
        journal,
        ledger,
        rows: staged,
        live: Arc::clone(&live),
        meters: meters.clone(),
        clock: Arc::clone(&host.clock),
        random: Arc::clone(&host.random),
        submissions,
        drain: drain.clone(),
        batch_bytes_max: BATCH_BYTES_MAX.min(half_segment),
        receipts_wait: RECEIPTS_WAIT,
        promiser: promiser.clone(),
        run,
    };
    let tasks = host.tasks.as_ref();
    let sequence = Dedicated::start(tasks, "sequence", move || sequence.run())?;
    let rows = Dedicated::start(tasks, "ledger-rows", move || write_rows(rows, waiting, tell_written))?;
    let mut started = Vec::new();
    let mut lane = |name| {
        let (lane, task) = Lane::start(tasks, name).map_err(|error| RunError::Thread { name, error })?;
        started.push((name, task));
        Ok::<_, RunError>(lane)
    };
    let (reads, audits) = (lane("reads")?, lane("audits")?);
    let moving = [lane("files-up")?, lane("files-sync")?, lane("files-down")?];
    let (tell_fault, faults) = mpsc::channel(1);
    let identity = Identity::Hub(config.name.clone());
    let shares = Arc::new(Shares::new(Arc::clone(&host.clock)));
    let refusals = Refusals::new(
        Arc::clone(&host.clock),
        submitter.clone(),
        identity.clone(),
        meters.clone(),
        Arc::clone(&shares),
    );
    let run = Run {
        name: config.name.clone(),
        started: host.clock.now(),
        started_monotonic_us: host.clock.monotonic_us(),
        journal: home.journal(),
        erased: home.erased(),
    };
    let (files, limits, clock) = (Arc::clone(&store), config.limits.clone(), Arc::clone(&host.clock));
    let door = Door::new(view, refusals, files, limits, clock, signatures);
    let hub = Arc::new(Hub {
        identity,
        door,
        papers,
        alarms: Alarms::new(Arc::clone(&host.clock)),
        meters,
        run,
        amending: Arc::default(),
        connections: Connections::default(),
        shares,
        submitter,
        live,
        logs: Logs::default(),
        promiser,
        reads,
        audits,
        transfers: Transfers::new(store, moving, config.files.transfers_per_office_max),
        faults: tell_fault,
        journal: reader,
        disk: Arc::clone(&host.disk),
        tasks: Arc::clone(&host.tasks),
        clock: Arc::clone(&host.clock),
        written,
        stop: CancellationToken::new(),
    });
    let lanes = Box::pin(first_to_end(started));
    Ok(Parts { hub, sequence, rows, lanes, faults, drain, space })
}

/// Waits until one of the lanes ends, which go on as long as the hub.
async fn first_to_end(mut lanes: Vec<(&'static str, Task)>) -> Result<(), RunError> {
    std::future::poll_fn(|context| {
        for (name, task) in &mut lanes {
            if let Poll::Ready(ended) = pin!(task).poll(context) {
                return Poll::Ready(ended.map_err(RunError::from).and(Err(RunError::Part(name))));
            }
        }
        Poll::Pending
    })
    .await
}

/// Writes the ledger's rows, those of several batches at once when they wait, and closes the ledger at the end.
async fn write_rows(
    mut writer: ledger::Writer,
    mut waiting: mpsc::Receiver<Staged>,
    written: watch::Sender<Index>,
) -> Result<(), SequenceError> {
    while let Some(mut staged) = waiting.recv().await {
        // Not at the queue meanwhile: each batch that came would wake this thread.
        tokio::time::sleep(ROWS_GATHER).await;
        while let Ok(more) = waiting.try_recv() {
            staged.join(more)?;
        }
        written.send_replace(writer.write(&staged)?.next_index);
    }
    Ok(writer.close()?)
}
