//! An office's disk fails at calls that a command makes of it, at each in the end: the command says so in words, what was kept is handed in once,
//! and what the hub calls received is in the inbox.

use std::collections::BTreeSet;

use rustix::io::Errno;

use super::failing_disk::{FailingDisk, Fault, NAMES, READS, SYNCS, WRITES};
use super::kills::{kept, received};
use super::stage::{Ran, Stage, objects, run};
use resguardo::host::random::SeededRandom;

/// Faults of each kind in turn, once or for as long as the command runs.
const FAULTS: [(u32, Errno, bool, &str); 4] = [
    (WRITES | NAMES, Errno::NOSPC, true, "No space left on device"),
    (WRITES | NAMES, Errno::ROFS, true, "Read-only file system"),
    (SYNCS, Errno::IO, false, "Input/output error"),
    (READS, Errno::IO, false, "Input/output error"),
];
/// More calls of a kind than any command makes.
const CALLS_MAX: u64 = 400;
/// One call of so many fails; each where `RESGUARDO_FAULTS` is set.
const CALLS_TO_A_FAULT: u64 = 4;

/// Runs a command again and again, at another of its calls each time, until none is left that can fail; hands each run on.
fn at_each_call(
    stage: &Stage,
    home: &str,
    mut arguments: impl FnMut() -> Vec<String>,
    mut ended: impl FnMut(&Ran, &str),
) {
    let disk = FailingDisk::below(&stage.path(home), &stage.path(&format!("orders-{home}")));
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let random = SeededRandom::new(seed);
    let each = if std::env::var_os("RESGUARDO_FAULTS").is_some() { 1 } else { CALLS_TO_A_FAULT };
    for (kinds, error, lasting, words) in FAULTS {
        let mut after = random.below(each);
        loop {
            assert!(after < CALLS_MAX, "the command makes no end of calls");
            let arguments = arguments();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let fault = Fault { kinds, part: "", after: u32::try_from(after).unwrap(), error, lasting };
            disk.fail(fault);
            let ran = run(stage.command(home, &arguments).envs(disk.environment()));
            disk.mend();
            let met = disk.failed();
            let when = format!("{arguments:?}, call {after} of kind {kinds}, {error}, at {met:?}: {ran:?}");
            if met.is_some() && ran.code != 0 {
                // Where what it could not read is a question to somebody, nobody was there to answer.
                let asks = ran.err.contains("nobody is here to answer");
                assert!(ran.code == if asks { 2 } else { 1 } && ran.err.contains(words), "{when}");
            } else {
                assert_eq!(ran.code, 0, "{when}");
            }
            assert!(!ran.err.contains("panicked"), "{when}");
            ended(&ran, &when);
            if met.is_none() {
                break;
            }
            after += 1 + random.below(2 * each - 1);
        }
    }
}

fn texts(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(ToString::to_string).collect()
}

#[test]
fn an_alert_is_kept_and_handed_in_once_or_the_command_says_that_it_is_not() {
    let stage = Stage::set();
    let mut count = 0;
    let mut told = BTreeSet::new();
    let publish = || {
        count += 1;
        texts(&["--json", "publish", "alert", &stage.alert(&format!("alert-{count}")), "--to", "iachr"])
    };
    at_each_call(&stage, "ohchr-honduras", publish, |ran, when| {
        let objects = objects(&ran.out);
        told.extend(objects.iter().filter_map(|it| it["message_id"].as_str().map(str::to_owned)));
        let pending = stage.run("ohchr-honduras", &["--json", "publish", "pending"]);
        assert_eq!(pending.code, 0, "{when}, then {pending:?}");
    });
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    let audited: Vec<_> = rows.iter().map(|row| row["message_id"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = audited.iter().cloned().collect();
    assert_eq!(audited.len(), once.len(), "a message is there twice");
    assert!(told.is_subset(&once), "told and not there: {:?}", told.difference(&once));
    let names = stage.names("ohchr-honduras/outbox", ".message.accepted");
    let kept: BTreeSet<_> = names.iter().map(|name| name.split('.').next().unwrap().to_owned()).collect();
    assert_eq!(kept, once);
    println!("{count} runs, {} alerts", once.len());
}

#[test]
fn what_the_hub_calls_received_is_in_the_inbox() {
    let stage = Stage::set();
    let mut expected = BTreeSet::new();
    let subscribe = || {
        let file = stage.alert(&format!("alert-{}", expected.len()));
        let published = &stage.objects("ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"])[0];
        expected.insert(published["message_id"].as_str().unwrap().to_owned());
        texts(&["--json", "subscribe", "--count", "1"])
    };
    at_each_call(&stage, "iachr", subscribe, |_, when| {
        let (received, kept) = (received(&stage), kept(&stage));
        let lost: Vec<_> = received.difference(&kept).collect();
        assert!(lost.is_empty(), "{when}: received and not kept: {lost:?}");
    });
    let left = expected.len() - received(&stage).len();
    if left > 0 {
        stage.well("iachr", &["subscribe", "--count", &left.to_string()]);
    }
    assert_eq!((received(&stage), kept(&stage)), (expected.clone(), expected.clone()));
    assert_eq!(stage.names("iachr/inbox", ".kept").len(), expected.len());
    println!("{} runs", expected.len());
}

#[test]
fn what_an_officer_states_is_kept_and_handed_in_once_or_the_command_says_that_it_is_not() {
    let stage = Stage::set();
    let (mut messages, mut stated) = (Vec::new(), BTreeSet::new());
    let ack = || {
        let file = stage.alert(&format!("alert-{}", messages.len()));
        let published = &stage.objects("ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"])[0];
        messages.push(published["message_id"].as_str().unwrap().to_owned());
        stage.well("iachr", &["subscribe", "--count", "1"]);
        texts(&["--json", "ack", messages.last().unwrap(), "--stage", "read"])
    };
    at_each_call(&stage, "iachr", ack, |ran, when| {
        let objects = objects(&ran.out);
        stated.extend(objects.iter().filter_map(|it| it["message_id"].as_str().map(str::to_owned)));
        let pending = stage.run("iachr", &["--json", "publish", "pending"]);
        assert_eq!(pending.code, 0, "{when}, then {pending:?}");
    });
    let rows = stage.objects("auditor-iachr", &["audit", "receipts"]);
    // Handed in again, it may stand there again, and then says that it states nothing new.
    let read = rows.iter().filter(|row| row["stage"] == "read" && row["news"] == 1);
    let read: Vec<_> =
        read.map(|row| row["messages"][0]["message_id"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = read.iter().cloned().collect();
    assert_eq!(read.len(), once.len(), "a statement counts twice");
    assert!(stated.is_subset(&once), "told and not there: {:?}", stated.difference(&once));
    println!("{} runs, {} statements", messages.len(), once.len());
}
