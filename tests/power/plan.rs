//! Where the power is cut: moments of a tape.
//!
//! Owns the choice. Each phase gets its share, and within it each kind of thing that happens: a write, a sync, a change of names,
//! a confirmation. A cut is beside one of those, where something was just promised or is about to be.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::sync::OnceLock;

use crate::stage::chance::{Chance, random_u64};
use crate::tape::Record;

/// Records from just before what a cut is beside to the last moment that counts as that.
const LATER_MAX: usize = 4;

/// How many cuts there are in all tests of this binary together, and from which seed they follow.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) cuts: usize,
    pub(crate) seed: u64,
}

impl fmt::Display for Count {
    /// As it is repeated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RESGUARDO_CUTS={} RESGUARDO_CUT_SEED={}", self.cuts, self.seed)
    }
}

/// `RESGUARDO_CUTS` says how many (60), `RESGUARDO_CUT_SEED` repeats the choice.
pub(crate) fn count() -> Count {
    static COUNT: OnceLock<Count> = OnceLock::new();
    *COUNT.get_or_init(read_count)
}

fn read_count() -> Count {
    let number = |name: &str| {
        let text = env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
    };
    let seed = number("RESGUARDO_CUT_SEED").unwrap_or_else(random_u64);
    let cuts = usize::try_from(number("RESGUARDO_CUTS").unwrap_or(60)).expect("some thousands");
    Count { cuts, seed }
}

/// Chooses moments: so many records have happened then. Ascending.
pub(crate) fn moments(
    records: &[Record],
    phases: &BTreeMap<u64, &'static str>,
    cuts: usize,
    chance: &mut Chance,
) -> Vec<(usize, &'static str)> {
    let begins: Vec<(usize, &'static str)> = records
        .iter()
        .enumerate()
        .filter_map(|(at, record)| match record {
            Record::Mark(number) => Some((at, *phases.get(number)?)),
            _ => None,
        })
        .collect();
    let ends = begins.iter().skip(1).map(|(at, _)| *at).chain([records.len()]);
    let spans: Vec<_> = begins.iter().zip(ends).map(|((from, name), to)| (*from + 1..=to, *name)).collect();
    let mut chosen = Vec::new();
    for cut in 0..cuts {
        let (span, name) = &spans[cut % spans.len()];
        let mut beside: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for at in span.clone() {
            beside.entry(kind(&records[at - 1])).or_default().push(at);
        }
        let kinds: Vec<_> = beside.values().collect();
        let of_kind = kinds[chance.place(kinds.len())];
        // Before it, just behind it, or a little later.
        let at = of_kind[chance.place(of_kind.len())] - 1 + chance.place(LATER_MAX);
        let at = at.clamp(*span.start(), *span.end());
        chosen.push((at, *name));
    }
    chosen.sort_unstable();
    chosen
}

/// Kinds of what happens: writes are many, changes of names few, and each kind has its own crash windows.
fn kind(record: &Record) -> u8 {
    match record {
        Record::Written { .. } | Record::Cut { .. } => 0,
        Record::FileSynced { .. } => 1,
        Record::DirSynced { .. } | Record::AllSynced { .. } => 2,
        Record::Renamed { .. } => 3,
        Record::Opened { .. } | Record::DirMade { .. } => 4,
        Record::Unlinked { .. } | Record::DirRemoved { .. } => 5,
        Record::Mark(_) => 6,
    }
}
