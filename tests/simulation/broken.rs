//! What breaks in a run, and for how long.

use std::io;
use std::time::Duration;

use resguardo::host::disk::{CrashStyle, Fault, FaultPoint};
use resguardo::host::random::SeededRandom;
use turmoil::Sim;

use crate::checks;
use crate::set::{HUB, OFFICES};
use crate::world::{Ran, World};

/// Between two breaks, in milliseconds, at least and at most.
const BETWEEN_MS: (u64, u64) = (3_000, 40_000);
/// How long one lasts.
const LASTS_MS: (u64, u64) = (500, 60_000);
/// How far a clock jumps at most, each way: a day.
const JUMP_US: u64 = 86_400 * 1_000_000;

/// One thing that is broken.
enum Break {
    /// Nothing passes between the hub and an office, and what is under way is lost.
    Cut(&'static str),
    /// What is sent between them waits.
    Held(&'static str),
    /// It takes seconds.
    Slow(&'static str),
    /// A machine is down.
    Down(&'static str),
    /// A machine's clock is wrong.
    Clock(&'static str),
}

/// What is broken now.
pub(crate) struct Broken {
    random: SeededRandom,
    next: Duration,
    now: Vec<(Duration, Break)>,
    pub(crate) ran: Ran,
}

impl Broken {
    pub(crate) fn new(random: SeededRandom) -> Self {
        Self { random, next: Duration::from_secs(5), now: Vec::new(), ran: Ran::default() }
    }

    /// Mends what is due, and breaks something as long as something is said.
    pub(crate) fn go_on(&mut self, sim: &mut Sim<'_>, world: &World) {
        let at = sim.elapsed();
        while let Some(due) = self.now.iter().position(|(until, _)| *until <= at) {
            let (_, broken) = self.now.swap_remove(due);
            mend(sim, world, &broken);
        }
        self.revive(sim, world);
        if at >= self.next && world.is_busy() {
            self.next = at + self.between(BETWEEN_MS);
            self.break_one(sim, world);
        }
    }

    /// Mends everything.
    pub(crate) fn mend(&mut self, sim: &mut Sim<'_>, world: &World) {
        for (_, broken) in std::mem::take(&mut self.now) {
            mend(sim, world, &broken);
        }
    }

    /// Starts what has ended by itself again, a little later, as whoever runs a machine sees to it.
    fn revive(&mut self, sim: &mut Sim<'_>, world: &World) {
        for name in [HUB].into_iter().chain(OFFICES) {
            let is_down = self.now.iter().any(|(_, it)| matches!(it, Break::Down(down) if *down == name));
            if !is_down && !sim.is_host_running(name) {
                self.crash(sim, world, (name, CrashStyle::ProcessEnd), Duration::from_secs(3));
            }
        }
    }

    fn between(&self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(least + self.random.below(most - least))
    }

    fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.random.below(all.len() as u64)).expect("a place in a short list")]
    }

    fn break_one(&mut self, sim: &mut Sim<'_>, world: &World) {
        let office = self.one_of(&OFFICES);
        let any = self.one_of(&[HUB, HUB, office]);
        let style = match self.random.below(3) {
            0 => CrashStyle::ProcessEnd,
            1 => CrashStyle::DropUnsynced,
            _ => CrashStyle::Torn { seed: self.random.below(u64::MAX) },
        };
        let lasts = self.between(LASTS_MS);
        let until = sim.elapsed() + lasts;
        match self.random.below(7) {
            0 => {
                sim.partition(HUB, office);
                self.begin(world, until, Break::Cut(office));
                self.ran.cuts += 1;
            }
            1 => {
                sim.hold(HUB, office);
                self.begin(world, until, Break::Held(office));
                self.ran.cuts += 1;
            }
            2 => {
                sim.set_link_latency(HUB, office, Duration::from_secs(2));
                self.begin(world, until, Break::Slow(office));
            }
            3 => {
                let (less, more) = (self.random.below(2) == 0, self.random.below(JUMP_US));
                let us = i64::try_from(more).expect("a day");
                world.machine(any).clock.set_wrong_by_us(if less { -us } else { us });
                self.begin(world, until, Break::Clock(any));
                self.ran.clock_jumps += 1;
            }
            4 => {
                let point =
                    self.one_of(&[FaultPoint::Read, FaultPoint::Write, FaultPoint::Sync, FaultPoint::Name]);
                let (after, error) = (self.random.below(20), io::ErrorKind::StorageFull);
                world.trace(any, || format!("its disk fails: {point:?} after {after}"));
                world.machine(any).disk().inject(Fault { point, after, error, carried_out: false });
                self.ran.disk_faults += 1;
            }
            _ if sim.is_host_running(any) => self.crash(sim, world, (any, style), lasts),
            _ => {}
        }
    }

    fn is_shut(&self, line: &str) -> bool {
        self.now
            .iter()
            .any(|(_, it)| matches!(it, Break::Cut(office) | Break::Held(office) if *office == line))
    }

    fn begin(&mut self, world: &World, until: Duration, broken: Break) {
        let (who, what) = match broken {
            Break::Cut(office) => (office, "is cut off"),
            Break::Held(office) => (office, "is held"),
            Break::Slow(office) => (office, "has a slow line"),
            Break::Down(name) => (name, "is down"),
            Break::Clock(name) => (name, "has a wrong clock"),
        };
        world.trace(who, || format!("{what} until {:.3}", until.as_secs_f64()));
        self.now.push((until, broken));
    }

    fn crash(
        &mut self,
        sim: &mut Sim<'_>,
        world: &World,
        (name, style): (&'static str, CrashStyle),
        lasts: Duration,
    ) {
        world.trace(name, || format!("crashes: {style:?}"));
        // In which order its connections end is nobody's to say: whatever they send waits until all have.
        let lines = OFFICES.into_iter().filter(|office| name == HUB || name == *office);
        let open: Vec<_> = lines.filter(|office| !self.is_shut(office)).collect();
        for office in &open {
            sim.hold(HUB, *office);
        }
        sim.crash(name);
        for office in &open {
            sim.release(HUB, *office);
        }
        world.machine(name).crash(style);
        if name == HUB {
            checks::hub(world, self.random.below(2) == 0);
            self.ran.hub_crashes += 1;
        } else {
            checks::offices(world);
            self.ran.office_crashes += 1;
        }
        self.begin(world, sim.elapsed() + lasts, Break::Down(name));
    }
}

fn mend(sim: &mut Sim<'_>, world: &World, broken: &Break) {
    match *broken {
        Break::Cut(office) => sim.repair(HUB, office),
        Break::Held(office) => sim.release(HUB, office),
        Break::Slow(office) => sim.set_link_latency(HUB, office, Duration::from_millis(40)),
        Break::Down(name) => sim.bounce(name),
        Break::Clock(name) => world.machine(name).clock.set_wrong_by_us(0),
    }
}
