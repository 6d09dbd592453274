//! One run: the machines, the network between them, and its course: busy while things break, then mended and at rest.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use resguardo::host::random::SeededRandom;
use turmoil::{Builder, Sim};

use crate::broken::Broken;
use crate::checks;
use crate::machine::{self, Machine};
use crate::network::SimClock;
use crate::office;
use crate::set::Officer;
use crate::set::{HUB, OFFICES, Set};
use crate::told::Told;

/// How finely time passes.
const TICK: Duration = Duration::from_millis(20);
/// How long things are said and break.
const BUSY: Duration = Duration::from_mins(8);
/// How long it may take at most until all of it has come. After a cut a desk waits for ten seconds at most.
const REST_MAX: Duration = Duration::from_mins(10);
/// Bytes of a connection's buffer, counted in what is sent at once.
const SEGMENTS_MAX: usize = 1 << 20;

/// What is shared by the machines of a run.
pub(crate) struct World {
    set: Arc<Set>,
    machines: Vec<Machine>,
    told: Mutex<Told>,
    busy: AtomicBool,
    /// Simulated time, for what happens outside of all machines.
    at_ms: AtomicU64,
}

/// What a run was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) messages: u64,
    pub(crate) statements: u64,
    pub(crate) deliveries: u64,
    pub(crate) entries: u64,
    pub(crate) hub_crashes: u64,
    pub(crate) office_crashes: u64,
    pub(crate) cuts: u64,
    pub(crate) disk_faults: u64,
    pub(crate) clock_jumps: u64,
}

impl Ran {
    pub(crate) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.statements += other.statements;
        self.deliveries += other.deliveries;
        self.entries += other.entries;
        self.hub_crashes += other.hub_crashes;
        self.office_crashes += other.office_crashes;
        self.cuts += other.cuts;
        self.disk_faults += other.disk_faults;
        self.clock_jumps += other.clock_jumps;
    }

    /// Whether everything happened that these runs are for.
    pub(crate) fn is_worth_it(&self) -> bool {
        let all = [
            self.messages,
            self.statements,
            self.deliveries,
            self.hub_crashes,
            self.office_crashes,
            self.cuts,
            self.disk_faults,
            self.clock_jumps,
        ];
        all.iter().all(|count| *count > 0)
    }
}

impl World {
    fn new(set: &Arc<Set>, seed: u64) -> Self {
        let machine = |(place, name): (u64, &'static str)| {
            Machine::new(
                name,
                set.disk(name),
                SimClock::at(set.made),
                seed.wrapping_mul(31).wrapping_add(place),
            )
        };
        let machines = (0..).zip([HUB].into_iter().chain(OFFICES)).map(machine).collect();
        Self {
            set: Arc::clone(set),
            machines,
            told: Mutex::default(),
            busy: AtomicBool::new(true),
            at_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn machine(&self, name: &str) -> &Machine {
        self.machines.iter().find(|it| it.name == name).expect("it takes part")
    }

    pub(crate) fn set_home(&self, name: &str) -> PathBuf {
        self.set.home(name)
    }

    pub(crate) fn officer(&self, office: &str) -> Officer {
        self.set.officer(office)
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("no code panics while it holds this")
    }

    /// Whether anything is still said.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Notes what happened.
    pub(crate) fn trace(&self, who: &str, what: impl FnOnce() -> String) {
        let at_ms = match turmoil::sim_elapsed() {
            Some(at) => u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            None => self.at_ms.load(Ordering::Relaxed),
        };
        let line = format!("{:5}.{:03} {who}: {}", at_ms / 1_000, at_ms % 1_000, what());
        self.told().trace.push(line);
    }
}

/// Runs a seed; gives also what happened, in its order. Panics where something is wrong.
pub(crate) fn run(set: &Arc<Set>, seed: u64) -> (Ran, Vec<String>) {
    let world = Arc::new(World::new(set, seed));
    checks::found(&world);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(BUSY + REST_MAX + BUSY)
        .min_message_latency(TICK)
        .max_message_latency(Duration::from_millis(400))
        .tcp_capacity(SEGMENTS_MAX)
        .build();
    let hub = Arc::clone(&world);
    sim.host(HUB, move || {
        let world = Arc::clone(&hub);
        async move {
            let ended = machine::hub(Arc::clone(&world)).await;
            world.trace(HUB, || format!("ends: {ended:?}"));
            Ok(())
        }
    });
    for name in OFFICES {
        let office = Arc::clone(&world);
        sim.host(name, move || {
            let world = Arc::clone(&office);
            async move {
                let ended = office::office(Arc::clone(&world), name).await;
                world.trace(name, || format!("ends: {ended:?}"));
                Ok(())
            }
        });
    }
    let mut broken = Broken::new(SeededRandom::new(seed ^ 0x0b0e_0b0e));
    while sim.elapsed() < BUSY {
        broken.go_on(&mut sim, &world);
        step(&mut sim, &world, seed);
    }
    broken.mend(&mut sim, &world);
    world.busy.store(false, Ordering::Relaxed);
    let from = sim.elapsed();
    while !checks::is_at_rest(&world) {
        assert!(sim.elapsed() < from + REST_MAX, "{}", said(&world, seed, "not all has come"));
        for _ in 0..100 {
            broken.go_on(&mut sim, &world);
            step(&mut sim, &world, seed);
        }
    }
    sim.crash(HUB);
    let counted = checks::hub(&world, false);
    checks::offices(&world);
    step(&mut sim, &world, seed);
    let mut told = world.told();
    let ran = Ran {
        messages: told.confirmed.len() as u64,
        statements: told.stated.len() as u64,
        deliveries: told.came.values().map(|came| came.len() as u64).sum(),
        entries: counted,
        ..broken.ran
    };
    (ran, std::mem::take(&mut told.trace))
}

fn step(sim: &mut Sim<'_>, world: &World, seed: u64) {
    world.at_ms.store(u64::try_from(sim.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    if let Err(error) = sim.step() {
        panic!("{}", said(world, seed, &error.to_string()));
    }
    let wrong = !world.told().wrong.is_empty();
    assert!(!wrong, "{}", said(world, seed, "something is wrong"));
}

/// What happened, where something is wrong: the last of it.
pub(crate) fn said(world: &World, seed: u64, what: &str) -> String {
    let told = world.told();
    let last = told.trace.len().saturating_sub(100);
    format!("seed {seed}: {what}: {:?}\n{}", told.wrong, told.trace[last..].join("\n"))
}
