//! Copies: made beside a writer, made again, cut short at every operation.

use std::path::PathBuf;

use super::*;
use crate::host::disk::{CrashStyle, OpenMode};

fn to() -> &'static Path {
    Path::new("/backup/journal")
}

/// Copies what is whole in the journal of a disk into a folder of another.
fn copied(disk: &MemoryDisk, onto: &MemoryDisk, before: Option<&Extent>) -> Result<Extent, JournalError> {
    let source = look(Arc::new(disk.clone()), dir())?;
    let have = before.map(|extent| look_until(Arc::new(onto.clone()), to(), extent)).transpose()?;
    onto.create_dir_all(to()).unwrap();
    let copied = copy(&source, onto, to(), have.as_ref(), Room::Hole, &mut |_| true)?;
    Ok(copied.expect("nobody says no").extent)
}

fn entries_in(disk: &MemoryDisk, extent: &Extent) -> Vec<Entry> {
    let reader = look_until(Arc::new(disk.clone()), to(), extent).unwrap();
    let counts = verified(&reader).unwrap();
    assert_eq!((counts.mark, counts.segments), (extent.mark, extent.segments));
    entries_read(&reader).unwrap()
}

#[test]
fn copy_made_again_and_again_beside_a_writer_holds_what_was_appended() {
    on_one_thread(async || {
        let random = SeededRandom::new(5);
        let (disk, onto) = (new_journal(SMALL), MemoryDisk::new());
        let (mut writer, ..) = open_small(&disk);
        let (mut batches, mut extent) = (Vec::new(), None);
        for number in 0..60 {
            let batch = random_batch(number, &random);
            let mark = writer.append(&batch).unwrap().mark;
            batches.push(batch);
            if random.below(8) == 0 {
                writer.close().unwrap();
                writer = open_small(&disk).0;
            }
            if random.below(3) == 0 {
                let before = extent.take();
                let now = copied(&disk, &onto, before.as_ref()).unwrap();
                assert_eq!(now.mark, mark, "all that was appended is in it");
                assert_eq!(entries_in(&onto, &now), entries_expected(&batches));
                extent = Some(now);
            }
            let_others_run().await;
        }
        assert!(extent.unwrap().segments > 3);
    });
}

#[test]
fn copy_that_is_cut_short_anywhere_leaves_the_one_before_and_can_be_made_again() {
    on_one_thread(async || {
        let random = SeededRandom::new(6);
        let (disk, onto) = (new_journal(SMALL), MemoryDisk::new());
        let (mut writer, ..) = open_small(&disk);
        let mut batches = Vec::new();
        for number in 0..9 {
            batches.push(random_batch(number, &random));
            writer.append(&batches[batches.len() - 1]).unwrap();
        }
        let before = copied(&disk, &onto, None).unwrap();
        let held = entries_expected(&batches);
        for number in 9..30 {
            batches.push(random_batch(number, &random));
            writer.append(&batches[batches.len() - 1]).unwrap();
            let_others_run().await;
        }
        let again = onto.crash(CrashStyle::ProcessEnd);
        onto.record();
        let after = copied(&disk, &onto, Some(&before)).unwrap();
        assert!(after.segments > before.segments + 1, "whole segments were copied");
        let operations = onto.recorded();
        for done in 0..=operations.len() {
            for style in [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced, CrashStyle::Torn { seed: 7 }] {
                let crashed = again.crash(style);
                assert_eq!(entries_in(&crashed, &before), held, "{style:?} after {done} operations");
                let now = copied(&disk, &crashed, Some(&before)).unwrap();
                let all = entries_in(&crashed.crash(CrashStyle::DropUnsynced), &now);
                assert_eq!(all, entries_expected(&batches), "{style:?} after {done} operations");
            }
            if let Some(operation) = operations.get(done) {
                again.replay(operation).unwrap();
            }
        }
    });
}

#[test]
fn look_shows_nothing_that_a_power_cut_would_take_and_takes_no_lock() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        disk.ignore_syncs(true);
        let (mut writer, ..) = open_small(&disk);
        writer.append(&batch(0, vec![proposal(b"written, not synced", None)])).unwrap();
        disk.ignore_syncs(false);
        let seen = look(Arc::new(disk.clone()), dir()).unwrap().mark();
        assert_eq!(seen.position, Position(1));
        let (_, reader, _) = open_in(&disk.crash(CrashStyle::DropUnsynced), SMALL, Some(&seen)).unwrap();
        assert_eq!(entries_read(&reader).unwrap().len(), 1);
        drop(writer);
    });
}

#[test]
fn copy_of_another_history_that_was_cut_short_leaves_nothing_behind() {
    on_one_thread(async || {
        let (disk, onto) = (new_journal(SMALL), MemoryDisk::new());
        let (mut writer, ..) = open_small(&disk);
        writer.append(&batch(0, vec![proposal(b"shared", None)])).unwrap();
        let extent = copied(&disk, &onto, None).unwrap();
        drop(writer);
        let_others_run().await;
        let other = disk.crash(CrashStyle::ProcessEnd);
        let (mut writer, ..) = open_small(&disk);
        writer.append(&batch(1, vec![proposal(b"lost", Some(&[7; 9_000]))])).unwrap();
        // Its manifest was never written.
        copied(&disk, &onto, Some(&extent)).unwrap();
        let (mut second, ..) = open_small(&other);
        for number in 1..4 {
            second.append(&batch(number, vec![proposal(b"kept", Some(&[8; 5_000]))])).unwrap();
            let_others_run().await;
        }
        let extent = copied(&other, &onto, Some(&extent)).unwrap();
        assert!(extent.segments > 1);
        let entries = entries_in(&onto, &extent);
        assert!(entries[1..].iter().all(|entry| entry.statement == "kept"), "{entries:?}");
        drop((writer, second));
    });
}

#[test]
fn damaged_byte_of_a_copy_is_told() {
    on_one_thread(async || {
        let (disk, onto) = (new_journal(SMALL), MemoryDisk::new());
        let (mut writer, ..) = open_small(&disk);
        writer.append(&batch(0, vec![proposal(b"whole", Some(&[7; 300]))])).unwrap();
        let extent = copied(&disk, &onto, None).unwrap();
        let path: PathBuf = to().join("00000000.segment");
        onto.flip_bit(&path, 4_400, 0).unwrap();
        let found = look_until(Arc::new(onto.clone()), to(), &extent);
        assert!(matches!(found, Err(JournalError::Damage(_))));
        // One that is too short for its extent, too.
        onto.flip_bit(&path, 4_400, 0).unwrap();
        onto.open(&path, OpenMode::Write).unwrap().write_all_at(&[0; 300], 4_096).unwrap();
        assert!(matches!(look_until(Arc::new(onto), to(), &extent), Err(JournalError::Damage(_))));
        drop(writer);
    });
}
