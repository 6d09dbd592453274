//! What an outbox promises, crash by crash.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::sample::{NOW, envelope, id, signed};
use crate::host::disk::crash;
use crate::host::disk::{CrashStyle, Disk, MemoryDisk};

fn outgoing(seed: u64) -> Outgoing {
    let payload = Bytes::from(format!("payload {seed}"));
    let envelope = envelope(seed, "ohchr-honduras", "iachr", &payload);
    let envelope_bytes = signed(&envelope);
    let name = Some(CapName::of(id(seed), &reference(seed, "2026-03-02T09:14:00-06:00")));
    Outgoing {
        envelope,
        envelope_bytes,
        payload,
        to_members: false,
        name,
        sources: Vec::new(),
        seen: None,
        erased: false,
        outcome: None,
        promise: None,
    }
}

fn reference(seed: u64, sent: &str) -> Reference {
    Reference::parse(&format!("a@example.org,id-{seed},{sent}")).unwrap()
}

fn statement(seed: u64) -> StatementEntry {
    let sender = "iachr".parse().unwrap();
    StatementEntry { id: id(seed), message_id: id(1), sender, stage: Stage::Read, stand: Stand::Pending }
}

const ACCEPTED: Outcome =
    Outcome::Accepted { index: Index(12), at: NOW, epoch: EpochId(0), repeated: false, unsigned: false };

fn refused() -> Outcome {
    Outcome::Refused { reason: "STREAM_NOT_ALLOWED".into(), message: "no".into() }
}

async fn outbox_on(disk: &MemoryDisk) -> (Outbox, HomeLock) {
    let home = home_on(disk);
    (Outbox::open(&home).unwrap(), home.lock().await.unwrap())
}

#[tokio::test]
async fn what_was_handed_in_had_been_kept_and_is_handed_in_again_as_the_same_bytes() {
    let disk = MemoryDisk::new();
    disk.record();
    let (outbox, held) = outbox_on(&disk).await;
    let ready = disk.recorded().len();
    let mut marks = Vec::new();
    let mut mark = |what: &'static str| marks.push((what, disk.recorded().len()));
    outbox.add_message(&held, &outgoing(1), NOW).unwrap();
    mark("message kept");
    outbox
        .add_statement(
            &held,
            &statement(2),
            (Bytes::from_static(b"receipt"), Bytes::from_static(b"note")),
            NOW,
        )
        .unwrap();
    mark("statement kept");
    outbox.settle_message(&held, id(1), (ACCEPTED, None)).unwrap();
    mark("message settled");
    outbox.settle_statement(&held, &statement(2), refused()).unwrap();
    mark("statement settled");
    crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
        let home = Home::open(Arc::new(disk.clone()), Path::new("/home")).unwrap();
        let outbox = Outbox::open(&home).unwrap();
        let held = HomeLock::of(disk.lock(Path::new("/home/lock")).unwrap().unwrap());
        let passed = |what| marks.iter().any(|(mark, at)| *mark == what && *at <= done);
        let check = |outbox: &Outbox| {
            let messages = outbox.messages().unwrap();
            let statements = outbox.statements().unwrap();
            assert!(!passed("message kept") || messages.len() == 1, "a message is lost");
            assert!(!passed("statement kept") || statements.len() == 1, "a receipt is lost");
            let waits = outbox.pending().unwrap();
            let pending = |stand: Stand| usize::from(stand == Stand::Pending);
            assert_eq!(waits.0.len(), messages.iter().map(|entry| pending(entry.stand)).sum::<usize>());
            assert_eq!(waits.1.len(), statements.iter().map(|entry| pending(entry.stand)).sum::<usize>());
            for entry in messages {
                let read = outbox.read_message(entry.message_id).unwrap();
                let outcome = (entry.stand == Stand::Accepted).then_some(ACCEPTED);
                assert!(!passed("message settled") || outcome.is_some());
                assert_eq!(read, Outgoing { outcome, ..outgoing(1) });
            }
            for entry in statements {
                let read = outbox.read_statement(&entry).unwrap();
                assert!(!passed("statement settled") || entry.stand == Stand::Refused);
                let outcome = (entry.stand == Stand::Refused).then(refused);
                assert_eq!(
                    read,
                    Statement {
                        receipt_bytes: Bytes::from_static(b"receipt"),
                        note: Bytes::from_static(b"note"),
                        outcome
                    }
                );
            }
        };
        check(&outbox);
        // What is listed may be handed in: so it outlives a power cut, whichever run wrote it.
        let waits = outbox.pending().unwrap();
        let home = Home::open(Arc::new(disk.crash(CrashStyle::DropUnsynced)), Path::new("/home")).unwrap();
        let after = Outbox::open(&home).unwrap();
        let kept = after.messages().unwrap().into_iter().map(|entry| entry.message_id).collect::<Vec<_>>();
        assert!(waits.0.iter().all(|id| kept.contains(id)), "{done} operations, a kill and a power cut");
        assert!(waits.1.len() <= after.statements().unwrap().len());
        outbox.sweep(&held).unwrap();
        check(&outbox);
        let names = disk.list(Path::new("/home/outbox")).unwrap();
        assert!(names.len() <= 2, "something is left over: {names:?}");
    });
}

#[tokio::test]
async fn the_first_outcome_noted_stays() {
    let disk = MemoryDisk::new();
    let (outbox, held) = outbox_on(&disk).await;
    outbox.add_message(&held, &outgoing(1), NOW).unwrap();
    outbox.settle_message(&held, id(1), (ACCEPTED, None)).unwrap();
    outbox.settle_message(&held, id(1), (refused(), None)).unwrap();
    assert_eq!(outbox.read_message(id(1)).unwrap().outcome, Some(ACCEPTED));
    assert_eq!(outbox.messages().unwrap(), [OutboxEntry { message_id: id(1), stand: Stand::Accepted }]);
}

#[tokio::test]
async fn references_are_found_among_what_was_not_refused() {
    let disk = MemoryDisk::new();
    let (outbox, held) = outbox_on(&disk).await;
    for seed in 1..=4 {
        outbox.add_message(&held, &outgoing(seed), NOW).unwrap();
    }
    outbox.settle_message(&held, id(2), (refused(), None)).unwrap();
    let path = format!("/home/outbox/{}", message_name(id(4), Stand::Pending));
    disk.flip_bit(Path::new(&path), 30, 0).unwrap();
    // The same instant, written by a program that prefers another offset.
    let wanted: Vec<_> = (1..=4).map(|seed| reference(seed, "2026-03-02T15:14:00+00:00")).collect();
    let found = outbox.by_references(&wanted).unwrap();
    let ids: Vec<_> = found.messages.iter().map(|it| it.as_ref().map(|it| it.message_id)).collect();
    assert_eq!(ids, [Some(id(1)), None, Some(id(3)), None]);
    assert_eq!(found.damaged.len(), 1);
}

#[tokio::test]
async fn a_second_process_waits_for_the_lock_and_says_so_in_the_end() {
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    let held = home.lock().await.unwrap();
    let error = home.lock_trying(2).await.err().unwrap();
    assert!(error.to_string().contains("end it, then try again"), "{error}");
    drop(held);
    home.lock().await.unwrap();
}
