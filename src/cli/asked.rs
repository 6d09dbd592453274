//! What is asked of this office, and by when, as far as this home knows.
//!
//! Owns the reckoning for people: the hub alone says what was missed, and other desks of the office may have done it.

use super::inbox::Stated;
use super::screen::{Tone, after, toned};
use crate::desk::inbox::Kept;
use crate::model::deadline::Deadlines;
use crate::model::id::UnixMicros;
use crate::model::policy::Policy;
use crate::model::receipt::Stage;

/// One deadline of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The stage.
    pub(super) stage: Stage,
    /// When it falls or fell due.
    pub(super) due: UnixMicros,
    /// Whether persons here have stated it, or a later stage.
    pub(super) done: bool,
    /// Whether it is over and not done.
    pub(super) overdue: bool,
}

/// Reckons what is asked of a message that came. `policy` is the directory as the hub last told it: it says what a
/// message asks for that names no deadline.
pub(super) fn asked(kept: &Kept, stated: &Stated, policy: Option<&Policy>, now: UnixMicros) -> Vec<Asked> {
    // After an erasure nothing is asked any more.
    if kept.erased.is_some() {
        return Vec::new();
    }
    let named = kept.envelope.deadlines;
    let deadlines = if named.is_none() {
        policy.map(|policy| policy.deadlines_of(&kept.envelope)).unwrap_or_default()
    } else {
        named
    };
    reckon(deadlines, kept.accepted, stated.furthest(), now)
}

fn reckon(deadlines: Deadlines, accepted: UnixMicros, furthest: Stage, now: UnixMicros) -> Vec<Asked> {
    let one = |(stage, within): (Stage, crate::model::deadline::Within)| {
        let (due, done) = (within.after(accepted), furthest >= stage);
        Asked { stage, due, done, overdue: !done && due < now }
    };
    deadlines.each().map(one).collect()
}

/// Says in a few words what is still asked; nothing where that is done.
pub(super) fn words(asked: &[Asked], now: UnixMicros) -> (Tone, String) {
    let open: Vec<_> = asked.iter().filter(|it| !it.done).collect();
    match open.iter().find(|it| it.overdue).or(open.first()) {
        None => (Tone::Plain, String::new()),
        Some(it) if it.overdue => (Tone::Bad, format!("OVERDUE {} since {}", it.stage, after(it.due, now))),
        Some(it) => (Tone::Warning, format!("{} in {}", it.stage, after(now, it.due))),
    }
}

/// The same, as a line for `show`: what is asked in all, and how far it is.
pub(super) fn line(asked: &[Asked], now: UnixMicros) -> Option<String> {
    asked.last()?;
    Some(match words(asked, now) {
        (_, nothing) if nothing.is_empty() => toned(Tone::Good, "done: nothing more is asked"),
        (tone, words) => format!("{}; open until it is done", toned(tone, &words)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deadline::Within;

    #[test]
    fn what_is_asked_stays_open_until_its_furthest_stage_is_done() {
        let within = |seconds| Within::from_seconds(seconds).ok();
        let deadlines = Deadlines { receive: within(5), read: within(10), act: within(60) };
        let at = |seconds: u64| UnixMicros(seconds * 1_000_000);
        let words = |furthest, now| words(&reckon(deadlines, at(0), furthest, at(now)), at(now)).1;
        assert_eq!(words(Stage::Received, 4), "read in 6 s");
        assert_eq!(words(Stage::Received, 11), "OVERDUE read since 1 s");
        assert_eq!(words(Stage::Read, 11), "acted in 49 s");
        assert_eq!(words(Stage::Read, 61), "OVERDUE acted since 1 s");
        assert_eq!(words(Stage::Acted, 61), "");
    }
}
