//! Bad lines: slow, cut, dead, held up, with real processes at both ends.
//!
//! `RESGUARDO_LINE_CUTS` says how often an exchange is cut (24 each way), `RESGUARDO_CUT_SEED` repeats the places of a run,
//! `RESGUARDO_LINE_BYTES` says how long the alert is that goes over the slowest line (24,000, sealed in 64 KiB).

#![cfg(test)]

#[path = "../cli/alerts.rs"]
#[expect(dead_code, reason = "shared with the tests of commands, which use all of it")]
mod alerts;
mod cuts;
mod dead;
mod exchange;
mod held;
#[path = "../stage/line.rs"]
#[expect(dead_code, reason = "shared with the tests of commands, which use the rest")]
mod line;
mod slow;
#[path = "../cli/stage.rs"]
#[expect(dead_code, reason = "shared with the tests of commands, which use all of it")]
mod stage;
mod stopped;

use std::thread::Builder;

/// Runs what mostly waits at the same time; fails where one does, under its name.
fn side_by_side(parts: &[(&str, fn())]) {
    let start = |(name, part): &(&str, fn())| Builder::new().name((*name).to_owned()).spawn(*part).unwrap();
    let running: Vec<_> = parts.iter().map(start).collect();
    let ended: Vec<_> = running.into_iter().map(std::thread::JoinHandle::join).collect();
    let failed = parts.iter().zip(ended).filter(|(_, end)| end.is_err()).map(|((name, _), _)| *name);
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn what_is_slow_or_silent_is_told_from_what_is_dead() {
    side_by_side(&[
        ("a long alert at 9,600 bit/s", slow::long_alert),
        ("a packet at 9,600 bit/s", slow::packet),
        ("receipts at 9,600 bit/s", slow::stated),
        ("a dead peer", dead::found),
        ("a dead peer at 9,600 bit/s", dead::found_slow),
        ("dead in each phase", dead::in_each_phase),
        ("an idle link", dead::idle),
        ("a hub that is stopped", stopped::hub),
        ("offices that are stopped", stopped::offices),
    ]);
}

#[test]
fn what_is_cut_or_late_counts_once() {
    side_by_side(&[("cuts", cuts::anywhere), ("late", held::late)]);
}
