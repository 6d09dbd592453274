//! Overwriting payloads in place, while entries, chain and every other byte stand.
//!
//! Owns the order of the writes: headers that say that a payload is erased, synced; then zeros over the payloads, synced. A
//! header lies in one block of the drive, so it is there whole, the old one or the new one, and where it is the old one no
//! byte of the payload was touched.
//! At a crash: each payload is as it was, or is not read any more. Whoever keeps the order erases it again: that does no
//! harm, and makes sure of the zeros.

use super::error::JournalError;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, Seed};
use super::prepare::ZEROS;
use super::reader::{Reader, Stream};
use super::scan::READ_BYTES;
use crate::host::disk::OpenMode;
use crate::model::id::Index;

/// Payloads overwritten between two syncs: a sync's cost is spread, and an append waits behind little.
const SYNCED_TOGETHER_MAX: usize = 64;

/// Where a payload's frame stands.
struct Target {
    segment: u32,
    offset: u64,
    body_bytes: u32,
}

/// Overwrites the payloads of entries, named by ascending index; those without one are passed over. When it returns, their
/// bytes are zeros on the disk. It blocks on the disk. Gives how many payloads there were.
///
/// # Errors
/// `Damage`, `Disk`: those named last may still be there.
pub fn erase(reader: &Reader, indexes: impl IntoIterator<Item = Index>) -> Result<u64, JournalError> {
    let (mut stream, mut targets, mut count) = (None, Vec::new(), 0);
    for index in indexes {
        let Some(target) = find(reader, &mut stream, index)? else { continue };
        let other_file = targets.last().is_some_and(|last: &Target| last.segment != target.segment);
        if other_file || targets.len() == SYNCED_TOGETHER_MAX {
            count += overwrite(reader, &mut targets)?;
        }
        targets.push(target);
    }
    Ok(count + overwrite(reader, &mut targets)?)
}

fn find(reader: &Reader, stream: &mut Option<Stream>, index: Index) -> Result<Option<Target>, JournalError> {
    let shared = reader.shared.as_ref();
    let place = shared.place_of_entry(index);
    let mut at = match stream.take() {
        // It goes on where it is, unless a later place to begin at is known.
        Some(at) if (place.index..=index).contains(&at.next_index()) => at,
        _ => Stream::open(shared, place, READ_BYTES)?,
    };
    let found = at.payload_frame(shared, index)?;
    *stream = Some(at);
    Ok(found.map(|(segment, frame)| Target {
        segment,
        offset: frame.offset,
        body_bytes: frame.header.body_bytes,
    }))
}

fn overwrite(reader: &Reader, targets: &mut Vec<Target>) -> Result<u64, JournalError> {
    let Some(first) = targets.first() else { return Ok(0) };
    let (path, file) = reader.shared.open(first.segment, OpenMode::Write)?;
    let seed = Seed::of(&reader.mark().journal);
    let write = |bytes: &[u8], offset| {
        file.write_all_at(bytes, offset).map_err(JournalError::disk("overwrite a payload in", &path))
    };
    for Target { offset, body_bytes, .. } in &*targets {
        let header = FrameHeader { kind: FrameKind::ErasedPayload, body_bytes: *body_bytes, body_crc: 0 };
        write(&header.encode(seed), *offset)?;
    }
    file.sync_data().map_err(JournalError::disk("sync", &path))?;
    for Target { offset, body_bytes, .. } in &*targets {
        let body = offset + FRAME_HEADER_BYTES as u64;
        for done in (0..*body_bytes as usize).step_by(ZEROS.len()) {
            write(&ZEROS[..ZEROS.len().min(*body_bytes as usize - done)], body + done as u64)?;
        }
    }
    file.sync_data().map_err(JournalError::disk("sync", &path))?;
    let count = targets.len() as u64;
    targets.clear();
    Ok(count)
}
