//! Hub and offices in one process, on a simulated network and simulated time, with disks in memory. A seed decides what is said, what
//! breaks, and when; after each break, and at the end, it is checked that nothing was lost, doubled, moved or told to whom it is not for.
//!
//! `RESGUARDO_SEEDS=2000` runs more than the gate does, `RESGUARDO_SEED=17` begins with that one; one alone tells what happens. The
//! breaks of a seed are always the same. Which of two things that can happen in one moment is first, the runtime draws by itself;
//! built with `RUSTFLAGS='--cfg tokio_unstable'` it draws by the seed, and a run can be repeated.

mod broken;
mod checks;
mod machine;
mod network;
mod office;
mod set;
mod told;
mod world;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use self::set::Set;
use self::world::Ran;

/// Seeds of the gate.
const SEEDS: u64 = 60;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is to be a number, and is {value:?}")))
}

#[test]
fn whatever_breaks_nothing_confirmed_is_lost_doubled_or_told_to_others() {
    let set = Set::make();
    let (first, count) = (number("RESGUARDO_SEED").unwrap_or(1), number("RESGUARDO_SEEDS").unwrap_or(SEEDS));
    if count == 1 {
        let (ran, happened) = world::run(&set, first);
        println!("{}\nseed {first}: {ran:?}", happened.join("\n"));
        return;
    }
    let last = first + count;
    let (next, all) = (AtomicU64::new(first), std::sync::Mutex::new((Ran::default(), String::new())));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < last)
                {
                    let ran = catch_unwind(AssertUnwindSafe(|| world::run(&set, seed)));
                    let mut all = all.lock().expect("no run panics while it holds this");
                    match ran {
                        Ok((ran, _)) => all.0.add(&ran),
                        Err(_) => {
                            let _ = write!(all.1, " {seed}");
                        }
                    }
                }
            });
        }
    });
    let (ran, failed) = all.into_inner().expect("no run panics while it holds this");
    println!("seeds {first} to {}: {ran:?}", last - 1);
    assert!(failed.is_empty(), "run these alone, with RESGUARDO_SEEDS=1, and see what happens:{failed}");
    assert!(ran.is_worth_it(), "too little happened to say anything: {ran:?}");
}

/// What is drawn for keys and sealings is the system's, and stands in digests at the ends of lines.
#[cfg(tokio_unstable)]
#[test]
fn a_seed_gives_the_same_run_again() {
    let set = Set::make();
    let [(one, first), (two, second)] = [(); 2].map(|()| world::run(&set, 1));
    let begins = |line: &String| line.chars().take(40).collect::<String>();
    let differs = first.iter().zip(&second).find(|(one, two)| begins(one) != begins(two));
    assert!(differs.is_none(), "{differs:#?}");
    assert_eq!((one, first.len()), (two, second.len()));
}
