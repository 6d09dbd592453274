//! Copying a journal, or what a copy lacks of it, while another process may append to it.
//!
//! Owns the order of a copy's writes. Never changes what is copied from; never decides what is kept.
//! At a crash: what a copy held before stands as it stood, for bytes are written after its end alone, and a segment gets
//! its name when its bytes are there. So the extent that was written down for it last can be read on.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::{JournalError, Wrong};
use super::prepare::{ZEROS, next_path, zero_filled};
use super::reader::Reader;
use super::recover::{Opened, check_first, full_segment, open_segment, walk};
use super::scan::{SCAN_BYTES, Seen};
use super::segment::{PointTrack, end_offset, segment_path};
use super::shared::{Segment, Shared};
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::model::entry::Mark;

/// How much of a folder's segments is a journal; what lies beyond it is of no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it stands.
    pub mark: Mark,
    /// How many segments it has.
    pub segments: u32,
}

/// What becomes of a new segment's room for further batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It takes no place on the disk yet: nothing is appended to this copy.
    Hole,
    /// It is written as zeros, as a hub's is.
    Written,
}

/// What a copying did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How far the copy goes now.
    pub extent: Extent,
    /// Bytes that were copied.
    pub bytes: u64,
}

/// Looks at a copy as far as it goes. Takes no lock and changes nothing.
///
/// # Errors
/// `Version`, `Disk`; `Damage`, also where it does not reach the extent.
pub fn look_until(disk: Arc<dyn Disk>, dir: &Path, extent: &Extent) -> Result<Reader, JournalError> {
    let open = |number| open_segment(disk.as_ref(), dir, number, OpenMode::Read);
    let (mut segments, mut opened) = (Vec::<Segment>::new(), open(0)?);
    check_first(&opened)?;
    for number in 1..extent.segments {
        let next = open(number)?;
        segments.push(full_segment(std::mem::replace(&mut opened, next), &opened.2)?.0);
    }
    segments.push(part_of_segment(opened, &extent.mark)?);
    Ok(Reader { shared: Arc::new(Shared::new(disk, dir.into(), segments, extent.mark)) })
}

/// Reads the last segment of a copy up to where the copy stands.
fn part_of_segment((path, file, header): Opened, mark: &Mark) -> Result<Segment, JournalError> {
    let (mut walk, mut points) = (walk(path, file, &header), PointTrack::new(header.start));
    let end = end_offset(header.bytes);
    while walk.mark != *mark {
        let mut see = |offset, seen: Seen<'_>| points.see(offset, &seen);
        if walk.mark.position >= mark.position || walk.next_batch(end, &mut see)?.is_none() {
            let wrong = Wrong::new(walk.mark.to_string(), mark.to_string());
            return Err(walk.frames.wrong(walk.whole_end, wrong));
        }
    }
    Ok(Segment { header, frames_end: walk.whole_end, points: points.take() })
}

/// Copies into a folder, which is there, what it lacks of a journal: all of it, or what is beyond `have`, which must hold
/// a beginning of the same history. All is synced when it returns. `progress` is told the bytes copied so far; when it
/// says no, the copying ends early and `None` is given.
///
/// # Errors
/// `Disk`. The copy stands as it stood; it may be made again.
pub fn copy(
    source: &Reader,
    disk: &dyn Disk,
    to: &Path,
    have: Option<&Reader>,
    room: Room,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Copied>, JournalError> {
    let source = source.shared.as_ref();
    let (first, held_end) = have.map_or((0, 0), |have| have.shared.last_segment());
    let (last, _) = source.last_segment();
    let mut bytes = 0;
    for number in first..=last {
        let segment = source.segment(number).expect("it is one of the source's");
        let (_, file) = source.file(number)?;
        let mut from = if number == first { held_end } else { 0 };
        let new = from == 0;
        let path = if new { next_path(to) } else { segment_path(to, number) };
        let written = match (new, room) {
            (true, Room::Written) => zero_filled(disk, &path, segment.header.bytes, &false.into()),
            (true, Room::Hole) => disk.open(&path, OpenMode::Replace).and_then(|file| {
                file.set_len(segment.header.bytes)?;
                Ok(file)
            }),
            (false, _) => disk.open(&path, OpenMode::Write),
        };
        let written = written.map_err(JournalError::disk("prepare", &path))?;
        let ends = (number < last).then(|| end_offset(segment.header.bytes)..segment.header.bytes);
        let mut piece = Vec::new();
        for range in std::iter::once(from..segment.frames_end).chain(ends) {
            from = range.start;
            while from < range.end {
                let len = (range.end - from).min(SCAN_BYTES as u64);
                piece.resize(usize::try_from(len).expect("at most 512 KiB"), 0);
                copy_piece(file.as_ref(), written.as_ref(), &path, from, &mut piece)?;
                (from, bytes) = (from + len, bytes + len);
                if !progress(bytes) {
                    return Ok(None);
                }
            }
        }
        if !new {
            let end = if number < last { end_offset(segment.header.bytes) } else { segment.header.bytes };
            clear(written.as_ref(), segment.frames_end..end).map_err(JournalError::disk("clear", &path))?;
        }
        written.sync_data().map_err(JournalError::disk("sync", &path))?;
        if new {
            disk.rename(&path, &segment_path(to, number)).map_err(JournalError::disk("rename", &path))?;
            disk.sync_dir(to).map_err(JournalError::disk("sync the folder", to))?;
        }
    }
    Ok(Some(Copied { extent: Extent { mark: source.mark(), segments: last + 1 }, bytes }))
}

/// Clears what a copying that was cut short left there.
fn clear(file: &dyn DiskFile, range: Range<u64>) -> io::Result<()> {
    let mut piece = Vec::new();
    let mut from = range.start;
    while from < range.end {
        let len = usize::try_from(range.end - from).map_or(SCAN_BYTES, |left| left.min(SCAN_BYTES));
        piece.resize(len, 0);
        file.read_exact_at(&mut piece, from)?;
        if piece[..] != ZEROS[..len] {
            file.write_all_at(&ZEROS[..len], from)?;
        }
        from += len as u64;
    }
    Ok(())
}

fn copy_piece(
    from: &dyn DiskFile,
    to: &dyn DiskFile,
    path: &Path,
    offset: u64,
    piece: &mut [u8],
) -> Result<(), JournalError> {
    from.read_exact_at(piece, offset).map_err(JournalError::disk("read what is copied to", path))?;
    to.write_all_at(piece, offset).map_err(JournalError::disk("write", path))
}
