//! Reading the whole journal and checking every byte of it.
//!
//! Owns the counts. Never writes; may run beside appends, and then checks what was synced when it comes by.

use super::error::{JournalError, Wrong};
use super::reader::Reader;
use super::scan::{Frames, SCAN_BYTES, Seen, Walk};
use super::segment::{PointTrack, SEGMENT_HEADER_BYTES, SegmentEnd, SegmentHeader, end_offset};
use super::shared::Shared;
use super::tail::check_zeros;
use crate::model::entry::Mark;
use crate::model::id::Index;

/// What was read so far, or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments.
    pub segments: u32,
    /// Batches.
    pub batches: u64,
    /// Entries.
    pub entries: u64,
    /// Payloads that are kept.
    pub payloads: u64,
    /// Payloads that were erased.
    pub erased: u64,
    /// Bytes of frames.
    pub bytes: u64,
    /// Where the journal stands after them.
    pub mark: Mark,
}

/// Reads everything that is synced, and checks each frame, each batch against the one before, the chain, each segment's
/// end, and that there are zeros where nothing was written. `progress` is told the counts after each batch, `erased` each
/// entry whose payload is erased.
///
/// # Errors
/// `Damage`: the first that was met; `Disk`.
pub fn verify(
    reader: &Reader,
    progress: &mut dyn FnMut(&Verified),
    erased: &mut dyn FnMut(Index),
) -> Result<Verified, JournalError> {
    let shared = reader.shared.as_ref();
    let mut verified =
        Verified { mark: Mark { journal: reader.mark().journal, ..Mark::default() }, ..Verified::default() };
    while shared.segment(verified.segments).is_some() {
        verify_segment(shared, &mut verified, progress, erased)?;
        verified.segments += 1;
    }
    Ok(verified)
}

fn verify_segment(
    shared: &Shared,
    verified: &mut Verified,
    progress: &mut dyn FnMut(&Verified),
    erased: &mut dyn FnMut(Index),
) -> Result<(), JournalError> {
    let number = verified.segments;
    let (path, file) = shared.file(number)?;
    let header = SegmentHeader::read(file.as_ref(), &path, number)?;
    if header.start != verified.mark {
        let wrong = Wrong::new(format!("a segment from {}", header.start), verified.mark.to_string());
        return Err(wrong.at(&path, 0, verified.mark.next_index));
    }
    let (frames_end, full) = shared.frames_end(number);
    let frames = Frames::new((path.clone(), file.clone()), &header.start, SEGMENT_HEADER_BYTES, SCAN_BYTES);
    let (mut walk, mut points) = (Walk::new(frames, header.start), PointTrack::new(header.start));
    loop {
        let (mut counts, mut last) = (*verified, Index(0));
        let mut see = |offset, seen: Seen<'_>| {
            points.see(offset, &seen);
            match seen {
                Seen::Batch(_) => counts.batches += 1,
                Seen::Entry(entry) => {
                    counts.entries += 1;
                    last = entry.index;
                }
                Seen::Payload(_) => counts.payloads += 1,
                Seen::ErasedPayload => {
                    counts.erased += 1;
                    erased(last);
                }
            }
        };
        let (from, batch) = (walk.whole_end, walk.next_batch(frames_end, &mut see)?);
        *verified = Verified { bytes: verified.bytes + (walk.whole_end - from), mark: walk.mark, ..counts };
        if batch.is_none() {
            break;
        }
        progress(verified);
    }
    if full {
        check_zeros(file.as_ref(), &walk, end_offset(header.bytes))?;
        let expected = SegmentEnd { frames_end, mark: walk.mark, points: points.take() };
        if SegmentEnd::read(file.as_ref(), &path, &header)? != expected {
            let wrong = Wrong::new("an end that its batches do not give", format!("one at {}", walk.mark));
            return Err(wrong.at(&path, end_offset(header.bytes), walk.mark.next_index));
        }
    }
    Ok(())
}
