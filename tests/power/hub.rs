//! The hub's disk and its backup's, after power cuts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::check::Check;
use crate::disks::{Disks, Kept, style};
use crate::life::{Fact, Life, Lived};
use crate::plan::{count, moments};
use crate::stage::chance::Chance;
use crate::tape::{Tape, recorder, text};

/// Of the cuts of a run, so many of a hundred are the hub's.
const SHARE: usize = 70;
/// One start after a cut of so many is itself cut first.
const STARTS_TO_A_CUT: u64 = 4;
/// Of the cuts outside of a backup's making, after one of so many the backup is looked at.
const LATER_TO_A_BACKUP: u64 = 8;

#[tokio::test]
async fn what_a_hub_confirmed_outlives_power_cuts_each_thing_once_in_its_place() {
    let count = count();
    let mut chance = Chance::seeded(count.seed);
    let life = Life::founded().await;
    let (mut disks, mut whole) = (Disks::of(&life.roots()), Disks::of(&life.roots()));
    let mut lived = life.live(&mut chance).await;
    whole.go_on(&lived.records);
    whole.are_as_the_folders();
    drop(whole);
    let phases = (0..).zip(&lived.facts).filter_map(|(number, fact)| match fact {
        Fact::Phase(name) => Some((number, *name)),
        _ => None,
    });
    let phases: BTreeMap<u64, _> = phases.collect();
    let cuts = moments(&lived.records, &phases, count.cuts * SHARE / 100, &mut chance);
    println!(
        "{count}; the hub: {} records, {} facts, {} cuts",
        lived.records.len(),
        lived.facts.len(),
        cuts.len()
    );
    let (mut done, mut known, mut told) = (0, 0, Told::default());
    for (number, (at, phase)) in cuts.into_iter().enumerate() {
        known = disks.go_on(&lived.records[done..at]).unwrap_or(known);
        done = at;
        let style = style(&mut chance);
        let mut when = format!("seed {}, cut {number} after record {at} ({phase}), {style:?}", count.seed);
        let how = |_: &Path| style;
        disks.lay(how);
        let _kept = Kept::of(&disks, &how, format!("{}-hub-{number}", count.seed));
        next_boot(&mut lived, &mut chance);
        if chance.below(STARTS_TO_A_CUT) == 0 {
            when = format!("{when}, then {}", cut_start(&mut lived, &when, &mut chance).await);
            told.starts += 1;
        }
        let backup = phase == "backup" || chance.below(LATER_TO_A_BACKUP) == 0;
        come_back(&mut lived, known, (&when, backup), &mut chance, &mut told).await;
        told.cuts += 1;
    }
    println!("{told:?}");
}

/// What hubs said at their starts, to see that cuts struck.
#[derive(Debug, Default)]
struct Told {
    cuts: usize,
    /// Cuts of a start after a cut.
    starts: usize,
    tails_cut: usize,
    ends_remade: usize,
    ledgers_rebuilt: usize,
    backups_looked_at: usize,
}

/// The machine starts anew.
fn next_boot(lived: &mut Lived, chance: &mut Chance) {
    let boot_id = lived.stage.folder().join("boot-id");
    fs::write(&boot_id, format!("{:x}\n", chance.bits())).expect("the boot's id is written");
    lived.stage.environment =
        vec![("LD_PRELOAD".into(), text(recorder())), ("POWER_BOOT_ID".into(), text(&boot_id))];
}

/// Starts the hub on what is left and cuts the power again, at some moment of that; says when.
async fn cut_start(lived: &mut Lived, when: &str, chance: &mut Chance) -> String {
    let (mut disks, path) = (Disks::of(&lived.roots), lived.stage.folder().join("tape-of-start"));
    let tape = Tape::of(&lived.roots, &path);
    lived.stage.environment.extend(tape.environment());
    if let Err(ended) = lived.stage.try_start().await {
        panic!("{when}: the hub does not come back: {ended}");
    }
    lived.stage.kill().await;
    let records = tape.records();
    fs::remove_file(path).expect("the tape is there");
    let (at, style) = (chance.place(records.len() + 1), style(chance));
    disks.go_on(&records[..at]);
    disks.lay(|_| style);
    next_boot(lived, chance);
    format!("after record {at} of {} of the start, {style:?}", records.len())
}

/// Starts the hub on what is left, as after the machine's next start, and looks at all of it.
async fn come_back(
    lived: &mut Lived,
    known: usize,
    (when, backup): (&str, bool),
    chance: &mut Chance,
    told: &mut Told,
) {
    if let Err(ended) = lived.stage.try_start().await {
        panic!("{when}: the hub does not come back: {ended}");
    }
    let check = Check { lived, known: &lived.facts[..known], when };
    check.running_hub(chance).await;
    let said = lived.stage.hub().log();
    told.tails_cut += usize::from(said.contains("tail was torn"));
    told.ends_remade += usize::from(said.contains("it is made again from its batches"));
    told.ledgers_rebuilt += usize::from(said.contains("it is built anew"));
    if backup {
        told.backups_looked_at += 1;
        check.backup().await;
    }
    assert!(lived.stage.stop().await.success(), "{when}: an ordered stop ends well");
    let verified = lived.stage.program(&["hub", "verify"]).await;
    assert!(verified.status.success(), "{when}: hub verify: {verified:?}");
}
