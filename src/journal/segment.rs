//! Segments: the names, the header block and the end of a journal's files, and the sparse index.
//!
//! Owns where in a file what stands. Never reads frames of batches. At a crash: the header is synced before the file
//! gets its name, and the next segment has its name before this one gets its end; so a name without a header, or an
//! end without a next segment, is damage. Format: `docs/journal-format.md`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crc32c::crc32c;

use super::batch::CLOSE_FRAME_BYTES;
use super::error::{Damage, JournalError, Wrong};
use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, NoHeader, Seed, frame_bytes, push_frame, u32_at, u64_at,
};
use super::scan::Seen;
use crate::host::disk::DiskFile;
use crate::model::entry::Mark;
use crate::model::id::{Index, Position, UnixMicros};

/// The smallest segment: a header block, an end and some batches.
pub const SEGMENT_BYTES_MIN: u64 = 16 << 10;

/// The largest segment: what a start scans at most, and offsets fit into 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The default: about 45,000 alerts of 1 KiB; scanned in some 50 ms, prepared in some 200.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// A block of its own, so that the first batch rewrites no block with the header in it.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 4_096;

/// One point of the sparse index at least this far from the last: 12 bytes of memory each 64 KiB of journal.
const POINT_EVERY_BYTES: u64 = 64 << 10;

const MAGIC: &[u8; 8] = b"RSGDJRNL";
const VERSION: u32 = 3;
const HEADER_FIELDS_BYTES: usize = 68;
const END_FIXED_BYTES: usize = 40;
const POINT_BYTES: usize = 12;

/// Gives a segment's file name.
pub(super) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.segment"))
}

/// Reads a segment's number from its file name; `None` for other files.
pub(super) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".segment")?;
    digits.parse().ok().filter(|number| format!("{number:08}") == digits)
}

/// Checks the length asked for.
pub(super) fn check_segment_bytes(found: u64) -> Result<(), JournalError> {
    let (min, max) = (SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
    if (min..=max).contains(&found) && found.is_multiple_of(SEGMENT_HEADER_BYTES) {
        return Ok(());
    }
    Err(JournalError::SegmentBytes { found, min, max })
}

/// Gives where a segment of this length keeps its end frame: frames of batches stop before it.
pub(super) fn end_offset(segment_bytes: u64) -> u64 {
    let points_max = segment_bytes / POINT_EVERY_BYTES + 1;
    segment_bytes - frame_bytes(END_FIXED_BYTES as u64 + POINT_BYTES as u64 * points_max)
}

/// Gives the room for batches in a segment; a closing mark always fits after them.
pub(super) fn batch_room(segment_bytes: u64) -> Range<u64> {
    SEGMENT_HEADER_BYTES..end_offset(segment_bytes) - CLOSE_FRAME_BYTES
}

/// What a segment's header block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    /// Where the journal stands before the segment's first batch.
    pub(super) start: Mark,
    /// The length of the file.
    pub(super) bytes: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(4_096);
        block.extend(MAGIC);
        block.extend(VERSION.to_le_bytes());
        block.extend(self.number.to_le_bytes());
        block.extend(self.start.journal);
        block.extend(self.start.next_index.0.to_le_bytes());
        block.extend(self.start.position.0.to_le_bytes());
        block.extend(self.start.time.0.to_le_bytes());
        block.extend(self.bytes.to_le_bytes());
        block.extend(self.start.chain.to_le_bytes());
        block.extend(crc32c(&block).to_le_bytes());
        block.resize(4_096, 0);
        block
    }

    /// Reads and checks the header block of a segment that is the `number`th by its name.
    pub(super) fn read(file: &dyn DiskFile, path: &Path, number: u32) -> Result<Self, JournalError> {
        let len = file.len().map_err(JournalError::disk("measure", path))?;
        let wrong = |wrong: Wrong| wrong.at(path, 0, Index::default());
        if len < SEGMENT_HEADER_BYTES {
            return Err(wrong(Wrong::number("a file of bytes", len, SEGMENT_HEADER_BYTES)));
        }
        let mut block = [0; 4_096];
        file.read_exact_at(&mut block, 0).map_err(JournalError::disk("read", path))?;
        let crc = crc32c(&block[..HEADER_FIELDS_BYTES]);
        if &block[..8] != MAGIC || u32_at(&block, HEADER_FIELDS_BYTES) != crc {
            return Err(wrong(Wrong::new("no segment header", "one with its magic and checksum")));
        }
        let version = u32_at(&block, 8);
        if version != VERSION {
            return Err(JournalError::Version { path: path.into(), found: version, supported: VERSION });
        }
        if block[HEADER_FIELDS_BYTES + 4..].iter().any(|byte| *byte != 0) {
            return Err(wrong(Wrong::new("bytes after the header's fields", "zeros")));
        }
        let header = Self::decode(&block);
        if header.number != number {
            return Err(wrong(Wrong::number("the header of segment", header.number, number)));
        }
        if header.bytes != len || check_segment_bytes(len).is_err() {
            return Err(wrong(Wrong::number("a file of bytes", len, header.bytes)));
        }
        Ok(header)
    }

    fn decode(block: &[u8]) -> Self {
        let start = Mark {
            journal: block[16..32].try_into().expect("the slice has sixteen bytes"),
            next_index: Index(u64_at(block, 32)),
            position: Position(u64_at(block, 40)),
            time: UnixMicros(u64_at(block, 48)),
            chain: u32_at(block, 64),
        };
        Self { number: u32_at(block, 12), start, bytes: u64_at(block, 56) }
    }
}

/// A place where reading can begin: a frame of a batch or an entry. Numbers count from the segment's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) offset: u32,
    /// The first entry at or after the offset.
    pub(super) entries: u32,
    /// The first batch at or after the offset.
    pub(super) batches: u32,
}

/// Collects points while frames are written or read in their order.
#[derive(Clone, Debug)]
pub(super) struct PointTrack {
    start: Mark,
    next_offset: u64,
    next_batch: Position,
    fresh: Vec<Point>,
}

impl PointTrack {
    pub(super) fn new(start: Mark) -> Self {
        Self { start, next_offset: 0, next_batch: start.position, fresh: Vec::new() }
    }

    /// Notes a frame of a batch or an entry, with the first entry and the first batch at or after it.
    pub(super) fn note(&mut self, offset: u64, index: Index, position: Position) {
        if offset < self.next_offset {
            return;
        }
        let small =
            |long: u64| u32::try_from(long).expect("a segment has at most 1 GiB, so fewer of anything");
        self.next_offset = offset + POINT_EVERY_BYTES;
        self.fresh.push(Point {
            offset: small(offset),
            entries: small(index.0 - self.start.next_index.0),
            batches: small(position.0 - self.start.position.0),
        });
    }

    /// Notes a part of a batch that a walk comes by.
    pub(super) fn see(&mut self, offset: u64, seen: &Seen<'_>) {
        match seen {
            Seen::Batch(header) => {
                self.note(offset, header.first_index, header.position);
                self.next_batch = header.position.next();
            }
            Seen::Entry(entry) => self.note(offset, entry.index, self.next_batch),
            Seen::Payload(_) | Seen::ErasedPayload => {}
        }
    }

    /// Forgets what was noted from this place on, in a batch that turned out not to be whole: others will stand there.
    pub(super) fn cut(&mut self, whole_end: u64) {
        self.fresh.retain(|point| u64::from(point.offset) < whole_end);
        self.next_offset = self.fresh.last().map_or(0, |last| u64::from(last.offset) + POINT_EVERY_BYTES);
    }

    /// Takes the points noted since the last time.
    pub(super) fn take(&mut self) -> Vec<Point> {
        std::mem::take(&mut self.fresh)
    }
}

/// What stands at the end of a full segment, so that a start need not scan it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentEnd {
    /// Where the last batch or closing mark ends.
    pub(super) frames_end: u64,
    /// Where the journal stands after the segment.
    pub(super) mark: Mark,
    pub(super) points: Vec<Point>,
}

impl SegmentEnd {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        push_frame(&mut frame, FrameKind::SegmentEnd, Seed::of(&self.mark.journal), |body| {
            let longs = [self.frames_end, self.mark.position.0, self.mark.next_index.0, self.mark.time.0]
                .map(u64::to_le_bytes);
            body.extend(longs.as_flattened());
            body.extend(self.mark.chain.to_le_bytes());
            let count = u32::try_from(self.points.len()).expect("one each 64 KiB of at most 1 GiB");
            body.extend(count.to_le_bytes());
            for point in &self.points {
                body.extend(
                    [point.offset, point.entries, point.batches].map(u32::to_le_bytes).as_flattened(),
                );
            }
        });
        frame
    }

    /// Reads the end of a segment; an error if it is missing or damaged, which a scan of the segment can mend.
    pub(super) fn read(
        file: &dyn DiskFile,
        path: &Path,
        header: &SegmentHeader,
    ) -> Result<Self, JournalError> {
        let offset = end_offset(header.bytes);
        let len = usize::try_from(header.bytes - offset).expect("an end has at most 200 KiB");
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset).map_err(JournalError::disk("read", path))?;
        Self::decode(&bytes, header).map_err(|wrong| {
            let Wrong { found, expected } = wrong;
            let index = header.start.next_index;
            Box::new(Damage { path: path.into(), offset, index, found, expected, tear: false }).into()
        })
    }

    fn decode(bytes: &[u8], header: &SegmentHeader) -> Result<Self, Wrong> {
        let missing = |found: String| Wrong::new(found, "the segment's end");
        let head = bytes[..FRAME_HEADER_BYTES].try_into().expect("the slice has sixteen bytes");
        let frame =
            FrameHeader::decode(head, Seed::of(&header.start.journal)).map_err(
                |no_header| match no_header {
                    NoHeader::Zeros => missing("zeros".into()),
                    other => missing(format!("{other:?}")),
                },
            )?;
        let body = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + frame.body_bytes as usize);
        let body = body.filter(|body| body.len() >= END_FIXED_BYTES && frame.kind == FrameKind::SegmentEnd);
        let body = body.ok_or_else(|| missing(format!("{frame:?}")))?;
        let count = u32_at(body, 36) as usize;
        let rest = &bytes[FRAME_HEADER_BYTES + body.len()..];
        let sized = body.len() == END_FIXED_BYTES + POINT_BYTES * count;
        if crc32c(body) != frame.body_crc || !sized || rest.iter().any(|byte| *byte != 0) {
            return Err(missing("a body that its checksum or length does not fit".into()));
        }
        let point = |bytes: &[u8]| Point {
            offset: u32_at(bytes, 0),
            entries: u32_at(bytes, 4),
            batches: u32_at(bytes, 8),
        };
        let mark = Mark {
            journal: header.start.journal,
            position: Position(u64_at(body, 8)),
            next_index: Index(u64_at(body, 16)),
            time: UnixMicros(u64_at(body, 24)),
            chain: u32_at(body, 32),
        };
        let points = body[END_FIXED_BYTES..].chunks_exact(POINT_BYTES).map(point).collect();
        let end = Self { frames_end: u64_at(body, 0), mark, points };
        if end.can_be_of(header) { Ok(end) } else { Err(missing("numbers that no such segment has".into())) }
    }

    /// Tells whether its numbers lie in its segment: its checksum may be anybody's, and reading goes by them.
    fn can_be_of(&self, header: &SegmentHeader) -> bool {
        let (start, mark) = (&header.start, &self.mark);
        let entries = mark.next_index.0.checked_sub(start.next_index.0);
        let batches = mark.position.0.checked_sub(start.position.0);
        let (Some(entries), Some(batches)) = (entries, batches) else { return false };
        let within = |point: &Point| {
            u64::from(point.offset) < self.frames_end
                && u64::from(point.entries) <= entries
                && u64::from(point.batches) <= batches
        };
        (SEGMENT_HEADER_BYTES..=end_offset(header.bytes)).contains(&self.frames_end)
            && self.points.iter().all(within)
    }
}
