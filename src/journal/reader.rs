//! Reading what is synced, beside the appends.
//!
//! Owns cursors over entries and batches. Never serves bytes whose checksums do not agree; never reads beyond the last
//! synced batch. Memory: one buffer a cursor, as large as the largest frame it met, and one batch.

use std::sync::Arc;

use bytes::Bytes;

use super::batch::{BatchHeader, EntryBody, PayloadClaim};
use super::error::{JournalError, Wrong};
use super::frame::FrameKind;
use super::scan::{FrameAt, Frames, READ_BYTES, SCAN_BYTES, Seen, Walk};
use super::segment::SEGMENT_HEADER_BYTES;
use super::shared::{Place, Shared};
use crate::model::entry::{BatchName, Entry, Mark, Payload};
use crate::model::id::{Index, Position, UnixMicros};

/// Reads a journal; clones read the same one.
#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

/// A batch as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Its name.
    pub name: BatchName,
    /// Where the journal stands after it.
    pub after: Mark,
    /// Its entries, in order.
    pub entries: Vec<Entry>,
}

impl Reader {
    /// Where the journal stands, all of it synced.
    pub fn mark(&self) -> Mark {
        self.shared.mark()
    }

    /// Tells how many bytes its segments take on disk; the one that is being prepared is left out.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.disk_bytes()
    }

    /// Reads one entry; `None` if there is none of this index yet.
    ///
    /// # Errors
    /// `Damage`, `Disk`.
    pub fn entry(&self, index: Index) -> Result<Option<Entry>, JournalError> {
        self.from(index).next()
    }

    /// Reads entries one after the other, beginning with this index.
    pub fn from(&self, index: Index) -> Cursor {
        Cursor { shared: self.shared.clone(), next: index, stream: None, payloads: true }
    }

    /// Reads entries one after the other without a look at their payloads, beginning with this index: each says that it has none.
    pub fn without_payloads(&self, index: Index) -> Cursor {
        Cursor { payloads: false, ..self.from(index) }
    }

    /// Reads batches one after the other, beginning with this position, for a replay.
    pub fn batches(&self, from: Position) -> Batches {
        Batches { shared: self.shared.clone(), next: from, at: None }
    }

    /// Tells where the journal stood when it had this many batches; `None` if it has fewer.
    ///
    /// # Errors
    /// `Damage`, `Disk`.
    pub fn mark_at(&self, position: Position) -> Result<Option<Mark>, JournalError> {
        let Some(last) = position.0.checked_sub(1) else {
            return Ok(Some(Mark { journal: self.mark().journal, ..Mark::default() }));
        };
        if position > self.mark().position {
            return Ok(None);
        }
        let (_, _, header) = find_batch(&self.shared, Position(last))?;
        Ok(Some(header.after(self.mark().journal)))
    }

    /// Finds the first entry of a batch at or after a time; the next one to come where all are before it. It reads the
    /// headers of some batches: as many as their number can be halved.
    ///
    /// # Errors
    /// `Damage`, `Disk`.
    pub fn index_at(&self, time: UnixMicros) -> Result<Index, JournalError> {
        let end = self.mark();
        if end.time < time {
            return Ok(end.next_index);
        }
        let (mut first, mut last) = (0, end.position.0);
        while first < last {
            let middle = first + (last - first) / 2;
            match self.mark_at(Position(middle + 1))? {
                Some(after) if after.time < time => first = middle + 1,
                _ => last = middle,
            }
        }
        Ok(self.mark_at(Position(first))?.map_or(end.next_index, |before| before.next_index))
    }

    /// Tells whether a mark lies on this journal's history.
    ///
    /// # Errors
    /// `Damage`, `Disk`.
    pub fn holds(&self, mark: &Mark) -> Result<bool, JournalError> {
        Ok(self.mark_at(mark.position)?.as_ref() == Some(mark))
    }
}

/// Entries one after the other.
pub struct Cursor {
    shared: Arc<Shared>,
    next: Index,
    stream: Option<Stream>,
    payloads: bool,
}

impl Cursor {
    /// Reads the next entry; `None` when there is none yet: asked again later, it goes on.
    ///
    /// # Errors
    /// `Damage`, `Disk`. Asked again, it begins at the same entry.
    #[expect(
        clippy::should_implement_trait,
        reason = "unlike an iterator, it goes on after None, and can fail"
    )]
    pub fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        if self.next >= self.shared.mark().next_index {
            return Ok(None);
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => Stream::open(&self.shared, self.shared.place_of_entry(self.next), READ_BYTES)?,
        };
        let entry = stream.entry(&self.shared, self.next, self.payloads)?;
        self.next = self.next.next();
        self.stream = Some(stream);
        Ok(Some(entry))
    }
}

/// Batches one after the other, each checked against what stands before it.
pub struct Batches {
    shared: Arc<Shared>,
    next: Position,
    at: Option<(u32, Walk)>,
}

impl Batches {
    /// Reads the next batch; `None` when there is none yet: asked again later, it goes on.
    ///
    /// # Errors
    /// `Damage`, `Disk`. Asked again, it begins at the same batch.
    #[expect(
        clippy::should_implement_trait,
        reason = "unlike an iterator, it goes on after None, and can fail"
    )]
    pub fn next(&mut self) -> Result<Option<StoredBatch>, JournalError> {
        if self.next >= self.shared.mark().position {
            return Ok(None);
        }
        let (mut segment, mut walk) = match self.at.take() {
            Some(at) => at,
            None => self.walk()?,
        };
        loop {
            let (end, followed) = self.shared.frames_end(segment);
            let mut entries = Vec::new();
            if let Some(header) = walk.next_batch(end, &mut |_, seen| collect(&mut entries, seen))? {
                let after = walk.mark;
                self.next = after.position;
                self.at = Some((segment, walk));
                return Ok(Some(StoredBatch { name: header.name, after, entries }));
            }
            if !followed {
                let wrong = Wrong::new("the end of the frames", format!("batch {}", self.next));
                return Err(walk.frames.wrong(end, wrong));
            }
            segment += 1;
            let frames =
                Frames::new(self.shared.file(segment)?, &walk.mark, SEGMENT_HEADER_BYTES, SCAN_BYTES);
            walk = Walk::new(frames, walk.mark);
        }
    }

    fn walk(&self) -> Result<(u32, Walk), JournalError> {
        let (segment, offset, header) = find_batch(&self.shared, self.next)?;
        let before = Mark {
            journal: self.shared.mark().journal,
            position: header.position,
            next_index: header.first_index,
            chain: header.chain_before,
            time: header.time,
        };
        let frames = Frames::new(self.shared.file(segment)?, &before, offset, SCAN_BYTES);
        Ok((segment, Walk::new(frames, before)))
    }
}

fn collect(entries: &mut Vec<Entry>, seen: Seen<'_>) {
    match seen {
        Seen::Batch(_) => {}
        Seen::Entry(entry) => entries.push(entry.to_entry(Payload::None)),
        Seen::Payload(bytes) => set_payload(entries, Payload::Kept(Bytes::copy_from_slice(bytes))),
        Seen::ErasedPayload => set_payload(entries, Payload::Erased),
    }
}

fn set_payload(entries: &mut [Entry], payload: Payload) {
    entries.last_mut().expect("a walk shows a payload after its entry").payload = payload;
}

/// Finds a batch that is there: its segment, its place, its header.
fn find_batch(shared: &Shared, position: Position) -> Result<(u32, u64, BatchHeader), JournalError> {
    let mut stream = Stream::open(shared, shared.place_of_batch(position), READ_BYTES)?;
    loop {
        let mut frame = stream.frame(shared)?;
        match frame.header.kind {
            FrameKind::Batch => stream.frames.load(&mut frame)?,
            FrameKind::Entry => {
                stream.frames.index = stream.frames.index.next();
                continue;
            }
            _ => continue,
        }
        let wrong = |wrong| stream.frames.wrong(frame.offset, wrong);
        let header = BatchHeader::decode(stream.frames.body()).map_err(wrong)?;
        if header.position == position {
            return Ok((stream.segment, frame.offset, header));
        }
        if header.position > position {
            return Err(wrong(Wrong::number("batch", header.position.0, position.0)));
        }
    }
}

/// Frames one after the other, from segment to segment, of which there are enough.
pub(super) struct Stream {
    segment: u32,
    frames: Frames,
    read_bytes: usize,
}

impl Stream {
    pub(super) fn open(shared: &Shared, place: Place, read_bytes: usize) -> Result<Self, JournalError> {
        let mut frames = Frames::new(shared.file(place.segment)?, &place.start, place.offset, read_bytes);
        frames.index = place.index;
        Ok(Self { segment: place.segment, frames, read_bytes })
    }

    /// The index of the next entry that it comes by.
    pub(super) fn next_index(&self) -> Index {
        self.frames.index
    }

    /// Goes on to the next frame, without a look at its body.
    fn frame(&mut self, shared: &Shared) -> Result<FrameAt, JournalError> {
        loop {
            let (end, followed) = shared.frames_end(self.segment);
            if let Some(frame) = self.frames.next_header(end)? {
                return Ok(frame);
            }
            if !followed {
                let wrong = Wrong::new("the end of the frames", "a further frame");
                return Err(self.frames.wrong(end, wrong));
            }
            let next = shared.segment_start(self.segment + 1);
            if next.index != self.frames.index {
                let wrong =
                    Wrong::number("the segment's end before entry", self.frames.index.0, next.index.0);
                return Err(self.frames.wrong(end, wrong));
            }
            *self = Self::open(shared, next, self.read_bytes)?;
        }
    }

    /// Reads an entry that is there. What stands before it is passed over, so that damage there does not hide it.
    fn entry(&mut self, shared: &Shared, wanted: Index, payloads: bool) -> Result<Entry, JournalError> {
        let body = self.body(shared, wanted)?;
        let (claim, mut entry) = (body.payload, body.to_entry(Payload::None));
        // Where nobody asks for it, whoever looks for the next entry passes over it.
        if let Some(claim) = claim.filter(|_| payloads) {
            entry.payload = self.payload(shared, claim)?;
        }
        self.frames.index = wanted.next();
        Ok(entry)
    }

    /// Goes on to an entry that is there; gives it as it stands in its frame.
    fn body(&mut self, shared: &Shared, wanted: Index) -> Result<EntryBody<'_>, JournalError> {
        loop {
            let mut frame = self.frame(shared)?;
            if frame.header.kind != FrameKind::Entry {
                continue;
            }
            if self.frames.index < wanted {
                self.frames.index = self.frames.index.next();
                continue;
            }
            self.frames.load(&mut frame)?;
            return self.frames.entry_body(frame.offset);
        }
    }

    fn payload(&mut self, shared: &Shared, claim: PayloadClaim) -> Result<Payload, JournalError> {
        let mut frame = self.frame(shared)?;
        self.frames.load(&mut frame)?;
        claim.agrees(frame.header).map_err(|wrong| self.frames.wrong(frame.offset, wrong))?;
        Ok(match frame.header.kind {
            FrameKind::ErasedPayload => Payload::Erased,
            _ => Payload::Kept(Bytes::copy_from_slice(self.frames.body())),
        })
    }

    /// Finds the payload's frame of an entry that is there, and its segment, without a look at its body; `None` for an
    /// entry without a payload.
    pub(super) fn payload_frame(
        &mut self,
        shared: &Shared,
        wanted: Index,
    ) -> Result<Option<(u32, FrameAt)>, JournalError> {
        let Some(claim) = self.body(shared, wanted)?.payload else {
            self.frames.index = wanted.next();
            return Ok(None);
        };
        let frame = self.frame(shared)?;
        claim.agrees(frame.header).map_err(|wrong| self.frames.wrong(frame.offset, wrong))?;
        self.frames.index = wanted.next();
        Ok(Some((self.segment, frame)))
    }
}
