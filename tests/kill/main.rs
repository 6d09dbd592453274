//! The hub under load, killed at random moments and let down by its disk: what it confirmed stays, in its place; what it did
//! not confirm is there whole or not at all.
//!
//! `RESGUARDO_KILLS` says how often it is killed (50), `RESGUARDO_FAULTS` how often its disk fails (24), `RESGUARDO_KILL_SEED`
//! repeats the moments of a run.

#[path = "../stage/mod.rs"]
mod stage;

mod audit;
mod book;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod disk;
mod gate;
mod load;
mod publisher;
mod subscriber;

use std::env;
use std::time::Duration;

use load::Load;
use stage::Setup;
use stage::chance::random_u64;

/// Offices whose desks publish: the first two by single calls, the others by stream.
const PUBLISHERS: [&str; 4] = ["ohchr-honduras", "ohchr-guatemala", "ohchr-mexico", "ohchr-colombia"];
/// Offices that every message is for, each with one subscriber.
const SUBSCRIBERS: [&str; 3] = ["iachr", "ohchr-central-america", "ohchr-south-america"];
/// Confirmations between two kills, at most.
const CONFIRMATIONS_MAX: u64 = 120;
/// Microseconds between the last of them and the kill, at most.
const DELAY_US_MAX: u64 = 30_000;
/// One restart in so many is itself killed first, at a random moment of its start.
const STARTS_TO_A_KILL: u64 = 5;
/// Microseconds into a start that is killed, at most.
const START_US_MAX: u64 = 400_000;

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// How often something happens to one hub, at most: each time all that it has is looked at.
const ROUNDS_MAX: u64 = 50;

/// How often, as this variable says, in shares for one hub each, with the seed of its moments.
#[expect(clippy::print_stdout, reason = "a seed is told in a failed test's output")]
fn rounds(name: &str, usual: u64) -> Vec<(u64, u64)> {
    let times = number(name).unwrap_or(usual);
    let seed = number("RESGUARDO_KILL_SEED").unwrap_or_else(random_u64);
    println!("{name}={times} RESGUARDO_KILL_SEED={seed}");
    let shares = (0..times).step_by(usize::try_from(ROUNDS_MAX).expect("a small number"));
    shares.zip(seed..).map(|(done, seed)| (ROUNDS_MAX.min(times - done), seed)).collect()
}

#[tokio::test]
async fn what_was_confirmed_stays_in_its_place_over_50_kills() {
    for (kills, seed) in rounds("RESGUARDO_KILLS", 50) {
        let mut load = Load::begin(seed, Setup::default()).await;
        for round in 1..=kills {
            load.begin_run().await;
            let more = 1 + load.chance.below(CONFIRMATIONS_MAX);
            load.confirm(more).await;
            tokio::time::sleep(Duration::from_micros(load.chance.below(DELAY_US_MAX))).await;
            load.stage.kill().await;
            load.all_wait().await;
            if load.chance.below(STARTS_TO_A_KILL) == 0 {
                load.stage.start_and_kill(Duration::from_micros(load.chance.below(START_US_MAX))).await;
            }
            load.stage.start().await;
            load.look(&format!("after kill {round}")).await;
        }
        println!("{}", load.end().await);
    }
}
