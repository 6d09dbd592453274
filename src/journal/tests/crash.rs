//! Power cuts and killed processes, at every operation of a run.

use super::*;
use crate::host::disk::{CrashStyle, Fault, FaultPoint, Operation};

/// A run of a writer: all that its disk did, and how much of it stood when each append returned.
struct Run {
    disk_before: MemoryDisk,
    operations: Vec<Operation>,
    batches: Vec<Batch>,
    acknowledged_at: Vec<usize>,
    marks: Vec<Mark>,
}

/// Appends some batches, closes now and then, and lets the next segment be prepared at some times and not at others.
async fn run(seed: u64, count: u64, syncs_ignored: bool) -> Run {
    let random = SeededRandom::new(seed);
    let disk = new_journal(SMALL);
    let disk_before = disk.crash(CrashStyle::ProcessEnd);
    disk.ignore_syncs(syncs_ignored);
    disk.record();
    let (mut writer, ..) = open_small(&disk);
    let (mut batches, mut acknowledged_at, mut marks) = (Vec::new(), Vec::new(), vec![writer.mark()]);
    for number in 0..count {
        if random.below(3) == 0 {
            let_others_run().await;
        }
        if random.below(6) == 0 {
            writer.close().unwrap();
            writer = open_small(&disk).0;
        }
        let batch = random_batch(number, &random);
        marks.push(writer.append(&batch).unwrap().mark);
        acknowledged_at.push(disk.recorded().len());
        batches.push(batch);
    }
    Run { disk_before, operations: disk.recorded(), batches, acknowledged_at, marks }
}

impl Run {
    /// Opens the disk as a crash left it after `done` operations, and says what is not as promised.
    fn check(&self, crashed: &MemoryDisk, done: usize) -> Result<(), String> {
        let acknowledged = self.acknowledged_at.iter().filter(|at| **at <= done).count();
        let confirmed = &self.marks[acknowledged];
        let opened = open_in(crashed, SMALL, Some(confirmed)).map_err(|error| error.to_string())?;
        let (mut writer, reader, recovery) = opened;
        let stored = batches_read(&reader, 0).map_err(|error| error.to_string())?;
        if stored.len() != acknowledged && stored.len() != acknowledged + 1 {
            return Err(format!("{} batches, of {acknowledged} acknowledged: {recovery:?}", stored.len()));
        }
        let there = &self.batches[..stored.len()];
        let entries: Vec<_> = stored.into_iter().flat_map(|batch| batch.entries).collect();
        if entries != entries_expected(there) {
            return Err("other entries than were appended".into());
        }
        // It goes on, and what was there stays there, also when the power is cut at once.
        let number = there.len() as u64;
        let mark = writer.append(&batch(number, vec![proposal(b"after the crash", None)]));
        let mark = mark.map_err(|error| error.to_string())?.mark;
        let checked = verified(&reader).map_err(|error| error.to_string())?;
        if (checked.mark, checked.batches) != (mark, number + 1) {
            return Err(format!("{checked:?}"));
        }
        let again = open_in(&crashed.crash(CrashStyle::DropUnsynced), SMALL, Some(&mark));
        again.map(|_| ()).map_err(|error| format!("after another cut: {error}"))
    }

    /// Crashes at every operation in every style, and gives the first broken promise.
    async fn crash_everywhere(&self, torn_seeds: u64) -> Result<u64, String> {
        let disk = self.disk_before.crash(CrashStyle::ProcessEnd);
        let mut crashes = 0;
        for done in 0..=self.operations.len() {
            let torn = (0..torn_seeds).map(|seed| CrashStyle::Torn { seed: seed + 1_000 * done as u64 });
            for style in [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced].into_iter().chain(torn) {
                let found = self.check(&disk.crash(style), done);
                found.map_err(|broken| format!("{style:?} after {done} operations: {broken}"))?;
                crashes += 1;
            }
            // The tasks of journals that were opened and dropped end here.
            let_others_run().await;
            if let Some(operation) = self.operations.get(done) {
                disk.replay(operation).unwrap();
            }
        }
        Ok(crashes)
    }
}

#[test]
fn every_acknowledged_batch_survives_a_crash_at_every_operation_and_none_is_half_there() {
    on_one_thread(async || {
        let mut crashes = 0;
        for seed in 0..6 {
            let run = run(seed, 25, false).await;
            let checked = run.crash_everywhere(10).await;
            crashes += checked.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        }
        println!("{crashes} crashes");
        assert!(crashes > 5_000);
    });
}

#[test]
fn disk_that_forgets_what_it_synced_is_found_out() {
    on_one_thread(async || {
        let run = run(1, 10, true).await;
        let broken = run.crash_everywhere(0).await.unwrap_err();
        assert!(broken.contains("DropUnsynced"), "{broken}");
    });
}

#[test]
fn crash_while_mending_is_mended_at_the_next_opening() {
    on_one_thread(async || {
        let run = run(11, 20, false).await;
        let disk = run.disk_before.crash(CrashStyle::ProcessEnd);
        for done in 0..run.operations.len() {
            disk.replay(&run.operations[done]).unwrap();
            for seed in 0..4 {
                let crashed = disk.crash(CrashStyle::Torn { seed });
                let again = crashed.crash(CrashStyle::ProcessEnd);
                crashed.record();
                drop(open_small(&crashed));
                for operation in crashed.recorded() {
                    again.replay(&operation).unwrap();
                    let twice = again.crash(CrashStyle::Torn { seed: seed + 1 });
                    run.check(&twice, done + 1).unwrap_or_else(|broken| panic!("{done}, {seed}: {broken}"));
                }
            }
            let_others_run().await;
        }
    });
}

#[test]
fn batch_that_an_opening_showed_survives_a_power_cut_though_its_own_sync_never_came() {
    on_one_thread(async || {
        // The process is killed between the write and the sync, or the sync failed: the batch is in memory only.
        for fault in [(FaultPoint::Sync, false), (FaultPoint::Sync, true), (FaultPoint::Write, true)] {
            let disk = new_journal(SMALL);
            let (mut writer, ..) = open_small(&disk);
            let (point, carried_out) = fault;
            disk.inject(Fault { point, after: 0, error: std::io::ErrorKind::TimedOut, carried_out });
            writer.append(&batch(0, vec![proposal(b"seen", None)])).unwrap_err();
            drop(writer);
            let (writer, reader, _) = open_small(&disk);
            let seen = reader.mark();
            assert_eq!(seen.position, Position(1), "the write was carried out");
            let (_, reader, _) = open_in(&disk.crash(CrashStyle::DropUnsynced), SMALL, Some(&seen)).unwrap();
            assert_eq!(reader.entry(Index(0)).unwrap().unwrap().statement, "seen");
            drop(writer);
        }
    });
}

#[test]
fn torn_tail_is_cut_and_told_where_and_how_long() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, ..) = open_small(&disk);
        let mark = writer.append(&batch(0, vec![proposal(b"whole", None)])).unwrap().mark;
        disk.record();
        writer.append(&batch(1, vec![proposal(b"torn", Some(&[7; 3_000]))])).unwrap();
        let Operation::Write(file, offset, bytes) = disk.recorded()[0].clone() else {
            panic!("a write comes first")
        };
        drop(writer);
        // The first blocks of the batch came to the disk, and the last one did not.
        let kept = 1_024;
        let zeros = vec![0; bytes.len() - kept];
        disk.replay(&Operation::Write(file, offset + kept as u64, zeros.into())).unwrap();
        let (writer, reader, recovery) = open_in(&disk, SMALL, Some(&mark)).unwrap();
        let path = dir().join("00000000.segment");
        assert_eq!(recovery.torn, Some(Torn { path, offset, bytes: kept as u64 }));
        assert_eq!(reader.mark(), mark);
        drop(writer);
        assert_eq!(open_small(&disk).2.torn, None, "it was cut");
    });
}

#[test]
fn places_in_a_torn_batch_lead_no_reader_astray_in_what_is_written_over_it() {
    on_one_thread(async || {
        let options = Options { segment_bytes: 512 << 10 };
        let disk = new_journal(options);
        let (mut writer, ..) = open_in(&disk, options, None).unwrap();
        let large = |number, bytes: usize| {
            batch(number, (0..8).map(|_| proposal(b"large", Some(&vec![7; bytes]))).collect())
        };
        let mut batches = vec![large(0, 9_000)];
        writer.append(&batches[0]).unwrap();
        disk.record();
        writer.append(&large(1, 30_000)).unwrap();
        let Operation::Write(file, offset, bytes) = disk.recorded()[0].clone() else {
            panic!("a write comes first")
        };
        drop(writer);
        let kept = 160 << 10;
        let zeros = vec![0; bytes.len() - kept];
        disk.replay(&Operation::Write(file, offset + kept as u64, zeros.into())).unwrap();
        let (mut writer, reader, recovery) = open_in(&disk, options, None).unwrap();
        assert!(recovery.torn.is_some());
        while segments_of(&disk).len() < 2 {
            batches.push(large(batches.len() as u64, 11_000));
            writer.append(batches.last().unwrap()).unwrap();
        }
        let each_is_read = |reader: &Reader| {
            for expected in entries_expected(&batches) {
                assert_eq!(reader.entry(expected.index).unwrap().unwrap(), expected);
            }
        };
        each_is_read(&reader);
        drop(writer);
        let (_writer, reader, _) = open_in(&disk, options, None).unwrap();
        each_is_read(&reader);
        verified(&reader).unwrap();
    });
}

#[test]
fn crash_while_a_journal_is_created_leaves_none_or_an_empty_one() {
    on_one_thread(async || {
        let disk = MemoryDisk::new();
        disk.record();
        create(&disk, dir(), ID, SMALL).unwrap();
        let again = MemoryDisk::new();
        let operations = disk.recorded();
        for operation in &operations {
            again.replay(operation).unwrap();
            for seed in 0..20 {
                let crashed = again.crash(CrashStyle::Torn { seed });
                if let Err(error) = open_in(&crashed, SMALL, None) {
                    assert!(matches!(error, JournalError::NotFound { .. }), "{operation:?}: {error}");
                    create(&crashed, dir(), ID, SMALL).unwrap();
                    drop(open_small(&crashed));
                }
            }
            let_others_run().await;
        }
        drop(open_small(&again.crash(CrashStyle::DropUnsynced)));
    });
}
