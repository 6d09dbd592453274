//! A packet over a line that is cut again and again: whole, sent on from where it was, and acknowledged once.

use std::fs;

use resguardo::host::random::SeededRandom;

use super::line::{Line, Way};
use super::packets::{content, sha256_of, source, stages};
use super::stage::{Stage, objects, until};

/// Cuts in each direction.
const CUTS: usize = 100;
/// Bytes of the file: half a MiB for each cut, so that what is sent twice because of one shows.
const BYTES: usize = 48 << 20;
/// What one cut may cost: some pieces that were on the way, and the handshakes after it.
const CUT_BYTES: u64 = 256 * 1024;

/// The distances of random places in the file: before each of them the line is cut.
fn distances(random: &SeededRandom) -> Vec<usize> {
    let mut places: Vec<_> = (0..CUTS).map(|_| random.below(BYTES as u64)).collect();
    places.sort_unstable();
    let before = std::iter::once(0).chain(places.iter().copied());
    let distances = before.zip(&places).map(|(before, place)| (place - before).max(1));
    distances.map(|bytes| usize::try_from(bytes).unwrap()).collect()
}

#[track_caller]
fn expect_cheap(line: &Line, way: Way) {
    assert_eq!(line.cuts_left(way), 0, "every cut was made");
    let (passed, most) = (line.passed_bytes(way), BYTES as u64 + CUTS as u64 * CUT_BYTES);
    println!("{passed} bytes for a file of {BYTES}");
    assert!(passed <= most, "{passed} bytes went over the line for a file of {BYTES}; {most} at most");
}

/// `RESGUARDO_CUT_SEED` repeats the places of a run.
#[test]
fn packet_cut_at_200_random_bytes_arrives_whole_and_goes_on_from_where_it_was() {
    let seed = std::env::var("RESGUARDO_CUT_SEED").ok();
    let seed = seed.map_or(u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("RESGUARDO_CUT_SEED={seed}");
    let random = SeededRandom::new(seed);
    let stage = Stage::set();
    let line = stage.by_line(&["ohchr-guatemala", "iachr"]);
    let content = content(seed, BYTES);
    let path = source(&stage, "long", &content);
    line.cut_after(Way::Up, distances(&random));
    let command = ["--json", "publish", "packet", &path, "--title", "Long", "--to", "iachr"];
    // A cut of another call than the file's ends the command with 4: it waits in the outbox.
    let published = loop {
        let ran = stage.run("ohchr-guatemala", &command);
        match ran.code {
            0 => break objects(&ran.out),
            code => assert_eq!(code, 4, "{ran:?}"),
        }
    };
    let published = published.iter().find(|it| it["object"] == "published").unwrap();
    let id = published["message_id"].as_str().unwrap();
    expect_cheap(&line, Way::Up);
    line.cut_after(Way::Down, distances(&random));
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.objects_until(&["files", "acknowledged"]);
    expect_cheap(&line, Way::Down);
    until("the hub has it acknowledged", || stages(&stage, id) == ["received"]);
    watch.signal("TERM");
    assert!(watch.end().success());
    let files = stage.names("iachr/files", "");
    assert_eq!(files, stage.names("ohchr-guatemala/files", ""), "what went is what came");
    let sealed = fs::read(stage.path(&format!("iachr/files/{}", files[0]))).unwrap();
    assert_eq!(files, [sha256_of(&sealed)]);
    // Once each, whatever was handed in twice.
    let entries = stage.objects("auditor-iachr", &["audit", "entries"]);
    for kind in ["publish", "receipt"] {
        let found: Vec<_> = entries.iter().filter(|entry| entry["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{found:?}");
    }
    assert_eq!(stage.names("iachr/inbox", ".kept").len(), 1);
    let to = stage.path("got");
    stage.well("iachr", &["packet", "get", id, "--to", to.to_str().unwrap()]);
    assert!(fs::read(to.join("long")).unwrap() == content);
    assert_eq!(stage.names("ohchr-guatemala/outbox", ".message.accepted").len(), 1);
    assert!(stage.names("ohchr-guatemala/outbox", ".pending").is_empty());
}
