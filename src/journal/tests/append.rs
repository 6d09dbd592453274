//! Appending and reading.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;

use super::*;
use crate::host::disk::{Fault, FaultPoint, Operation, OsDisk};
use crate::host::tasks::TokioTasks;

#[test]
fn entries_and_batches_are_read_as_they_were_appended_across_segments_and_reopening() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let random = SeededRandom::new(1);
        let batches: Vec<_> = (0..60).map(|number| random_batch(number, &random)).collect();
        let mut marks = vec![Mark { journal: ID, ..Mark::default() }];
        for part in batches.chunks(25) {
            let (mut writer, reader, recovery) = open_small(&disk);
            assert_eq!(recovery, Recovery { closed: true, torn: None, ends_remade: vec![] });
            assert_eq!(reader.mark(), *marks.last().unwrap());
            for batch in part {
                let appended = writer.append(batch).unwrap();
                assert_eq!(appended.first, marks.last().unwrap().next_index);
                let read = reader.from(appended.first).next().unwrap().unwrap();
                assert_eq!(appended.entries[0], read);
                assert_eq!((writer.mark(), reader.mark()), (appended.mark, appended.mark));
                marks.push(appended.mark);
            }
            writer.close().unwrap();
        }
        assert!(segments_of(&disk).len() > 3);
        let (_writer, reader, _) = open_small(&disk);
        reads_all(&reader, &batches, &marks);
        let verified = verified(&reader).unwrap();
        assert_eq!((verified.batches, verified.mark), (60, *marks.last().unwrap()));
        assert_eq!(verified.entries, marks[60].next_index.0);
    });
}

#[test]
fn first_entry_at_or_after_a_time_is_found_by_halving() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, reader, _) = open_small(&disk);
        assert_eq!(reader.index_at(UnixMicros(0)).unwrap(), Index(0));
        let random = SeededRandom::new(3);
        // Several batches have the same time, and there are gaps.
        for number in 0..40 {
            let time = UnixMicros(1_000 + number / 3 * 10);
            writer.append(&Batch { time, ..random_batch(number, &random) }).unwrap();
        }
        assert!(segments_of(&disk).len() > 2);
        let entries = entries_read(&reader).unwrap();
        for time in (990..1_150).map(UnixMicros) {
            let first = entries.iter().find(|entry| entry.time >= time).map(|entry| entry.index);
            let expected = first.unwrap_or(reader.mark().next_index);
            assert_eq!(reader.index_at(time).unwrap(), expected, "{time:?}");
        }
    });
}

fn reads_all(reader: &Reader, batches: &[Batch], marks: &[Mark]) {
    let entries = entries_expected(batches);
    assert_eq!(entries_read(reader).unwrap(), entries);
    let mut bare = reader.without_payloads(Index(0));
    for entry in &entries {
        let expected = Entry { payload: Payload::None, ..entry.clone() };
        assert_eq!(bare.next().unwrap(), Some(expected));
        assert_eq!(reader.entry(entry.index).unwrap().as_ref(), Some(entry));
    }
    assert_eq!(reader.entry(Index(entries.len() as u64)).unwrap(), None);
    for (position, mark) in (0..).zip(marks) {
        assert_eq!(reader.mark_at(Position(position)).unwrap().as_ref(), Some(mark));
        assert!(reader.holds(mark).unwrap());
        assert!(!reader.holds(&Mark { chain: mark.chain ^ 1, ..*mark }).unwrap());
        let stored = batches_read(reader, position).unwrap();
        assert_eq!(stored.len(), marks.len() - 1 - usize::try_from(position).unwrap());
        for stored in stored {
            let place = usize::try_from(stored.after.position.0).unwrap();
            assert_eq!((stored.name, stored.after), (batches[place - 1].name, marks[place]));
            let range = marks[place - 1].next_index.0..marks[place].next_index.0;
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert_eq!(stored.entries, entries[range]);
        }
    }
    assert_eq!(reader.mark_at(Position(marks.len() as u64)).unwrap(), None);
}

#[test]
fn sparse_index_finds_each_entry_in_segments_of_many_points() {
    on_one_thread(async || {
        let options = Options { segment_bytes: 512 << 10 };
        let disk = new_journal(options);
        let (mut writer, reader, _) = open_in(&disk, options, None).unwrap();
        let random = SeededRandom::new(2);
        let mut batches = Vec::new();
        for number in 0..12 {
            let proposals = (0..=random.below(20)).map(|_| {
                let mut payload = vec![7; usize::try_from(random.below(20_000)).unwrap()];
                random.fill(&mut payload);
                proposal(b"statement", Some(&payload))
            });
            batches.push(batch(number, proposals.collect()));
            writer.append(batches.last().unwrap()).unwrap();
        }
        assert!(segments_of(&disk).len() > 2);
        let known = reader.shared.segment(0).unwrap();
        assert!(known.points.len() >= 6, "{:?}", known.points);
        let marks = (0..=12).map(|position| reader.mark_at(Position(position)).unwrap().unwrap());
        reads_all(&reader, &batches, &marks.collect::<Vec<_>>());
        drop(writer);
        let (_writer, again, _) = open_in(&disk, options, None).unwrap();
        verified(&again).unwrap();
        for number in 0.. {
            let Some(before) = reader.shared.segment(number) else { break };
            assert_eq!(
                again.shared.segment(number).unwrap().points,
                before.points,
                "as scanned, or as written at its end"
            );
        }
    });
}

#[test]
fn readers_wait_at_the_end_and_go_on() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, reader, _) = open_small(&disk);
        let (mut cursor, mut replay) = (reader.from(Index(1)), reader.batches(Position(1)));
        let random = SeededRandom::new(3);
        for number in 0..40 {
            assert_eq!(replay.next().unwrap(), None);
            while cursor.next().unwrap().is_some() {}
            let appended = writer.append(&random_batch(number, &random)).unwrap();
            if number > 0 {
                assert_eq!(replay.next().unwrap().unwrap().after, appended.mark);
                assert_eq!(cursor.next().unwrap().as_ref(), Some(&appended.entries[0]));
            }
        }
        assert!(segments_of(&disk).len() > 2);
    });
}

#[test]
fn batch_of_one_kibibyte_costs_one_write_and_one_sync_however_long_the_journal_is() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, _reader, _) = open_small(&disk);
        let kibibyte = |number| batch(number, vec![proposal(b"", Some(&[9; 1_024]))]);
        let mut costs = Vec::new();
        for number in 0..100 {
            let_others_run().await;
            disk.record();
            writer.append(&kibibyte(number)).unwrap();
            costs.push(disk.recorded().iter().map(kind_of).collect::<String>());
        }
        let plain = costs.iter().filter(|cost| *cost == "ws").count();
        let changes: Vec<_> = costs.iter().filter(|cost| *cost != "ws").collect();
        assert!(plain > 85, "{costs:?}");
        assert!(
            changes.iter().all(|cost| *cost == "wsmdwsws"),
            "no zeros are written by an append: {changes:?}"
        );
    });
}

fn kind_of(operation: &Operation) -> char {
    match operation {
        Operation::Write(..) => 'w',
        Operation::SyncData(_) => 's',
        Operation::Rename(..) => 'm',
        Operation::SyncDir(_) => 'd',
        _ => '?',
    }
}

#[test]
fn bounds_are_kept_and_what_is_refused_leaves_no_trace() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, reader, _) = open_small(&disk);
        let good = batch(5, vec![proposal(b"good", None)]);
        let mark = writer.append(&good).unwrap().mark;
        let of = |proposals| Batch { proposals, ..batch(6, vec![]) };
        let long_identity = Proposal { identity: "a".repeat(256), ..proposal(b"", None) };
        let refused = [
            (of(vec![]), "a batch of no entries, expected at least 1"),
            (of(vec![long_identity]), "an identity of 256 bytes, expected at most 255"),
            (
                of(vec![proposal(&vec![0; STATEMENT_BYTES_MAX + 1], None)]),
                "a statement of 1048577 bytes, expected at most 1048576",
            ),
            (
                of(vec![proposal(b"", Some(&vec![0; PAYLOAD_BYTES_MAX + 1]))]),
                "a payload of 4194305 bytes, expected at most 4194304",
            ),
            (of(vec![proposal(b"", Some(&[0; 13_000]))]), "a batch of 13216 bytes, expected at most 12160"),
            (
                batch(4, vec![proposal(b"", None)]),
                "a batch of the time 1700000000000004 µs, expected 1700000000000005 or later",
            ),
        ];
        for (batch, text) in refused {
            assert_eq!(writer.append(&batch).unwrap_err().to_string(), text);
        }
        assert_eq!(reader.mark(), mark);
        let longest = Proposal { identity: "a".repeat(255), ..proposal(&[], Some(&[])) };
        writer.append(&of(vec![longest.clone()])).unwrap();
        assert_eq!(entries_read(&reader).unwrap(), entries_expected(&[good, of(vec![longest])]));
    });
}

#[test]
fn largest_batch_fits_into_a_default_segment_and_a_full_small_one() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, reader, _) = open_small(&disk);
        let room = super::super::segment::batch_room(SMALL.segment_bytes);
        for number in 0..3 {
            let frames = 80 + 16 + 48 + 45 + 3 + 16;
            let payload = vec![1; usize::try_from(room.end - room.start).unwrap() - frames];
            writer.append(&batch(number, vec![proposal(b"", Some(&payload))])).unwrap();
        }
        assert_eq!(segments_of(&disk).len(), 3);
        verified(&reader).unwrap();
        writer.close().unwrap();
        let (_writer, reader, recovery) = open_small(&disk);
        assert!(recovery.closed);
        verified(&reader).unwrap();

        let disk = new_journal(Options::default());
        let (mut writer, reader, _) = open_in(&disk, Options::default(), None).unwrap();
        let largest = proposal(&vec![1; STATEMENT_BYTES_MAX], Some(&vec![2; PAYLOAD_BYTES_MAX]));
        let appended = writer.append(&batch(0, vec![largest])).unwrap();
        assert_eq!(reader.entry(Index(0)).unwrap().as_ref(), Some(&appended.entries[0]));
    });
}

#[test]
fn any_error_of_the_disk_stops_the_writer_for_good_and_a_restart_goes_on() {
    on_one_thread(async || {
        // Of the operations of an append, and of an append that changes the segment, each fails once, done or not done.
        let places = [(FaultPoint::Write, 3), (FaultPoint::Sync, 4), (FaultPoint::Name, 1)];
        for (point, count, carried_out) in
            places.into_iter().flat_map(|(point, count)| [(point, count, false), (point, count, true)])
        {
            for after in 0..count {
                stops_at(Fault { point, after, error: std::io::ErrorKind::TimedOut, carried_out }).await;
            }
        }
    });
}

async fn stops_at(fault: Fault) {
    let disk = new_journal(SMALL);
    let (mut writer, reader, _) = open_small(&disk);
    let large = |number| batch(number, vec![proposal(b"", Some(&[1; 9_000]))]);
    writer.append(&large(0)).unwrap();
    let_others_run().await;
    disk.inject(fault);
    let mark = writer.mark();
    let error = writer.append(&large(1)).unwrap_err();
    assert!(matches!(error, JournalError::Disk { .. }), "{fault:?}: {error}");
    let stopped = writer.append(&large(1)).unwrap_err().to_string();
    assert_eq!(stopped, format!("the journal takes no more since an error: {error}"));
    assert_eq!((reader.mark(), entries_read(&reader).unwrap().len()), (mark, 1));
    assert!(matches!(writer.close(), Err(JournalError::Stopped { .. })));
    let (mut writer, reader, _) = open_in(&disk, SMALL, Some(&mark)).unwrap();
    let there = reader.mark().position.0;
    assert!(there == 1 || there == 2);
    writer.append(&large(there)).unwrap();
    assert_eq!(verified(&reader).unwrap().batches, there + 1);
}

#[test]
fn shortage_is_told_before_the_segment_is_full_and_ends_when_there_is_room() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, _reader, _) = open_small(&disk);
        let space = writer.space();
        let_others_run().await;
        assert_eq!(space.shortage(), None);
        let half = |number| batch(number, vec![proposal(b"", Some(&[1; 6_000]))]);
        disk.set_capacity_bytes(2 * SEGMENT_BYTES_MIN + 100);
        // Into the second segment, prepared while there was room.
        for number in 0..2 {
            writer.append(&half(number)).unwrap();
        }
        let_others_run().await;
        assert_eq!(space.shortage().unwrap(), "100 bytes free, expected 16384");
        // Receipts go on in what is left of the current one.
        writer.append(&batch(3, vec![proposal(b"receipt", None)])).unwrap();
        let full = writer.append(&half(4)).unwrap_err();
        assert!(matches!(full, JournalError::Full { .. }), "{full}");
        writer.append(&batch(5, vec![proposal(b"receipt", None)])).unwrap();
        disk.set_capacity_bytes(u64::MAX);
        assert!(space.shortage().is_some(), "not known yet");
        let_others_run().await;
        assert_eq!(space.shortage(), None);
        writer.append(&half(6)).unwrap();
    });
}

#[test]
fn failed_preparation_leaves_no_file_and_does_not_stop_what_fits() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, _reader, _) = open_small(&disk);
        disk.inject(Fault {
            point: FaultPoint::Write,
            after: 0,
            error: std::io::ErrorKind::StorageFull,
            carried_out: true,
        });
        let_others_run().await;
        assert!(writer.space().shortage().is_some());
        assert_eq!(disk.list(dir()).unwrap(), ["00000000.segment", "lock"]);
        writer.append(&batch(0, vec![proposal(b"", None)])).unwrap();
    });
}

#[test]
fn one_writer_a_journal_and_one_journal_a_folder() {
    on_one_thread(async || {
        let disk = MemoryDisk::new();
        let missing = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err();
        assert!(matches!(missing, JournalError::NotFound { .. }), "{missing}");
        create(&disk, dir(), ID, SMALL).unwrap();
        assert!(matches!(create(&disk, dir(), ID, SMALL), Err(JournalError::Exists { .. })));
        let (writer, _reader, _) = open_small(&disk);
        let locked = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err();
        assert_eq!(locked.to_string(), "/home/journal/lock is locked: another process has this journal open");
        drop(writer);
        open_small(&disk);
        for segment_bytes in [0, SEGMENT_BYTES_MIN - 4_096, SEGMENT_BYTES_MIN + 8, SEGMENT_BYTES_MAX + 4_096]
        {
            let refused = create(&disk, Path::new("/other"), ID, Options { segment_bytes });
            assert!(matches!(refused, Err(JournalError::SegmentBytes { .. })));
        }
    });
}

#[test]
fn another_process_keeps_the_journal_closed() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let tasks = TokioTasks::on(runtime.handle().clone());
    create(&OsDisk, home.path(), ID, SMALL).unwrap();
    let lock = home.path().join(LOCK_FILE);
    let mut other = std::process::Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut held).unwrap();
    let open = || open(Arc::new(OsDisk), &tasks, home.path(), SMALL, None);
    assert!(matches!(open(), Err(JournalError::Locked { .. })));
    drop(other.stdin.take());
    other.wait().unwrap();
    open().unwrap();
}

#[test]
fn real_disk_takes_batches_while_others_read_them() {
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let tasks = TokioTasks::on(runtime.handle().clone());
    let options = Options { segment_bytes: 128 << 10 };
    create(&OsDisk, home.path(), ID, options).unwrap();
    let open = |mark: Option<&Mark>| open(Arc::new(OsDisk), &tasks, home.path(), options, mark).unwrap();
    let (mut writer, reader, _) = open(None);
    let random = SeededRandom::new(4);
    let batches: Vec<_> = (0..300).map(|number| random_batch(number, &random)).collect();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut cursor, mut entries) = (reader.from(Index(0)), Vec::new());
            loop {
                let last_round = ended.load(Ordering::SeqCst);
                while let Some(entry) = cursor.next().unwrap() {
                    entries.push(entry);
                }
                if last_round {
                    return entries;
                }
                std::thread::yield_now();
            }
        });
        for batch in &batches {
            writer.append(batch).unwrap();
        }
        ended.store(true, Ordering::SeqCst);
        assert_eq!(reading.join().unwrap(), entries_expected(&batches));
    });
    let mark = writer.mark();
    drop(writer);
    let (writer, reader, recovery) = open(Some(&mark));
    assert_eq!(recovery, Recovery { closed: false, torn: None, ends_remade: vec![] });
    assert_eq!(entries_read(&reader).unwrap(), entries_expected(&batches));
    assert!(verified(&reader).unwrap().segments > 3);
    writer.close().unwrap();
    assert!(open(Some(&mark)).2.closed);
}

#[test]
fn writer_moves_to_its_thread_and_readers_are_shared() {
    fn moves<T: Send>() {}
    fn is_shared<T: Clone + Send + Sync>() {}
    moves::<(Writer, Cursor, Batches, JournalError)>();
    is_shared::<(Reader, Space)>();
}
