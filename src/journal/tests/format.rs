//! The bytes on the disk, and that any bytes at all are read without a panic.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::segment::end_offset;
use super::*;
use crate::host::disk::OpenMode;

/// The bytes of a file without its zeros: lines of 16 with their offset, as `docs/journal-format.md` explains them.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0))
    {
        let hex = line.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        writeln!(text, "{:05x} {hex}", number * 16).unwrap();
    }
    text
}

/// The first segment of a journal with a batch of two entries, a closing mark, and a batch that fills it.
fn example() -> MemoryDisk {
    let disk = new_journal(SMALL);
    let (mut writer, ..) = open_small(&disk);
    let directory =
        Proposal { kind: EntryKind::Directory, identity: "hub".into(), ..proposal(b"office oacnudh", None) };
    let publish = Proposal { identity: "a".into(), ..proposal(b"envelope", Some(b"payload")) };
    writer.append(&batch(0, vec![directory, publish])).unwrap();
    writer.close().unwrap();
    let (mut writer, ..) = open_small(&disk);
    writer.append(&batch(1, vec![proposal(b"fills", Some(&[0; 11_000]))])).unwrap();
    writer.append(&batch(2, vec![proposal(b"next segment", Some(&[0; 1_000]))])).unwrap();
    disk
}

#[test]
fn bytes_on_the_disk_are_these() {
    on_one_thread(async || {
        let disk = example();
        let [first, second] = segments_of(&disk).try_into().unwrap();
        let read = |path| dump(&disk.read(path, u64::MAX).unwrap());
        assert_eq!(read(first.as_path()), include_str!("golden-0.hex"));
        assert_eq!(read(second.as_path()), include_str!("golden-1.hex"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_batches_are_read_as_they_were_appended(
        batches in prop::collection::vec(prop::collection::vec(any_proposal(), 1..5), 1..8),
        closes in prop::collection::vec(any::<bool>(), 8),
    ) {
        on_one_thread(async || {
            let disk = new_journal(SMALL);
            let batches: Vec<_> = (0..).zip(batches).map(|(number, proposals)| batch(number, proposals)).collect();
            for (batch, close) in batches.iter().zip(&closes) {
                let (mut writer, ..) = open_small(&disk);
                writer.append(batch).unwrap();
                if *close { writer.close().unwrap() }
            }
            let (_writer, reader, recovery) = open_small(&disk);
            assert_eq!(recovery.closed, closes[batches.len() - 1]);
            assert_eq!(entries_read(&reader).unwrap(), entries_expected(&batches));
            let stored = batches_read(&reader, 0).unwrap();
            assert!(stored.iter().map(|stored| stored.name).eq(batches.iter().map(|batch| batch.name)));
        });
    }

    #[test]
    fn any_bytes_after_the_tail_are_cut_or_refused_and_never_served(
        bytes in prop::collection::vec(any::<u8>(), 1..600),
        skipped in 0..600_u64,
    ) {
        on_one_thread(async || {
            let disk = new_journal(SMALL);
            let (mut writer, reader, _) = open_small(&disk);
            writer.append(&batch(0, vec![proposal(b"whole", None)])).unwrap();
            let (end, _) = reader.shared.frames_end(0);
            drop(writer);
            put(&disk, end + skipped, &bytes);
            if let Ok((_writer, reader, _)) = open_in(&disk, SMALL, None) {
                assert_eq!(reader.mark().position, Position(1));
                assert_eq!(entries_read(&reader).unwrap().len(), 1);
            }
        });
    }

    #[test]
    fn any_bytes_in_place_of_a_header_or_an_end_are_refused_or_mended(
        bytes in prop::collection::vec(any::<u8>(), 1..100),
        at in 0..70_u64,
        in_header in any::<bool>(),
    ) {
        on_one_thread(async || {
            let disk = example();
            let at = if in_header { at } else { end_offset(SEGMENT_BYTES_MIN) + at };
            let len = bytes.len().min(usize::try_from(SEGMENT_BYTES_MIN - at).unwrap());
            put(&disk, at, &bytes[..len]);
            if let Ok((_writer, reader, _)) = open_in(&disk, SMALL, None) {
                assert_eq!(verified(&reader).unwrap().batches, 3);
            }
        });
    }
}

fn put(disk: &MemoryDisk, offset: u64, bytes: &[u8]) {
    let file = disk.open(&dir().join("00000000.segment"), OpenMode::Write).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

prop_compose! {
    fn any_proposal()(
        kind in 1..=5_u8,
        identity in ".{0,60}",
        statement in prop::collection::vec(any::<u8>(), 0..300),
        payload in prop::option::of(prop::collection::vec(any::<u8>(), 0..1_500)),
    ) -> Proposal {
        let kind = EntryKind::from_number(kind).unwrap();
        Proposal { kind, identity, statement: statement.into(), payload: payload.map(Bytes::from) }
    }
}
