//! Payloads that are overwritten: gone from the disk, and nothing else is.

use super::*;
use crate::host::disk::CrashStyle;

const SECRET: &[u8] = b"the name of the person, the village, the hour";
const LARGE: Options = Options { segment_bytes: 1 << 20 };

fn payload(number: u64, bytes: usize) -> Vec<u8> {
    let secret = SECRET.iter().copied().cycle();
    number.to_be_bytes().into_iter().chain(secret).take(bytes).collect()
}

/// Batches of an entry with a payload and one without, of many lengths.
fn fill(writer: &mut Writer, count: u64) -> Vec<Batch> {
    let batch = |number: u64| {
        let payload = payload(number, 300 + usize::try_from(number * 37).unwrap());
        batch(number, vec![proposal(b"envelope", Some(&payload)), proposal(b"receipt", None)])
    };
    let batches: Vec<_> = (0..count).map(batch).collect();
    for batch in &batches {
        writer.append(batch).unwrap();
    }
    batches
}

fn erase_all(reader: &Reader, indexes: &[u64]) -> u64 {
    erase(reader, indexes.iter().copied().map(Index)).unwrap()
}

/// Entries as they are to be read back when the payloads at some indexes are erased.
fn expected(batches: &[Batch], erased: &[u64]) -> Vec<Entry> {
    let mut entries = entries_expected(batches);
    for index in erased {
        entries[usize::try_from(*index).unwrap()].payload = Payload::Erased;
    }
    entries
}

fn holds(disk: &MemoryDisk, bytes: &[u8]) -> bool {
    let files = segments_of(disk).into_iter().map(|path| disk.read(&path, u64::MAX).unwrap());
    files.into_iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn erased_payload_is_gone_from_the_disk_and_all_else_stands() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, reader, _) = open_small(&disk);
        let batches = fill(&mut writer, 30);
        let mark = writer.mark();
        assert!(segments_of(&disk).len() > 2);
        // In several segments, in the last batch, and one that has no payload.
        assert_eq!(erase_all(&reader, &[0, 2, 3, 30, 58]), 4);
        assert_eq!(entries_read(&reader).unwrap(), expected(&batches, &[0, 2, 30, 58]));
        let all: Vec<_> = (0..60).collect();
        assert_eq!(erase_all(&reader, &all), 30, "those that were erased are overwritten again");
        assert!(!holds(&disk, &SECRET[..16]));
        let counts = verified(&reader).unwrap();
        assert_eq!((counts.payloads, counts.erased, counts.mark), (0, 30, mark));
        drop(writer);
        let (mut writer, reader, _) = open_in(&disk, SMALL, Some(&mark)).unwrap();
        writer.append(&batch(30, vec![proposal(b"goes on", Some(b"kept"))])).unwrap();
        assert_eq!(verified(&reader).unwrap().payloads, 1);
    });
}

#[test]
fn reader_that_had_read_the_header_finds_the_payload_erased_and_no_damage() {
    on_one_thread(async || {
        let disk = new_journal(LARGE);
        let (mut writer, reader, _) = open_in(&disk, LARGE, None).unwrap();
        // Longer than what a reader reads at once: its header is in memory, the rest is not.
        let long = payload(0, 200_000);
        let batches = [batch(0, vec![proposal(b"first", None), proposal(b"envelope", Some(&long))])];
        writer.append(&batches[0]).unwrap();
        let mut cursor = reader.from(Index(0));
        cursor.next().unwrap();
        erase_all(&reader, &[1]);
        assert_eq!(cursor.next().unwrap(), expected(&batches, &[1]).pop());
    });
}

#[test]
fn crash_while_erasing_leaves_each_payload_whole_or_unread_and_erasing_again_ends_it() {
    on_one_thread(async || {
        for seed in 0..8 {
            let disk = new_journal(SMALL);
            let (mut writer, reader, _) = open_small(&disk);
            let batches = fill(&mut writer, 12);
            let mark = writer.mark();
            let before = disk.crash(CrashStyle::ProcessEnd);
            disk.record();
            let erased = [4, 6, 20, 22];
            erase_all(&reader, &erased);
            for operation in disk.recorded() {
                let torn = CrashStyle::Torn { seed };
                for style in [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced, torn] {
                    let crashed = before.crash(style);
                    let (_writer, reader, _) = open_in(&crashed, SMALL, Some(&mark)).unwrap();
                    let (whole, gone) = (entries_expected(&batches), expected(&batches, &erased));
                    for (at, entry) in entries_read(&reader).unwrap().into_iter().enumerate() {
                        assert!(entry == whole[at] || entry == gone[at], "{style:?}: {entry:?}");
                    }
                    erase_all(&reader, &erased);
                    assert_eq!(entries_read(&reader).unwrap(), gone);
                    for index in erased {
                        let batch = &batches[usize::try_from(index / 2).unwrap()];
                        let payload = batch.proposals[0].payload.as_ref().unwrap();
                        assert!(!holds(&crashed, payload), "{style:?}: the payload of {index}");
                    }
                }
                before.replay(&operation).unwrap();
                let_others_run().await;
            }
        }
    });
}
