//! Numbers that no journal can have, behind checksums that agree: whoever has the disk can make those.

use super::super::frame::{FrameKind, Seed, frame_bytes, push_frame};
use super::super::segment::{Point, SEGMENT_HEADER_BYTES, SegmentEnd, SegmentHeader, end_offset};
use super::*;
use crate::host::disk::{DiskFile, OpenMode};

type Forgery = fn(&mut SegmentEnd);

/// A full segment and one after it.
fn two_segments() -> MemoryDisk {
    let disk = new_journal(SMALL);
    let (mut writer, ..) = open_small(&disk);
    for (number, bytes) in [(0, 100), (1, 11_000), (2, 1_000)] {
        writer.append(&batch(number, vec![proposal(b"statement", Some(&vec![1; bytes]))])).unwrap();
    }
    assert_eq!(segments_of(&disk).len(), 2);
    disk
}

fn first_segment(disk: &MemoryDisk) -> (std::path::PathBuf, Arc<dyn DiskFile>) {
    let path = dir().join("00000000.segment");
    let file = disk.open(&path, OpenMode::Write).unwrap();
    (path, file)
}

#[test]
fn end_that_its_segment_cannot_have_is_made_again() {
    on_one_thread(async || {
        let point = |offset, entries, batches| Point { offset, entries, batches };
        let ends: [(&str, Forgery); 7] = [
            ("before the first frame", |end| end.frames_end = SEGMENT_HEADER_BYTES - 16),
            ("in the end itself", |end| end.frames_end = end_offset(SEGMENT_BYTES_MIN) + 16),
            ("at the end of the file", |end| end.frames_end = SEGMENT_BYTES_MIN),
            ("nowhere", |end| end.frames_end = u64::MAX),
            ("a point after the frames", |end| end.points[0].offset = u32::MAX),
            ("a point of too many entries", |end| end.points[0].entries = 9),
            ("a point of too many batches", |end| end.points[0].batches = 9),
        ];
        for (what, forge) in ends {
            let disk = two_segments();
            let (path, file) = first_segment(&disk);
            let header = SegmentHeader::read(file.as_ref(), &path, 0).unwrap();
            let mut end = SegmentEnd::read(file.as_ref(), &path, &header).unwrap();
            assert_eq!(end.points, [point(4_096, 0, 0)]);
            forge(&mut end);
            file.write_all_at(&end.encode(), end_offset(SEGMENT_BYTES_MIN)).unwrap();
            let (_writer, reader, recovery) = open_small(&disk);
            assert_eq!(recovery.ends_remade, [path], "{what}");
            assert_eq!((verified(&reader).unwrap().entries, entries_read(&reader).unwrap().len()), (3, 3));
        }
    });
}

#[test]
fn batch_whose_numbers_end_is_damage() {
    on_one_thread(async || {
        let disk = two_segments();
        let (_, file) = first_segment(&disk);
        // The first batch says that its first entry is the last that there can be, and that it has some.
        let mut body = vec![0; 60];
        file.read_exact_at(&mut body, SEGMENT_HEADER_BYTES + 16).unwrap();
        body[4..8].copy_from_slice(&9_u32.to_le_bytes());
        body[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut frame = Vec::new();
        push_frame(&mut frame, FrameKind::Batch, Seed::of(&ID), |frame| frame.extend(&body));
        assert_eq!(frame.len() as u64, frame_bytes(60));
        file.write_all_at(&frame, SEGMENT_HEADER_BYTES).unwrap();
        let (_writer, reader, _) = open_small(&disk);
        for error in [reader.mark_at(Position(1)).map(|_| ()), verified(&reader).map(|_| ())] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("a batch of 9 entries from 18446744073709551615 on"), "{error}");
        }
    });
}
