//! A machine of a run: its disk, which outlives its processes, and its clock.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use resguardo::host::disk::{CrashStyle, MemoryDisk};
use resguardo::host::random::SeededRandom;
use resguardo::host::tasks::{LocalTasks, MakeLocal, SendFuture, Task, Tasks, TokioTasks};
use resguardo::hub::run::{Host, RunError, run_in_order};
use resguardo::ledger::store::memory::MemoryStores;
use resguardo::order::memory::{Answer, Memory};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::network::{SimClock, Wires};
use crate::set::HUB;
use crate::world::World;

/// A machine.
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    pub(crate) clock: Arc<SimClock>,
    /// Of the hub, where its ledger's rows are.
    pub(crate) stores: Arc<MemoryStores>,
    disk: Mutex<MemoryDisk>,
    seed: u64,
    lives: AtomicU64,
}

impl Machine {
    pub(crate) fn new(name: &'static str, disk: MemoryDisk, clock: SimClock, seed: u64) -> Self {
        let (stores, lives) = (Arc::default(), AtomicU64::new(0));
        Self { name, clock: Arc::new(clock), stores, disk: Mutex::new(disk), seed, lives }
    }

    /// Its disk.
    pub(crate) fn disk(&self) -> MemoryDisk {
        self.disk.lock().expect("no code panics while it holds this").clone()
    }

    /// What a crash leaves of its disk; whoever held the old one writes into nothing any more.
    pub(crate) fn crash(&self, style: CrashStyle) {
        let mut disk = self.disk.lock().expect("no code panics while it holds this");
        *disk = disk.crash(style);
        if !matches!(style, CrashStyle::ProcessEnd) {
            self.stores.stop_machine();
        }
    }

    /// Randomness for its next process.
    pub(crate) fn random(&self) -> Arc<SeededRandom> {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        Arc::new(SeededRandom::new(self.seed.wrapping_mul(1_000_003).wrapping_add(life)))
    }
}

/// Tasks of a machine: those that the gRPC library starts are outside of what runs on one thread alone.
pub(crate) struct SimTasks;

impl Tasks for SimTasks {
    fn spawn(&self, name: &str, task: SendFuture) -> Task {
        TokioTasks::on(Handle::current()).spawn(name, task)
    }

    fn spawn_dedicated(&self, name: &str, make: MakeLocal) -> io::Result<Task> {
        LocalTasks.spawn_dedicated(name, make)
    }
}

/// What a hub on this machine, or a check of it, is given.
pub(crate) fn host(machine: &Machine) -> Host {
    Host {
        disk: Arc::new(machine.disk()),
        clock: machine.clock.clone(),
        random: machine.random(),
        network: Arc::new(Wires),
        tasks: Arc::new(SimTasks),
        stores: machine.stores.clone(),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    }
}

/// A hub's process, until it ends by itself or its machine crashes. Its order answers as one might that is kept elsewhere.
pub(crate) async fn hub(world: Arc<World>) -> Result<(), RunError> {
    let machine = world.machine(HUB);
    let host = host(machine);
    let mut answers = vec![Answer::Position; 20];
    answers.extend([
        Answer::NotWritten,
        Answer::AmbiguousWritten,
        Answer::AmbiguousLost,
        Answer::Unavailable,
    ]);
    let seed = machine.seed ^ machine.lives.load(Ordering::Relaxed);
    let order = |next| Memory::seeded(next, seed, answers);
    run_in_order(&host, &world.set_home(HUB), &mut |_| {}, |_| {}, order).await
}
