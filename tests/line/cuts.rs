//! An exchange whose line is cut at any byte, each way, in each of its commands.

use std::env;

use resguardo::host::random::SeededRandom;
use serde_json::Value;

use super::exchange::{RECEIVER, SENDER, holds, pending, publish, receive, told};
use super::line::{Line, Way};
use super::stage::Stage;

const WAYS: [Way; 2] = [Way::Up, Way::Down];
/// Of the places, these come first; all others are anywhere.
const FIRST: [usize; 4] = [1, 2, 5, 6];

/// What goes over a line in each command of an exchange that is not cut, each way.
struct Lengths([[u64; 2]; 3]);

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Cuts the line once in what follows, and says how much goes over it meanwhile.
fn cut<T>(line: &Line, place: Option<(Way, usize)>, work: impl FnOnce() -> T) -> (T, [u64; 2]) {
    let passed = || WAYS.map(|way| line.passed_bytes(way));
    let before = passed();
    if let Some((way, bytes)) = place {
        line.cut_after(way, [bytes]);
    }
    let done = work();
    line.mend();
    let after = passed();
    (done, [after[0] - before[0], after[1] - before[1]])
}

/// One exchange, with a cut in each of its commands. Gives what was confirmed.
fn exchange(
    stage: &Stage,
    lines: &[Line; 2],
    name: &str,
    places: [Option<(Way, usize)>; 3],
) -> (Value, Lengths) {
    let [up, down] = lines;
    let file = stage.alert(name);
    let (published, first) = cut(up, places[0], || publish(stage, SENDER, &file));
    let published = published.unwrap_or_else(|| pending(stage, SENDER).remove(0));
    let id = published["message_id"].as_str().unwrap();
    let ((), second) = cut(down, places[1], || {
        let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
        receive(&mut watch);
        watch.signal("TERM");
        assert!(watch.end().success());
    });
    let (stated, third) = cut(down, places[2], || stage.run(RECEIVER, &["ack", id, "--stage", "read"]));
    told(&stated);
    if stated.code != 0 {
        pending(stage, RECEIVER);
    }
    (published, Lengths([first, second, third]))
}

/// Everything is confirmed in the end, is there once, and a person is told what happened.
pub(crate) fn anywhere() {
    let cuts = usize::try_from(number("RESGUARDO_LINE_CUTS").unwrap_or(24)).unwrap();
    let seed = number("RESGUARDO_CUT_SEED").unwrap_or(u64::from(std::process::id()));
    println!("RESGUARDO_CUT_SEED={seed}");
    let random = SeededRandom::new(seed);
    let stage = Stage::set();
    let lines = [stage.by_line(&[SENDER]), stage.by_line(&[RECEIVER])];
    // The first has the directory to fetch.
    let (first, _) = exchange(&stage, &lines, "first", [None; 3]);
    let (second, lengths) = exchange(&stage, &lines, "second", [None; 3]);
    let mut confirmed = vec![first, second];
    for case in 0..2 * cuts {
        let way = WAYS[case % 2];
        let place = |length: &[u64; 2]| {
            let any = || usize::try_from(1 + random.below(length[way as usize])).unwrap();
            (way, FIRST.get(case / 2).copied().unwrap_or_else(any))
        };
        let places = lengths.0.each_ref().map(|length| Some(place(length)));
        let (published, _) = exchange(&stage, &lines, &format!("case-{case}"), places);
        confirmed.push(published);
    }
    holds(&stage, &confirmed, &[SENDER], &["read", "received"]);
    println!("{} exchanges, a cut in each of three commands; without one: {:?}", 2 * cuts, lengths.0);
}
