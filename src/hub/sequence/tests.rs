//! The sequence over orders that give each of their answers, and over a clock that jumps.

use std::path::Path;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::super::submit::{Submitted, Submitter};
use super::*;
use crate::files::DiskError;
use crate::files::partial::Digested;
use crate::files::store as files;
use crate::host::clock::ManualClock;
use crate::host::disk::{CrashStyle, Fault, FaultPoint, MemoryDisk};
use crate::host::random::SeededRandom;
use crate::host::tasks::LocalTasks;
use crate::journal::{self, Options, SEGMENT_BYTES_MIN};
use crate::ledger::Opened;
use crate::ledger::store::memory::MemoryStore;
use crate::model::envelope::FileRef;
use crate::model::id::Position;
use crate::order::memory::{Answer, Memory};

const ID: [u8; 16] = *b"journal of tests";
const START: UnixMicros = UnixMicros(1_700_000_000_000_000);

/// What a sequence did with things that were handed in one after the other.
struct Did {
    outcomes: Vec<Outcome>,
    /// The statements and times in the journal.
    journaled: Vec<(Bytes, UnixMicros)>,
    /// How many there are in each batch.
    in_batches: Vec<usize>,
    ended: Result<(), SequenceError>,
    /// Whether the journal was closed in order, and the disk has it.
    closed: bool,
}

/// Runs a sequence over an order; `before` comes before each thing is handed in. What got no answer has no outcome.
fn run_over(
    order: Memory,
    things: &[&'static str],
    before: impl Fn(usize, &ManualClock, &MemoryDisk),
) -> Did {
    run(order, Duration::ZERO, async |submitter, clock, disk| {
        let mut outcomes = Vec::new();
        for (number, thing) in things.iter().enumerate() {
            before(number, clock, disk);
            let Ok(answer) = submitter.submit(vec![submitted(EntryKind::Refusal, thing)]).await else {
                continue;
            };
            outcomes.extend(answer.await.map(|decided| decided.outcomes).unwrap_or_default());
        }
        outcomes
    })
}

fn run(
    order: Memory,
    receipts_wait: Duration,
    hand_in: impl AsyncFnOnce(&Submitter, &ManualClock, &MemoryDisk) -> Vec<Outcome>,
) -> Did {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (disk, dir) = (MemoryDisk::new(), Path::new("/home/journal"));
        let options = Options { segment_bytes: SEGMENT_BYTES_MIN };
        journal::create(&disk, dir, ID, options).unwrap();
        let (journal, reader, _) =
            journal::open(Arc::new(disk.clone()), &LocalTasks, dir, options, None).unwrap();
        let Opened::Ready { ledger, .. } = Ledger::open(Arc::new(MemoryStore::default()), ID).unwrap() else {
            panic!("an empty store is of any journal")
        };
        let (rows, mut written) = mpsc::channel(1);
        let (clock, drain) = (Arc::new(ManualClock::at(START)), CancellationToken::new());
        let (submitter, submissions) = Submitter::new(clock.clone(), BATCH_BYTES_MAX, BATCH_BYTES_MAX);
        let sequence = Sequence {
            tail: order.tail(Position(0)),
            order,
            journal,
            ledger,
            rows,
            live: Arc::new(Live::default()),
            meters: Meters::new(),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            submissions,
            drain: drain.clone(),
            batch_bytes_max: BATCH_BYTES_MAX,
            receipts_wait,
            promiser: None,
            run: 1,
        };
        let hand_in = async {
            let outcomes = hand_in(&submitter, &clock, &disk).await;
            drain.cancel();
            outcomes
        };
        let rows = async { while written.recv().await.is_some() {} };
        let (ended, outcomes, ()) = tokio::join!(sequence.run(), hand_in, rows);
        let (mut journaled, mut in_batches) = (Vec::new(), Vec::new());
        let mut batches = reader.batches(Position(0));
        while let Some(batch) = batches.next().unwrap() {
            in_batches.push(batch.entries.len());
            journaled.extend(batch.entries.into_iter().map(|entry| (entry.statement, entry.time)));
        }
        let left = Arc::new(disk.crash(CrashStyle::DropUnsynced));
        let closed = journal::open(left, &LocalTasks, dir, options, None).is_ok_and(|(.., it)| it.closed);
        Did { outcomes, journaled, in_batches, ended, closed }
    })
}

fn submitted(kind: EntryKind, thing: &'static str) -> Submitted {
    let (identity, statement) = ("urn:resguardo:hub:test".to_owned(), Bytes::from_static(thing.as_bytes()));
    let proposal = Proposal { kind, identity, statement, payload: None };
    Submitted { proposal, statement: Statement::Refusal, pins: None }
}

fn statements(did: &Did) -> Vec<&[u8]> {
    did.journaled.iter().map(|(statement, _)| statement.as_ref()).collect()
}

#[test]
fn whatever_the_order_answers_each_thing_stands_once_and_in_order() {
    use Answer::{
        AmbiguousLost, AmbiguousWritten, Full, NotWritten, Position as Placed, TooLarge, Unavailable,
    };
    for script in [
        vec![],
        vec![NotWritten, NotWritten, Placed],
        vec![AmbiguousLost, Placed],
        vec![AmbiguousWritten, Placed],
        vec![AmbiguousWritten, AmbiguousWritten, AmbiguousLost, NotWritten, Placed],
        vec![AmbiguousWritten, Full, Unavailable, TooLarge, Placed, AmbiguousLost, Full, Placed],
        vec![Placed, NotWritten, AmbiguousWritten, NotWritten],
    ] {
        let did =
            run_over(Memory::scripted(Position(0), script.clone()), &["one", "two", "three"], |_, _, _| ());
        assert!(did.ended.is_ok() && did.closed, "{script:?}: {:?}", did.ended);
        assert_eq!(did.outcomes, [Outcome::Noted, Outcome::Noted, Outcome::Noted], "{script:?}");
        assert_eq!(statements(&did), [b"one".as_slice(), b"two", b"three"], "{script:?}");
    }
}

#[test]
fn what_the_order_did_not_take_is_refused_is_nowhere_and_may_come_again() {
    for (answer, reason, comes_again) in [
        (Answer::Full, Reason::Busy, true),
        (Answer::Unavailable, Reason::Busy, true),
        (Answer::TooLarge, Reason::TooLarge, false),
    ] {
        let order = Memory::scripted(Position(0), [Answer::Position, answer]);
        let did = run_over(order, &["one", "two", "two"], |_, _, _| ());
        assert!(did.ended.is_ok(), "{answer:?}: {:?}", did.ended);
        let [Outcome::Noted, Outcome::Refused(refusal), Outcome::Noted] = did.outcomes.as_slice() else {
            panic!("{answer:?}: {:?}", did.outcomes)
        };
        assert_eq!((refusal.reason, refusal.retry_after_ms.is_some()), (reason, comes_again), "{answer:?}");
        assert_eq!(statements(&did), [b"one".as_slice(), b"two"], "{answer:?}");
    }
}

#[test]
fn clock_that_jumps_back_stops_nothing_and_time_stands_still_until_it_is_there_again() {
    let us = START.0;
    let readings = [us, us + 9, us - 3_600_000_000, us + 5, us + 12].map(UnixMicros);
    let things = ["one", "two", "three", "four", "five"];
    let did = run_over(Memory::scripted(Position(0), []), &things, |number, clock, _| {
        clock.jump_to(readings[number]);
    });
    assert!(did.ended.is_ok(), "{:?}", did.ended);
    let times: Vec<_> = did.journaled.iter().map(|(_, time)| time.0 - us).collect();
    assert_eq!(times, [0, 9, 9, 9, 12]);
}

#[test]
fn nothing_is_answered_that_the_disk_did_not_sync_nor_anything_after_it() {
    for point in [FaultPoint::Write, FaultPoint::Sync] {
        let order = Memory::scripted(Position(0), []);
        let did = run_over(order, &["one", "two", "three"], |number, _, disk| {
            if number == 1 {
                disk.inject(Fault { point, after: 0, error: std::io::ErrorKind::Other, carried_out: false });
            }
        });
        assert_eq!(did.outcomes, [Outcome::Noted], "{point:?}");
        assert_eq!(statements(&did), [b"one"], "{point:?}");
        assert!(matches!(did.ended, Err(SequenceError::Journal(_))), "{point:?}: {:?}", did.ended);
    }
}

#[test]
fn receipts_go_to_the_disk_with_the_message_that_comes_next_and_alone_when_none_comes() {
    use EntryKind::{Publish, Receipt};
    let things = [(Receipt, "one"), (Receipt, "two"), (Publish, "three"), (Receipt, "four")];
    for (wait, in_batches) in [(Duration::from_hours(1), vec![3, 1]), (Duration::ZERO, vec![1, 1, 1, 1])] {
        let did = run(Memory::scripted(Position(0), []), wait, async |submitter, _, _| {
            let mut answers = Vec::new();
            for (kind, thing) in things {
                answers.push(submitter.submit(vec![submitted(kind, thing)]).await.unwrap());
                // The sequence has its turn: what would not wait is gone by then.
                while wait.is_zero() && answers.last().is_some_and(oneshot::Receiver::is_empty) {
                    tokio::task::yield_now().await;
                }
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
            Vec::new()
        });
        assert!(did.ended.is_ok() && did.closed, "{:?}", did.ended);
        assert_eq!(did.in_batches, in_batches, "receipts that wait {wait:?}");
        assert_eq!(statements(&did), [b"one".as_slice(), b"two", b"three", b"four"]);
    }
}

#[test]
fn files_of_a_message_are_held_until_it_is_decided() {
    let room = files::Room { office_bytes_max: 100, disk_reserve_bytes: 0 };
    let store = files::Store::open(Arc::new(MemoryDisk::new()), "/home/files".into(), room, START).unwrap();
    let mut digested = Digested::nothing();
    digested.take(b"held");
    let (office, file) = ("iachr".parse().unwrap(), FileRef { digest: digested.finish(), bytes: 4 });
    store.begin(&office, file, START).unwrap();
    let mut upload = store.upload(&office, file, 0).unwrap();
    upload.take(b"held").unwrap();
    upload.finish().unwrap();
    let a_day_later = UnixMicros(START.0 + files::ORPHAN_US);
    let cleared = || store.clear(a_day_later, |_, _| Ok::<_, DiskError>(false)).unwrap();
    // The order makes the sequence try again, with a pause in which the test has its turn.
    let order = Memory::scripted(Position(0), [Answer::NotWritten; 3]);
    let did = run(order, Duration::ZERO, async |submitter, _, _| {
        let pins = Some(store.pin(&office, &[file]).unwrap());
        let message = Submitted { pins, ..submitted(EntryKind::Publish, "one") };
        let answer = submitter.submit(vec![message]).await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(cleared(), 0, "its message is on its way");
        assert!(answer.is_empty(), "it is not decided yet");
        answer.await.unwrap().outcomes
    });
    assert_eq!((did.outcomes.len(), cleared()), (1, 1), "nothing holds it any more");
}
