//! Damage: found, told where, never served, never overwritten.

use std::path::PathBuf;

use super::super::frame::{FrameKind, Seed, push_frame};
use super::super::segment::{SEGMENT_HEADER_BYTES, end_offset};
use super::*;
use crate::host::disk::{CrashStyle, OpenMode, Operation};

/// A journal of three full segments and one in use, whose process ended.
struct Written {
    disk: MemoryDisk,
    mark: Mark,
    entries: Vec<Entry>,
}

fn written(closed: bool) -> Written {
    let disk = new_journal(SMALL);
    let (mut writer, reader, _) = open_small(&disk);
    let random = SeededRandom::new(5);
    for number in 0.. {
        if segments_of(&disk).len() == 4 && number % 5 == 0 {
            break;
        }
        writer.append(&random_batch(number, &random)).unwrap();
    }
    let (mark, entries) = (writer.mark(), entries_read(&reader).unwrap());
    if closed {
        writer.close().unwrap();
    } else {
        drop(writer);
    }
    Written { disk: disk.crash(CrashStyle::ProcessEnd), mark, entries }
}

fn bytes_of(disk: &MemoryDisk, path: &Path) -> Vec<u8> {
    disk.read(path, u64::MAX).unwrap()
}

fn overwrite(disk: &MemoryDisk, path: &Path, offset: u64, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::Write).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.sync_data().unwrap();
}

/// What a journal says of its damage.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The opening refused, and named this segment.
    Refused(PathBuf),
    /// The opening made the segment's end again, and all is well.
    EndRemade(PathBuf),
    /// The opening cut bytes after the last batch, and all is well.
    Cut,
    /// Reading it whole found it in this segment.
    FoundByVerify(PathBuf),
    Unnoticed,
}

impl Written {
    /// Opens a damaged copy, checks that nothing wrong is served and that a refusal overwrites nothing.
    fn ask(&self, disk: &MemoryDisk, confirmed: Option<&Mark>) -> Said {
        disk.record();
        let (_writer, reader, recovery) = match open_in(disk, SMALL, confirmed) {
            Ok(opened) => opened,
            Err(JournalError::Damage(damage)) => {
                let changed = |operation: &Operation| {
                    !matches!(operation, Operation::SyncData(_) | Operation::SyncDir(_))
                };
                assert!(!disk.recorded().iter().any(changed), "{damage}: {:?}", disk.recorded());
                return Said::Refused(damage.path.clone());
            }
            Err(other) => panic!("{other}"),
        };
        let (mut served, mut cursor) = (0, reader.from(Index(0)));
        for expected in &self.entries {
            if let Ok(entry) = cursor.next() {
                assert_eq!(entry.as_ref(), Some(expected), "a damaged entry was served");
                served += 1;
            } else {
                cursor = reader.from(expected.index.next());
            }
        }
        match verified(&reader) {
            Err(JournalError::Damage(damage)) => {
                assert!(batches_read(&reader, 0).is_err() || served == self.entries.len());
                Said::FoundByVerify(damage.path.clone())
            }
            Err(other) => panic!("{other}"),
            Ok(verified) => {
                assert_eq!((served, verified.mark), (self.entries.len(), self.mark));
                match recovery {
                    Recovery { ends_remade, .. } if !ends_remade.is_empty() => {
                        Said::EndRemade(ends_remade[0].clone())
                    }
                    Recovery { torn: Some(_), .. } => Said::Cut,
                    _ => Said::Unnoticed,
                }
            }
        }
    }

    /// Flips one bit in each byte of a segment's first batch and about its tail, and in many of the others.
    async fn flip_everywhere(&self, confirmed: bool) {
        let confirmed = confirmed.then_some(&self.mark);
        let segments = segments_of(&self.disk);
        let mut seen = std::collections::BTreeMap::<_, usize>::new();
        for (path, last) in segments.iter().map(|path| (path, Some(path) == segments.last())) {
            let bytes = bytes_of(&self.disk, path);
            let tail = self.tail_of(&bytes);
            for (offset, byte) in (0u64..).zip(&bytes) {
                let first_batch = (SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 300).contains(&offset);
                let near_tail = (tail - 60..tail + 20).contains(&offset);
                let every = if *byte == 0 { 199 } else { 101 };
                if !(first_batch || near_tail || offset % every == 0) {
                    continue;
                }
                let bit = u8::try_from(offset % 8).unwrap();
                let disk = self.disk.crash(CrashStyle::ProcessEnd);
                disk.flip_bit(path, offset, bit).unwrap();
                let said = self.ask(&disk, confirmed);
                let in_end = offset >= end_offset(SEGMENT_BYTES_MIN);
                let expected = match (last, in_end) {
                    _ if offset < SEGMENT_HEADER_BYTES => Said::Refused(path.clone()),
                    (false, true) => Said::EndRemade(path.clone()),
                    (false, false) => Said::FoundByVerify(path.clone()),
                    // Where the next frame is due, neither zeros nor a frame; further away, as a torn batch leaves it.
                    (true, false) if offset >= tail + 16 => Said::Cut,
                    (true, _) => Said::Refused(path.clone()),
                };
                assert_eq!(said, expected, "byte {offset} of {}, bit {bit}", path.display());
                *seen.entry(format!("{said:?}")).or_default() += 1;
                let_others_run().await;
            }
        }
        println!("{seen:#?}");
    }

    /// Where the frames of a segment end: after its last byte that is not zero before the segment's end.
    fn tail_of(&self, bytes: &[u8]) -> u64 {
        let before_end = &bytes[..usize::try_from(end_offset(bytes.len() as u64)).unwrap()];
        let written = before_end.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        assert_ne!(self.mark.position, Position(0));
        written.next_multiple_of(16)
    }
}

#[test]
fn flipped_bit_is_refused_found_or_mended_with_the_ledgers_mark() {
    on_one_thread(async || written(false).flip_everywhere(true).await);
}

#[test]
fn flipped_bit_is_refused_found_or_mended_after_an_orderly_stop_without_a_mark() {
    on_one_thread(async || written(true).flip_everywhere(false).await);
}

#[test]
fn files_removed_exchanged_cut_or_foreign_are_refused() {
    on_one_thread(async || {
        let written = written(false);
        let paths = segments_of(&written.disk);
        let refused = |what: &str, harm: &dyn Fn(&MemoryDisk), expected: &str| {
            let disk = written.disk.crash(CrashStyle::ProcessEnd);
            harm(&disk);
            let error = open_in(&disk, SMALL, None).map(|_| ()).expect_err(what);
            let JournalError::Damage(damage) = &error else { panic!("{what}: {error}") };
            assert!(damage.to_string().contains(expected), "{what}: {damage}");
        };
        for (number, path) in paths.iter().enumerate() {
            let (last, name) = (number == 3, format!("0000000{number}.segment"));
            let expected =
                if last { "no segment after it, expected the next segment" } else { "no such file" };
            refused("removed", &|disk| disk.remove(path).unwrap(), expected);
            let bytes = bytes_of(&written.disk, path);
            for len in [0, 100, 4_096, bytes.len() - 1] {
                let cut = |disk: &MemoryDisk| {
                    disk.open(path, OpenMode::Write).unwrap().set_len(len as u64).unwrap();
                };
                refused("cut", &cut, &format!("{name} is damaged at byte 0"));
            }
            let longer = |disk: &MemoryDisk| overwrite(disk, path, bytes.len() as u64, &[0; 8]);
            refused("longer", &longer, "found a file of bytes 16392, expected 16384");
        }
        let exchange = |disk: &MemoryDisk| {
            let (one, two) = (bytes_of(disk, &paths[1]), bytes_of(disk, &paths[2]));
            overwrite(disk, &paths[1], 0, &two);
            overwrite(disk, &paths[2], 0, &one);
        };
        refused("exchanged", &exchange, "found the header of segment 2, expected 1");
    });
}

#[test]
fn segment_of_another_journal_or_another_history_is_refused() {
    on_one_thread(async || {
        let written = written(false);
        let path = segments_of(&written.disk).pop().unwrap();
        let mut header = bytes_of(&written.disk, &path);
        header.truncate(68);
        let foreign: [(&str, usize); 3] = [("journal", 16), ("chain", 64), ("position", 40)];
        for (what, offset) in foreign {
            let disk = written.disk.crash(CrashStyle::ProcessEnd);
            let mut changed = header.clone();
            changed[offset] ^= 1;
            changed.extend(crc32c::crc32c(&changed).to_le_bytes());
            overwrite(&disk, &path, 0, &changed);
            let error = open_in(&disk, SMALL, None).map(|_| ()).expect_err(what);
            assert!(error.to_string().contains("00000002.segment is damaged at byte 16304"), "{error}");
        }
        let disk = written.disk.crash(CrashStyle::ProcessEnd);
        header[8] = 4;
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        overwrite(&disk, &path, 0, &header);
        let error = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "/home/journal/00000003.segment has format version 4, expected 3");
    });
}

#[test]
fn ledgers_mark_is_held_against_the_journal() {
    on_one_thread(async || {
        let Written { disk, mark, .. } = written(false);
        let with =
            |mark: Mark| open_in(&disk, SMALL, Some(&mark)).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(with(mark), Ok(()));
        let_others_run().await;
        let beyond = with(Mark { position: mark.position.next(), ..mark }).unwrap_err();
        assert!(beyond.contains(&format!("found the end after {} batches", mark.position)), "{beyond}");
        let other_history = with(Mark { chain: mark.chain ^ 1, ..mark }).unwrap_err();
        assert!(other_history.contains("as the ledger has it"), "{other_history}");
        let other_journal = with(Mark { journal: [0; 16], ..mark }).unwrap_err();
        assert_eq!(
            other_journal,
            "the ledger's mark is of the journal 00000000000000000000000000000000, found \
             6a6f75726e616c206f66207465737473"
        );
        let start = Mark { journal: ID, ..Mark::default() };
        assert_eq!(with(start), Ok(()));
    });
}

#[test]
fn bad_last_batch_is_cut_only_where_nothing_shows_that_it_was_confirmed() {
    on_one_thread(async || {
        // The blocks of the last batch read as zeros: an unfinished write, or a drive that lost them.
        let lost = |closed: bool| {
            let disk = new_journal(SMALL);
            let (mut writer, ..) = open_small(&disk);
            writer.append(&batch(0, vec![proposal(b"first", None)])).unwrap();
            disk.record();
            let mark = writer.append(&batch(1, vec![proposal(b"second", Some(&[7; 2_000]))])).unwrap().mark;
            let Operation::Write(_, offset, bytes) = disk.recorded()[0].clone() else {
                panic!("a write first")
            };
            if closed {
                writer.close().unwrap();
            } else {
                drop(writer);
            }
            let kept = 512 - usize::try_from(offset % 512).unwrap();
            let zeros = vec![0; bytes.len() - kept];
            overwrite(&disk, &dir().join("00000000.segment"), offset + kept as u64, &zeros);
            (disk, mark)
        };
        let (disk, mark) = lost(false);
        let error = open_in(&disk, SMALL, Some(&mark)).map(|_| ()).unwrap_err();
        assert!(matches!(error, JournalError::Damage(_)), "the ledger has it: {error}");
        let (_writer, reader, recovery) = open_small(&disk);
        assert!(recovery.torn.is_some(), "nobody has it");
        assert_eq!(reader.mark().position, Position(1));
        let (disk, _) = lost(true);
        let error = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err();
        assert!(
            error.to_string().contains("a later one was written"),
            "an orderly stop came after it: {error}"
        );
    });
}

#[test]
fn lost_batch_with_something_after_it_is_damage_not_a_torn_tail() {
    on_one_thread(async || {
        let disk = new_journal(SMALL);
        let (mut writer, ..) = open_small(&disk);
        disk.record();
        for number in 0..3 {
            writer.append(&batch(number, vec![proposal(b"", Some(&[7; 1_500]))])).unwrap();
        }
        drop(writer);
        let Operation::Write(_, offset, bytes) = disk.recorded()[2].clone() else {
            panic!("the second write")
        };
        let (all, whole_one, reach) =
            (bytes.len(), "a later one was written", "beyond what the batch can reach");
        let next_header_too = all - 600 + 80;
        let lost = [
            (0, all, whole_one),
            (0, 512, whole_one),
            (600, 1_024, whole_one),
            (600, next_header_too, reach),
        ];
        for (from, len, why) in lost {
            let disk = disk.crash(CrashStyle::ProcessEnd);
            overwrite(&disk, &dir().join("00000000.segment"), offset + from, &vec![0; len]);
            let error = open_in(&disk, SMALL, None).map(|_| ()).expect_err(why).to_string();
            let expected = format!("00000000.segment is damaged at byte {offset}, at or before entry 1");
            assert!(error.contains(&expected) && error.contains(why), "{from}, {len}: {error}");
        }
    });
}

#[test]
fn damaged_payload_is_an_error_and_its_neighbours_are_read() {
    on_one_thread(async || {
        let (disk, offsets) = three_payloads();
        let (_writer, reader, _) = open_small(&disk);
        disk.flip_bit(&dir().join("00000000.segment"), offsets[1] + 100, 3).unwrap();
        let error = reader.entry(Index(1)).unwrap_err().to_string();
        assert!(error.contains(&format!("damaged at byte {}, at or before entry 1", offsets[1])), "{error}");
        let payload = |index| reader.entry(Index(index)).unwrap().unwrap().payload;
        assert_eq!([payload(0), payload(2)], [1, 3].map(|byte| Payload::Kept(vec![byte; 1_000].into())));
        verified(&reader).unwrap_err();
    });
}

#[test]
fn exchanged_payloads_are_damage() {
    on_one_thread(async || {
        let (disk, offsets) = three_payloads();
        let path = dir().join("00000000.segment");
        let bytes = bytes_of(&disk, &path);
        let payload = |number: usize| {
            let at = usize::try_from(offsets[number]).unwrap();
            &bytes[at..at + 16 + 1_000]
        };
        overwrite(&disk, &path, offsets[0], payload(1));
        overwrite(&disk, &path, offsets[1], payload(0));
        let error = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("expected the payload of PayloadClaim"), "{error}");
    });
}

#[test]
fn bytes_of_another_history_are_damage_though_their_checksums_agree() {
    on_one_thread(async || {
        let history = |middle: &[u8]| {
            let disk = new_journal(SMALL);
            let (mut writer, ..) = open_small(&disk);
            disk.record();
            for (number, statement) in (0..).zip([b"first", middle, b"third"]) {
                writer.append(&batch(number, vec![proposal(statement, None)])).unwrap();
            }
            disk
        };
        let (disk, other) = (history(b"one"), history(b"two"));
        let Operation::Write(_, offset, bytes) = other.recorded()[2].clone() else {
            panic!("the second write")
        };
        let (entry, next) = (80, offset + bytes.len() as u64);
        for (from, at, found) in [(0, next, "a batch after the chain"), (entry, offset, "a batch of chain")] {
            let disk = disk.crash(CrashStyle::ProcessEnd);
            overwrite(&disk, &dir().join("00000000.segment"), offset + from as u64, &bytes[from..]);
            let error = open_in(&disk, SMALL, None).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(&format!("at byte {at},")) && error.contains(found), "{error}");
        }
    });
}

#[test]
fn erased_payload_reads_as_erased_and_the_chain_holds() {
    on_one_thread(async || {
        let (disk, offsets) = three_payloads();
        let before = open_small(&disk).1.mark();
        let_others_run().await;
        let mut frame = Vec::new();
        push_frame(&mut frame, FrameKind::ErasedPayload, Seed::of(&ID), |body| body.extend([0; 1_000]));
        // The header goes first: cut short after it, the rest of the body is still there, and is not served.
        for len in [16, 400, frame.len()] {
            let disk = disk.crash(CrashStyle::ProcessEnd);
            overwrite(&disk, &dir().join("00000000.segment"), offsets[1], &frame[..len]);
            let (_writer, reader, _) = open_in(&disk, SMALL, Some(&before)).unwrap();
            let payloads = entries_read(&reader).unwrap().into_iter().map(|entry| entry.payload);
            let kept = |byte| Payload::Kept(vec![byte; 1_000].into());
            assert_eq!(payloads.collect::<Vec<_>>(), [kept(1), Payload::Erased, kept(3)]);
            let stored = batches_read(&reader, 0).unwrap();
            assert_eq!(stored[0].entries[1].payload, Payload::Erased);
            let verified = verified(&reader).unwrap();
            assert_eq!((verified.payloads, verified.erased, verified.mark), (2, 1, before));
        }
    });
}

/// A journal of one batch with three payloads of 1,000 bytes, and where their frames are.
fn three_payloads() -> (MemoryDisk, [u64; 3]) {
    let disk = new_journal(SMALL);
    let (mut writer, ..) = open_small(&disk);
    let payloads = [1, 2, 3].map(|byte| proposal(b"", Some(&[byte; 1_000])));
    writer.append(&batch(0, payloads.into())).unwrap();
    let entry = 16 + 48 + 45 + 3;
    let first = SEGMENT_HEADER_BYTES + 80 + entry;
    (disk, [0, 1, 2].map(|number| first + number * (entry + 16 + 1_000 + 8)))
}
