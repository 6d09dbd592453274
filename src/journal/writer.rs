//! Appending: one write and one sync a batch, then it is the readers'.
//!
//! Owns the tail. Never acknowledges before the sync; never retries after an error.
//! At a crash: the batch in flight may be there, whole, or not; `recover` cuts a part of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{BATCH_BYTES_MAX, batch_bytes, close_frame, encode_batch};
use super::error::JournalError;
use super::prepare::{Preparer, Space, next_path};
use super::segment::{
    PointTrack, SEGMENT_HEADER_BYTES, SegmentEnd, SegmentHeader, batch_room, end_offset, segment_path,
};
use super::shared::Shared;
use crate::host::disk::{Disk, DiskFile, Lock};
use crate::model::entry::{Batch, Entry, Mark, Payload};
use crate::model::id::Index;

/// Appends to a journal: one a journal. It blocks on the disk: give it a thread of its own.
pub struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Arc<Shared>,
    segment_bytes: u64,
    tail: Tail,
    mark: Mark,
    buffer: Vec<u8>,
    stopped: Option<String>,
    // The order of the last two matters: the task that prepares segments ends before the folder is unlocked.
    preparer: Preparer,
    _lock: Lock,
}

/// The segment that is being written.
pub(super) struct Tail {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) header: SegmentHeader,
    /// Where the next frame goes.
    pub(super) offset: u64,
    pub(super) points: PointTrack,
    /// Whether what is before it is known to be synced without looking: an orderly stop's mark, or nothing, is last.
    pub(super) closed: bool,
}

/// A batch that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The index of its first entry.
    pub first: Index,
    /// Where the journal stands after it.
    pub mark: Mark,
    /// Its entries, as a reader would read them; they share their bytes with the batch.
    pub entries: Vec<Entry>,
}

pub(super) struct Parts {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) segment_bytes: u64,
    pub(super) tail: Tail,
    pub(super) preparer: Preparer,
    pub(super) lock: Lock,
}

impl Writer {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { disk, dir, shared, segment_bytes, tail, preparer, lock } = parts;
        let mark = shared.mark();
        let buffer = Vec::new();
        Self { disk, dir, shared, segment_bytes, tail, mark, buffer, stopped: None, preparer, _lock: lock }
    }

    /// Where the journal stands.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Gives what tells whether there is room to go on.
    pub fn space(&self) -> Space {
        self.preparer.space()
    }

    /// Appends a batch; when it returns, the batch is on the disk and readable.
    ///
    /// # Errors
    /// `EmptyBatch`, `TooLarge`, `TimeWentBack`, `Full`, `Stopped`: nothing was written.
    /// `Disk`: it is not known whether the batch was written, and nothing more is taken; open the journal again.
    pub fn append(&mut self, batch: &Batch) -> Result<Appended, JournalError> {
        if let Some(because) = &self.stopped {
            return Err(JournalError::Stopped { because: because.clone() });
        }
        let bytes = self.check(batch)?;
        if self.tail.offset + bytes > batch_room(self.tail.header.bytes).end {
            self.change_segment()?;
        }
        let before = self.mark;
        self.buffer.clear();
        let mark =
            encode_batch(&mut self.buffer, (batch, bytes), &before, self.tail.offset, &mut self.tail.points);
        self.write_buffer()?;
        self.tail.closed = false;
        self.mark = mark;
        self.shared.publish(self.tail.offset, &self.tail.points.take(), mark);
        Ok(Appended { first: before.next_index, mark, entries: entries_of(batch, before.next_index) })
    }

    /// Writes the mark of an orderly stop, which proves at the next opening that the last batch had been synced.
    ///
    /// # Errors
    /// `Stopped` after an earlier error; `Disk`.
    pub fn close(mut self) -> Result<(), JournalError> {
        if let Some(because) = self.stopped.take() {
            return Err(JournalError::Stopped { because });
        }
        if self.tail.closed {
            return Ok(());
        }
        self.buffer = close_frame(&self.mark);
        self.write_buffer()?;
        self.shared.publish(self.tail.offset, &[], self.mark);
        Ok(())
    }

    fn check(&self, batch: &Batch) -> Result<u64, JournalError> {
        let bytes = batch_bytes(batch)?;
        let room = batch_room(self.segment_bytes);
        let max = BATCH_BYTES_MAX.min(room.end - room.start);
        if bytes > max {
            return Err(JournalError::TooLarge { what: "a batch", found: bytes, max });
        }
        if batch.time < self.mark.time {
            return Err(JournalError::TimeWentBack { found: batch.time, min: self.mark.time });
        }
        Ok(bytes)
    }

    fn write_buffer(&mut self) -> Result<(), JournalError> {
        let path = segment_path(&self.dir, self.tail.header.number);
        let written = write_and_sync(self.tail.file.as_ref(), &path, &self.buffer, self.tail.offset);
        self.stop_at_error(written)?;
        self.tail.offset += self.buffer.len() as u64;
        Ok(())
    }

    fn change_segment(&mut self) -> Result<(), JournalError> {
        let next = self.preparer.next();
        let taken = match next.take() {
            // Nothing was written: room may come.
            Err(error @ JournalError::Full { .. }) => return Err(error),
            taken => self.stop_at_error(taken)?,
        };
        let changed = self.change_to(Arc::clone(&taken.file));
        drop(taken);
        self.stop_at_error(changed)?;
        self.preparer.prepare();
        Ok(())
    }

    /// The next segment is there under its name, durably, before this one gets its end: so an end without a next
    /// segment is damage, and a missing end is a crash between the two, after which it is made again.
    fn change_to(&mut self, file: Arc<dyn DiskFile>) -> Result<(), JournalError> {
        let number = self.tail.header.number + 1;
        let header = SegmentHeader { number, start: self.mark, bytes: self.segment_bytes };
        put_segment(self.disk.as_ref(), &self.dir, file.as_ref(), &header)?;
        let (ended, path) = (&self.tail.header, segment_path(&self.dir, self.tail.header.number));
        let known = self.shared.segment(ended.number).expect("the tail is a segment");
        let end = SegmentEnd { frames_end: self.tail.offset, mark: self.mark, points: known.points };
        write_and_sync(self.tail.file.as_ref(), &path, &end.encode(), end_offset(ended.bytes))?;
        self.shared.publish_segment(header);
        let points = PointTrack::new(self.mark);
        self.tail = Tail { file, header, offset: SEGMENT_HEADER_BYTES, points, closed: true };
        Ok(())
    }

    fn stop_at_error<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &result {
            self.stopped = Some(error.to_string());
        }
        result
    }
}

/// Gives a prepared segment its header, then its name, both durably.
pub(super) fn put_segment(
    disk: &dyn Disk,
    dir: &Path,
    file: &dyn DiskFile,
    header: &SegmentHeader,
) -> Result<(), JournalError> {
    let (next, path) = (next_path(dir), segment_path(dir, header.number));
    write_and_sync(file, &next, &header.encode(), 0)?;
    disk.rename(&next, &path).map_err(JournalError::disk("rename", &next))?;
    disk.sync_dir(dir).map_err(JournalError::disk("sync the folder", dir))
}

pub(super) fn write_and_sync(
    file: &dyn DiskFile,
    path: &Path,
    bytes: &[u8],
    offset: u64,
) -> Result<(), JournalError> {
    file.write_all_at(bytes, offset).map_err(JournalError::disk("write", path))?;
    file.sync_data().map_err(JournalError::disk("sync", path))
}

fn entries_of(batch: &Batch, first: Index) -> Vec<Entry> {
    let numbered = batch.proposals.iter().zip(first.0..);
    numbered
        .map(|(proposal, index)| Entry {
            index: Index(index),
            time: batch.time,
            nonce: batch.nonce(Index(index)),
            kind: proposal.kind,
            identity: proposal.identity.clone(),
            statement: proposal.statement.clone(),
            payload: proposal.payload.clone().map_or(Payload::None, Payload::Kept),
        })
        .collect()
}
