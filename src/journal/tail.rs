//! A torn tail told from damage.
//!
//! Owns the judgement on what stands after the last whole batch. Reads only; `recover` acts on it.
//!
//! One batch is in flight at a time, into zeros that are on the disk. So after a power cut the last batch alone can be
//! incomplete, and what is missing of it are whole blocks of zeros. Everything else is damage: something whole after it
//! (it had been synced, or the next would not have been written), bytes that are neither right nor zeros, bytes
//! further away than a batch reaches.

use super::batch::BATCH_BYTES_MAX;
use super::error::{JournalError, Wrong};
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, FrameKind, Seed};
use super::prepare::ZEROS;
use super::scan::{SCAN_BYTES, Walk};
use super::segment::{SegmentHeader, end_offset};
use crate::host::disk::DiskFile;

/// Judges what follows `walk.whole_end` in the last segment, where `stop` is what ended the walk: gives how many bytes
/// an incomplete batch left there, 0 for none.
///
/// # Errors
/// `Damage`; `Disk`.
pub(super) fn judge(
    file: &dyn DiskFile,
    header: &SegmentHeader,
    walk: &mut Walk,
    stop: Option<JournalError>,
) -> Result<u64, JournalError> {
    let mut last_written = None;
    let mut whole = None;
    for_each_piece(file, walk, header.bytes, &mut |offset, piece| {
        if let Some(at) = piece.iter().rposition(|byte| *byte != 0) {
            last_written = Some(offset + at as u64);
            whole = whole.or_else(|| first_whole(piece, offset, walk.whole_end, header));
        }
    })?;
    let Some(last_written) = last_written else { return Ok(0) };
    let Some(stop) = stop else {
        // The frames fill the segment up to its end, which the last segment does not have yet.
        return Err(walk.frames.wrong(walk.whole_end, Wrong::new("bytes at the segment's end", "zeros")));
    };
    if !stop.may_be_tear() {
        return Err(stop);
    }
    if let Some(later) = whole {
        let text = format!("a batch that was not whole when a later one was written, at byte {later}");
        return Err(walk.frames.wrong(walk.whole_end, Wrong::new(text, "a whole one")));
    }
    let room_end = end_offset(header.bytes);
    let reach = walk.stopped_batch_end(room_end).unwrap_or(walk.whole_end + BATCH_BYTES_MAX).min(room_end);
    if last_written >= reach {
        let wrong =
            Wrong::new(format!("bytes up to {last_written}"), "zeros beyond what the batch can reach");
        return Err(walk.frames.wrong(walk.whole_end, wrong));
    }
    Ok(last_written + 1 - walk.whole_end)
}

/// Checks that nothing stands between the last whole batch and `end`.
///
/// # Errors
/// `Damage`; `Disk`.
pub(super) fn check_zeros(file: &dyn DiskFile, walk: &Walk, end: u64) -> Result<(), JournalError> {
    let mut written = None;
    for_each_piece(file, walk, end, &mut |offset, piece| {
        let at = piece.iter().position(|byte| *byte != 0);
        written = written.or(at.map(|at| offset + at as u64));
    })?;
    match written {
        None => Ok(()),
        Some(at) => Err(walk.frames.wrong(at, Wrong::new("bytes after the last batch", "zeros"))),
    }
}

/// Shows what is in the file from the last whole batch on, except pieces of zeros; pieces overlap, so that each header
/// is whole in one.
fn for_each_piece(
    file: &dyn DiskFile,
    walk: &Walk,
    end: u64,
    see: &mut dyn FnMut(u64, &[u8]),
) -> Result<(), JournalError> {
    let mut offset = walk.whole_end;
    let mut piece = vec![0; usize::try_from(end - offset).map_or(SCAN_BYTES, |left| left.min(SCAN_BYTES))];
    while offset < end {
        let len = usize::try_from(end - offset).map_or(piece.len(), |left| left.min(piece.len()));
        file.read_exact_at(&mut piece[..len], offset)
            .map_err(JournalError::disk("read", &walk.frames.path))?;
        if piece[..len] != ZEROS[..len] {
            see(offset, &piece[..len]);
        }
        let overlap = if offset + (len as u64) < end { FRAME_HEADER_BYTES } else { 0 };
        offset += (len - overlap) as u64;
    }
    Ok(())
}

/// Finds a header that only a later write can have put there. The header of the incomplete batch itself is none.
fn first_whole(piece: &[u8], offset: u64, whole_end: u64, header: &SegmentHeader) -> Option<u64> {
    let seed = Seed::of(&header.start.journal);
    let places = (0..piece.len()).step_by(FRAME_ALIGN);
    let mut found = places.filter(|at| {
        let bytes = piece.get(*at..at + FRAME_HEADER_BYTES).and_then(|bytes| bytes.try_into().ok());
        let frame = bytes.and_then(|bytes| FrameHeader::decode(bytes, seed).ok());
        let later = |kind| matches!(kind, FrameKind::Batch | FrameKind::Close | FrameKind::SegmentEnd);
        offset + *at as u64 != whole_end && frame.is_some_and(|frame| later(frame.kind))
    });
    found.next().map(|at| offset + at as u64)
}
