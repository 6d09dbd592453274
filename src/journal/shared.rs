//! What the writer and the readers of a journal share: which bytes are synced, and where in them to begin.
//!
//! Owns the sparse index in memory and the open files. Never reads a frame. At a crash: nothing, all is in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use super::error::JournalError;
use super::segment::{Point, SEGMENT_HEADER_BYTES, SegmentHeader, segment_path};
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::model::entry::Mark;
use crate::model::id::{Index, Position};

/// How many segments' files are kept open for reading: offices catch up in different places.
const OPEN_FILES_MAX: usize = 64;

pub(super) struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    state: RwLock<State>,
    /// The last used at the end.
    files: Mutex<Vec<(u32, Arc<dyn DiskFile>)>>,
}

struct State {
    segments: Vec<Segment>,
    mark: Mark,
}

/// What is known of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    /// Where its synced frames end.
    pub(super) frames_end: u64,
    pub(super) points: Vec<Point>,
}

/// A place where reading can begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) start: Mark,
    pub(super) offset: u64,
    /// The first entry at or after the offset.
    pub(super) index: Index,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segments: Vec<Segment>, mark: Mark) -> Self {
        let state = RwLock::new(State { segments, mark });
        Self { disk, dir, state, files: Mutex::new(Vec::new()) }
    }

    /// Where the journal stands, all of it synced.
    pub(super) fn mark(&self) -> Mark {
        self.state().mark
    }

    /// Bytes of the segments' files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.state().segments.iter().map(|segment| segment.header.bytes).sum()
    }

    pub(super) fn path(&self, segment: u32) -> PathBuf {
        segment_path(&self.dir, segment)
    }

    /// Opens a segment for reading, or finds it open.
    pub(super) fn file(&self, segment: u32) -> Result<(PathBuf, Arc<dyn DiskFile>), JournalError> {
        let path = self.path(segment);
        let mut files = self.files.lock().expect("nothing panics while it holds this lock");
        let found = files.iter().position(|(number, _)| *number == segment);
        let file = match found {
            Some(place) => files.remove(place).1,
            None => self.open(segment, OpenMode::Read)?.1,
        };
        if files.len() == OPEN_FILES_MAX {
            files.remove(0);
        }
        files.push((segment, file.clone()));
        Ok((path, file))
    }

    /// Opens a segment anew.
    pub(super) fn open(
        &self,
        segment: u32,
        mode: OpenMode,
    ) -> Result<(PathBuf, Arc<dyn DiskFile>), JournalError> {
        let path = self.path(segment);
        let file = self.disk.open(&path, mode).map_err(JournalError::disk("open", &path))?;
        Ok((path, file))
    }

    /// What is known of a segment; `None` if there is none of this number yet.
    pub(super) fn segment(&self, number: u32) -> Option<Segment> {
        self.state().segments.get(number as usize).cloned()
    }

    /// The last segment's number, and where its synced frames end.
    pub(super) fn last_segment(&self) -> (u32, u64) {
        let state = self.state();
        let last = state.segments.last().expect("a journal has a segment");
        (last.header.number, last.frames_end)
    }

    /// Where a segment's synced frames end, and whether another segment follows.
    pub(super) fn frames_end(&self, number: u32) -> (u64, bool) {
        let state = self.state();
        let place = number as usize;
        (state.segments[place].frames_end, place + 1 < state.segments.len())
    }

    /// The beginning of a segment that is there.
    pub(super) fn segment_start(&self, number: u32) -> Place {
        let start = self.state().segments[number as usize].header.start;
        Place { segment: number, start, offset: SEGMENT_HEADER_BYTES, index: start.next_index }
    }

    /// Finds where to begin to read for an entry.
    pub(super) fn place_of_entry(&self, index: Index) -> Place {
        self.place(
            |mark| mark.next_index <= index,
            |start, point| start.next_index.0 + u64::from(point.entries) <= index.0,
        )
    }

    /// Finds where to begin to read for a batch.
    pub(super) fn place_of_batch(&self, position: Position) -> Place {
        self.place(
            |mark| mark.position <= position,
            |start, point| start.position.0 + u64::from(point.batches) <= position.0,
        )
    }

    fn place(
        &self,
        starts_before: impl Fn(&Mark) -> bool,
        is_before: impl Fn(&Mark, &Point) -> bool,
    ) -> Place {
        let state = self.state();
        let after = state.segments.partition_point(|segment| starts_before(&segment.header.start));
        // The first segment starts at 0, so it is before everything.
        let segment = &state.segments[after.saturating_sub(1)];
        let start = segment.header.start;
        let points = &segment.points;
        let point =
            points.partition_point(|point| is_before(&start, point)).checked_sub(1).map(|at| points[at]);
        let (offset, entries) =
            point.map_or((SEGMENT_HEADER_BYTES, 0), |point| (point.offset.into(), point.entries));
        let index = Index(start.next_index.0 + u64::from(entries));
        Place { segment: segment.header.number, start, offset, index }
    }

    /// Makes a synced batch visible to the readers.
    pub(super) fn publish(&self, frames_end: u64, points: &[Point], mark: Mark) {
        let mut state = self.state.write().expect("nothing panics while it holds this lock");
        let tail = state.segments.last_mut().expect("a journal has a segment");
        tail.frames_end = frames_end;
        tail.points.extend(points);
        state.mark = mark;
    }

    /// Adds an empty segment at the end.
    pub(super) fn publish_segment(&self, header: SegmentHeader) {
        let mut state = self.state.write().expect("nothing panics while it holds this lock");
        state.segments.push(Segment { header, frames_end: SEGMENT_HEADER_BYTES, points: Vec::new() });
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nothing panics while it holds this lock")
    }
}
