//! Opening a journal: first everything is looked at, then what a crash left is mended.
//!
//! Owns the order of these two. Never overwrites anything when something is damaged; never believes bytes that may be in
//! the machine's memory only. At a crash while mending: the next opening finds the same, or less, to mend.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{JournalError, Wrong};
use super::prepare::{Preparer, next_path, zero_filled};
use super::reader::Reader;
use super::scan::{Frames, SCAN_BYTES, Seen, Walk};
use super::segment::{
    PointTrack, SEGMENT_HEADER_BYTES, SegmentEnd, SegmentHeader, check_segment_bytes, end_offset,
    segment_number, segment_path,
};
use super::shared::{Segment, Shared};
use super::tail::{check_zeros, judge};
use super::writer::{Parts, Tail, Writer, put_segment, write_and_sync};
use super::{LOCK_FILE, Options};
use crate::host::disk::{Disk, DiskFile, Lock, OpenMode};
use crate::host::tasks::Tasks;
use crate::model::entry::Mark;
use crate::model::id::Index;

/// What an opening found and mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the journal had been closed in an orderly stop.
    pub closed: bool,
    /// An incomplete batch, never acknowledged, that was cut.
    pub torn: Option<Torn>,
    /// Segments whose missing or damaged end was made again from their batches.
    pub ends_remade: Vec<PathBuf>,
}

/// What was cut from the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// The first byte that was cut.
    pub offset: u64,
    /// How many bytes, up to the last that was not zero.
    pub bytes: u64,
}

/// Makes an empty journal in a folder, which is made too if it is missing.
///
/// # Errors
/// `SegmentBytes`, `Locked`, `Exists`, `Disk`. After `Disk` it may be called again.
pub fn create(disk: &dyn Disk, dir: &Path, id: [u8; 16], options: Options) -> Result<(), JournalError> {
    check_segment_bytes(options.segment_bytes)?;
    disk.create_dir_all(dir).map_err(JournalError::disk("create", dir))?;
    let _lock = lock(disk, dir)?;
    if !segment_numbers(disk, dir)?.is_empty() {
        return Err(JournalError::Exists { dir: dir.into() });
    }
    let next = next_path(dir);
    let file = zero_filled(disk, &next, options.segment_bytes, &false.into())
        .map_err(JournalError::disk("prepare", &next))?;
    let start = Mark { journal: id, ..Mark::default() };
    put_segment(disk, dir, file.as_ref(), &SegmentHeader { number: 0, start, bytes: options.segment_bytes })
}

/// Opens a journal. `confirmed` is where the ledger stands: the journal must reach it, with the same history.
///
/// # Errors
/// `SegmentBytes`, `Locked`, `NotFound`, `Version`, `OtherJournal`, `Damage`, `Disk`. Nothing was overwritten, except
/// maybe for `Disk`, where mending may have begun.
pub fn open(
    disk: Arc<dyn Disk>,
    tasks: &dyn Tasks,
    dir: &Path,
    options: Options,
    confirmed: Option<&Mark>,
) -> Result<(Writer, Reader, Recovery), JournalError> {
    check_segment_bytes(options.segment_bytes)?;
    let lock = match lock(disk.as_ref(), dir) {
        Err(JournalError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::NotFound { dir: dir.into() });
        }
        locked => locked?,
    };
    let found = Found::look(disk.as_ref(), dir, OpenMode::Write)?;
    let shared = Arc::new(Shared::new(disk.clone(), dir.into(), found.segments.clone(), found.walk.mark));
    let reader = Reader { shared: shared.clone() };
    if let Some(confirmed) = confirmed {
        check_confirmed(&reader, confirmed, &found)?;
    }
    let (tail, recovery) = found.mend(disk.as_ref(), dir)?;
    let segment_bytes = options.segment_bytes;
    let preparer = Preparer::start(disk.clone(), tasks, dir, segment_bytes)?;
    let writer = Writer::new(Parts { disk, dir: dir.into(), shared, segment_bytes, tail, preparer, lock });
    Ok((writer, reader, recovery))
}

/// Looks at what is whole in a journal that another process may be appending to: takes no lock, changes nothing, and leaves
/// out what is not whole yet. All that it shows is synced when it returns.
///
/// # Errors
/// `NotFound`, `Version`, `Disk`. `Damage`, also where the other process was met in the middle of a write: look again then.
pub fn look(disk: Arc<dyn Disk>, dir: &Path) -> Result<Reader, JournalError> {
    let found = Found::look(disk.as_ref(), dir, OpenMode::Read)?;
    // The last batch may have been met between its write and its sync; those before it were synced before it was written.
    found.file.sync_data().map_err(JournalError::disk("sync", &found.walk.frames.path))?;
    Ok(Reader { shared: Arc::new(Shared::new(disk, dir.into(), found.segments, found.walk.mark)) })
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Lock, JournalError> {
    let path = dir.join(LOCK_FILE);
    let lock = disk.lock(&path).map_err(JournalError::disk("lock", &path))?;
    lock.ok_or(JournalError::Locked { path })
}

fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::disk("list", dir))?;
    Ok(names.iter().filter_map(|name| segment_number(name.to_str()?)).collect())
}

/// What stands on the disk, before anything is changed.
struct Found {
    segments: Vec<Segment>,
    ends_missing: Vec<u32>,
    file: Arc<dyn DiskFile>,
    walk: Walk,
    points: PointTrack,
    torn_bytes: u64,
}

impl Found {
    fn look(disk: &dyn Disk, dir: &Path, mode: OpenMode) -> Result<Self, JournalError> {
        let numbers = segment_numbers(disk, dir)?;
        let Some(last) = numbers.last().copied() else {
            return Err(JournalError::NotFound { dir: dir.into() });
        };
        let (mut segments, mut ends_missing) = (Vec::<Segment>::new(), Vec::new());
        let mut opened = open_segment(disk, dir, 0, mode)?;
        check_first(&opened)?;
        for number in 0..last {
            let next = open_segment(disk, dir, number + 1, mode)?;
            let (segment, missing) = full_segment(std::mem::replace(&mut opened, next), &opened.2)?;
            segments.push(segment);
            ends_missing.extend(missing.then_some(number));
        }
        let (path, file, header) = opened;
        check_endless(file.as_ref(), &path, &header)?;
        let (mut walk, mut points) = (walk(path, file.clone(), &header), PointTrack::new(header.start));
        let stop = walk_to(&mut walk, end_offset(header.bytes), &mut points).err();
        if let Some(error @ JournalError::Disk { .. }) = stop {
            return Err(error);
        }
        let torn_bytes = judge(file.as_ref(), &header, &mut walk, stop)?;
        segments.push(Segment { header, frames_end: walk.whole_end, points: points.take() });
        Ok(Self { segments, ends_missing, file, walk, points, torn_bytes })
    }

    fn mend(self, disk: &dyn Disk, dir: &Path) -> Result<(Tail, Recovery), JournalError> {
        // A name may be in the machine's memory only, if the last run ended between a rename and its sync.
        disk.sync_dir(dir).map_err(JournalError::disk("sync the folder", dir))?;
        let mut ends_remade = Vec::new();
        for number in &self.ends_missing {
            ends_remade.push(self.remake_end(disk, dir, *number)?);
        }
        let torn = self.cut()?;
        if !self.walk.closed {
            self.write_last_again()?;
        }
        match disk.remove(&next_path(dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JournalError::disk("remove", &next_path(dir))(error));
            }
            _ => {}
        }
        let header = self.segments.last().expect("there is a last one").header;
        let closed = self.walk.closed || self.walk.mark.position.0 == 0;
        let offset = self.walk.whole_end;
        let tail = Tail { file: self.file, header, offset, points: self.points, closed };
        Ok((tail, Recovery { closed, torn, ends_remade }))
    }

    fn remake_end(&self, disk: &dyn Disk, dir: &Path, number: u32) -> Result<PathBuf, JournalError> {
        let path = segment_path(dir, number);
        let segment = &self.segments[number as usize];
        let mark = self.segments[number as usize + 1].header.start;
        let end = SegmentEnd { frames_end: segment.frames_end, mark, points: segment.points.clone() };
        let offset = end_offset(segment.header.bytes);
        let mut bytes = end.encode();
        // What a damaged end had beyond the right one's length goes too.
        bytes.resize(usize::try_from(segment.header.bytes - offset).expect("an end has at most 200 KiB"), 0);
        let file = disk.open(&path, OpenMode::Write).map_err(JournalError::disk("open", &path))?;
        write_and_sync(file.as_ref(), &path, &bytes, offset)?;
        Ok(path)
    }

    fn cut(&self) -> Result<Option<Torn>, JournalError> {
        if self.torn_bytes == 0 {
            return Ok(None);
        }
        let (path, offset, bytes) = (self.walk.frames.path.clone(), self.walk.whole_end, self.torn_bytes);
        let zeros = vec![0; usize::try_from(bytes).expect("at most one batch")];
        write_and_sync(self.file.as_ref(), &path, &zeros, offset)?;
        Ok(Some(Torn { path, offset, bytes }))
    }

    /// Writes the last batch once more. It may never have been synced (the last run was killed before), or its sync may
    /// have failed and left it in the machine's memory, marked as written: a sync alone would not write it then.
    fn write_last_again(&self) -> Result<(), JournalError> {
        let Some(from) = self.walk.last_batch else { return Ok(()) };
        let path = &self.walk.frames.path;
        let mut bytes = vec![0; usize::try_from(self.walk.whole_end - from).expect("at most one batch")];
        self.file.read_exact_at(&mut bytes, from).map_err(JournalError::disk("read", path))?;
        write_and_sync(self.file.as_ref(), path, &bytes, from)
    }
}

pub(super) type Opened = (PathBuf, Arc<dyn DiskFile>, SegmentHeader);

pub(super) fn open_segment(
    disk: &dyn Disk,
    dir: &Path,
    number: u32,
    mode: OpenMode,
) -> Result<Opened, JournalError> {
    let path = segment_path(dir, number);
    let file = disk.open(&path, mode).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Wrong::new("no such file", "the segment, as later ones are there").at(&path, 0, Index::default())
        }
        _ => JournalError::disk("open", &path)(error),
    })?;
    let header = SegmentHeader::read(file.as_ref(), &path, number)?;
    Ok((path, file, header))
}

pub(super) fn check_first((path, _, header): &Opened) -> Result<(), JournalError> {
    let expected = Mark { journal: header.start.journal, ..Mark::default() };
    if header.start == expected {
        return Ok(());
    }
    let wrong = Wrong::new(format!("a first segment that starts at {}", header.start), expected.to_string());
    Err(wrong.at(path, 0, Index::default()))
}

/// Checks that the last segment has no end: one that has was followed by another when it got it.
fn check_endless(file: &dyn DiskFile, path: &Path, header: &SegmentHeader) -> Result<(), JournalError> {
    match SegmentEnd::read(file, path, header) {
        Ok(end) => {
            let wrong = Wrong::new("the segment's end, and no segment after it", "the next segment");
            Err(wrong.at(path, end_offset(header.bytes), end.mark.next_index))
        }
        Err(JournalError::Damage(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

pub(super) fn walk(path: PathBuf, file: Arc<dyn DiskFile>, header: &SegmentHeader) -> Walk {
    let frames = Frames::new((path, file), &header.start, SEGMENT_HEADER_BYTES, SCAN_BYTES);
    Walk::new(frames, header.start)
}

fn walk_to(walk: &mut Walk, end: u64, points: &mut PointTrack) -> Result<(), JournalError> {
    let mut see = |offset, seen: Seen<'_>| points.see(offset, &seen);
    let walked = loop {
        match walk.next_batch(end, &mut see) {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    points.cut(walk.whole_end);
    walked
}

/// Reads the end of a segment that another follows, or scans the segment if its end is missing; `true` if it is.
pub(super) fn full_segment(
    (path, file, header): Opened,
    next: &SegmentHeader,
) -> Result<(Segment, bool), JournalError> {
    let missing = match SegmentEnd::read(file.as_ref(), &path, &header) {
        Ok(end) if end.mark == next.start => {
            return Ok((Segment { header, frames_end: end.frames_end, points: end.points }, false));
        }
        Ok(end) => {
            let wrong = Wrong::new(format!("an end at {}", end.mark), next.start.to_string());
            return Err(wrong.at(&path, end_offset(header.bytes), end.mark.next_index));
        }
        Err(JournalError::Damage(missing)) => missing,
        Err(other) => return Err(other),
    };
    let (mut walk, mut points) = (walk(path, file.clone(), &header), PointTrack::new(header.start));
    let stop = walk_to(&mut walk, end_offset(header.bytes), &mut points).err();
    if walk.mark != next.start {
        return Err(stop.unwrap_or_else(|| missing.into()));
    }
    check_zeros(file.as_ref(), &walk, end_offset(header.bytes))?;
    Ok((Segment { header, frames_end: walk.whole_end, points: points.take() }, true))
}

fn check_confirmed(reader: &Reader, confirmed: &Mark, found: &Found) -> Result<(), JournalError> {
    let (mark, walk) = (found.walk.mark, &found.walk);
    if confirmed.journal != mark.journal {
        return Err(JournalError::OtherJournal { found: mark.journal, expected: confirmed.journal });
    }
    match reader.mark_at(confirmed.position)? {
        Some(held) if held == *confirmed => Ok(()),
        held => {
            let held =
                held.map_or(format!("the end after {} batches", mark.position), |held| held.to_string());
            Err(walk
                .frames
                .wrong(walk.whole_end, Wrong::new(held, format!("{confirmed}, as the ledger has it"))))
        }
    }
}
