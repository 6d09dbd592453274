//! Reading a segment's frames one after the other, and checking each batch against what stands before it.
//!
//! Owns the bounded buffer, and what makes bytes damaged. Never writes; never decides whether a damaged tail may be cut.
//! At a crash: an unwritten block of 512 bytes where a frame is due is marked as a possible tear.

use std::path::PathBuf;
use std::sync::Arc;

use crc32c::crc32c;

use super::batch::{BATCH_BYTES_MAX, BatchHeader, EntryBody, chain_over, check_close};
use super::error::{Damage, JournalError, Wrong};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, NoHeader, Seed};
use crate::host::disk::DiskFile;
use crate::model::entry::Mark;
use crate::model::id::Index;

/// What a drive writes whole or not at all. A segment is filled with zeros beforehand, so a block that a power cut kept
/// from the disk reads as zeros.
const BLOCK_BYTES: u64 = 512;

/// How much is read at once: as far as the points of the sparse index are apart.
pub(super) const READ_BYTES: usize = 64 << 10;

/// How much a scan of a whole segment reads at once.
pub(super) const SCAN_BYTES: usize = 512 << 10;

/// A file that is read as frames.
pub(super) struct Frames {
    pub(super) path: PathBuf,
    /// The next frame's place.
    pub(super) offset: u64,
    /// The next entry's index, for errors.
    pub(super) index: Index,
    file: Arc<dyn DiskFile>,
    seed: Seed,
    read_bytes: usize,
    buffer: Vec<u8>,
    buffer_offset: u64,
    body: std::ops::Range<usize>,
}

/// The frame that was read last; its body is [`Frames::body`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameAt {
    pub(super) offset: u64,
    pub(super) header: FrameHeader,
    end: u64,
}

impl Frames {
    pub(super) fn new(
        (path, file): (PathBuf, Arc<dyn DiskFile>),
        start: &Mark,
        offset: u64,
        read_bytes: usize,
    ) -> Self {
        Self {
            path,
            offset,
            index: start.next_index,
            file,
            seed: Seed::of(&start.journal),
            read_bytes,
            buffer: Vec::new(),
            buffer_offset: offset,
            body: 0..0,
        }
    }

    /// Reads the next frame of those that stop at `end`; `None` at the end.
    pub(super) fn next(&mut self, end: u64) -> Result<Option<FrameAt>, JournalError> {
        let mut frame = self.next_header(end)?;
        frame.iter_mut().try_for_each(|frame| self.load(frame))?;
        Ok(frame)
    }

    /// Goes on to the next frame of those that stop at `end`, without a look at its body; `None` at the end.
    pub(super) fn next_header(&mut self, end: u64) -> Result<Option<FrameAt>, JournalError> {
        let offset = self.offset;
        if offset == end {
            return Ok(None);
        }
        let header = match self.header(offset, end)? {
            Ok(header) => header,
            // It may have been met while an erasure wrote over it.
            Err(_) => self.header_again(offset, end)?,
        };
        let max = BATCH_BYTES_MAX.min(end - offset);
        if header.frame_bytes() > max {
            return Err(self.wrong(offset, Wrong::number("a frame of bytes", header.frame_bytes(), max)));
        }
        self.offset += header.frame_bytes();
        Ok(Some(FrameAt { offset, header, end }))
    }

    fn header(&mut self, offset: u64, end: u64) -> Result<Result<FrameHeader, JournalError>, JournalError> {
        let head = self.fill(offset, FRAME_HEADER_BYTES as u64, end)?;
        let head: [u8; FRAME_HEADER_BYTES] = self.buffer[head].try_into().expect("filled with sixteen bytes");
        Ok(FrameHeader::decode(&head, self.seed).map_err(|found| self.no_header(offset, &head, found)))
    }

    /// Reads a header from the disk once more: what the buffer holds may be older.
    fn header_again(&mut self, offset: u64, end: u64) -> Result<FrameHeader, JournalError> {
        self.buffer.clear();
        self.header(offset, end)?
    }

    /// Reads the body of a frame and checks it. A payload that was erased since its header was read is told by the frame's
    /// kind afterwards.
    pub(super) fn load(&mut self, frame: &mut FrameAt) -> Result<(), JournalError> {
        let loaded = self.load_once(frame);
        if loaded.is_ok() || frame.header.kind != FrameKind::Payload {
            return loaded;
        }
        let now = self.header_again(frame.offset, frame.end)?;
        if (now.kind, now.body_bytes) != (FrameKind::ErasedPayload, frame.header.body_bytes) {
            return loaded;
        }
        frame.header = now;
        self.load_once(frame)
    }

    fn load_once(&mut self, frame: &FrameAt) -> Result<(), JournalError> {
        let FrameAt { offset, header, end } = *frame;
        let all = self.fill(offset, header.frame_bytes(), end)?;
        self.body =
            all.start + FRAME_HEADER_BYTES..all.start + FRAME_HEADER_BYTES + header.body_bytes as usize;
        let crc = crc32c(self.body());
        // What an erasure overwrote is not read again, so its body need not be checked: it may have been cut short.
        if crc != header.body_crc && header.kind != FrameKind::ErasedPayload {
            let tear = unwritten_block(self.body(), offset + FRAME_HEADER_BYTES as u64);
            let (found, expected) = (format!("{:?} of checksum {crc:08x}", header.kind), header.body_crc);
            return Err(self.damage(offset, tear, Wrong::new(found, format!("{expected:08x}"))));
        }
        if self.buffer[self.body.end..all.end].iter().any(|byte| *byte != 0) {
            return Err(self.wrong(offset, Wrong::new("bytes after the frame's body", "zeros")));
        }
        Ok(())
    }

    /// The body of the frame that was read last.
    pub(super) fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    /// An error for a place whose bytes contradict others.
    pub(super) fn wrong(&self, offset: u64, wrong: Wrong) -> JournalError {
        wrong.at(&self.path, offset, self.index)
    }

    fn damage(&self, offset: u64, tear: bool, wrong: Wrong) -> JournalError {
        let Wrong { found, expected } = wrong;
        Box::new(Damage { path: self.path.clone(), offset, index: self.index, found, expected, tear }).into()
    }

    fn no_header(&self, offset: u64, head: &[u8; FRAME_HEADER_BYTES], found: NoHeader) -> JournalError {
        let tear = !matches!(found, NoHeader::Unknown { .. }) && unwritten_block(head, offset);
        let found = match found {
            NoHeader::Zeros => "zeros".into(),
            NoHeader::Checksum { found, expected } => {
                format!("a frame header of checksum {found:08x}, not {expected:08x}")
            }
            NoHeader::Unknown { kind, reserved } => format!("a frame of kind {kind} with {reserved:?}"),
        };
        self.damage(offset, tear, Wrong::new(found, "a frame"))
    }

    /// Makes the buffer hold `len` bytes from `offset` on, and gives their place in it.
    fn fill(&mut self, offset: u64, len: u64, end: u64) -> Result<std::ops::Range<usize>, JournalError> {
        if offset + len > end {
            let expected = format!("a frame before byte {end}");
            return Err(self.wrong(offset, Wrong::new("no room for one", expected)));
        }
        let small = |long: u64| usize::try_from(long).expect("a buffer is in memory");
        let buffered = self.buffer_offset..self.buffer_offset + self.buffer.len() as u64;
        if !(buffered.contains(&offset) && offset + len <= buffered.end) {
            let wanted = small((end - offset).min(len.max(self.read_bytes as u64)));
            self.buffer.resize(wanted, 0);
            self.buffer_offset = offset;
            let read = self.file.read_exact_at(&mut self.buffer, offset);
            if let Err(error) = read {
                // Half-filled bytes must not pass for what the disk holds.
                self.buffer.clear();
                return Err(JournalError::disk("read", &self.path)(error));
            }
        }
        let at = small(offset - self.buffer_offset);
        Ok(at..at + small(len))
    }
}

/// Whether a block, as far as these bytes lie in it, is all zeros.
fn unwritten_block(bytes: &[u8], offset: u64) -> bool {
    let first = usize::try_from(BLOCK_BYTES - offset % BLOCK_BYTES).expect("at most 512").min(bytes.len());
    let (first, rest) = bytes.split_at(first);
    let zeros = |block: &[u8]| !block.is_empty() && block.iter().all(|byte| *byte == 0);
    zeros(first) || rest.chunks(usize::try_from(BLOCK_BYTES).expect("it is 512")).any(zeros)
}

/// A part of a batch, as a walk comes by.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    Batch(&'a BatchHeader),
    Entry(EntryBody<'a>),
    Payload(&'a [u8]),
    ErasedPayload,
}

/// A walk over whole batches, in which each must fit what stands before it.
pub(super) struct Walk {
    pub(super) frames: Frames,
    /// Where the journal stands before the next batch.
    pub(super) mark: Mark,
    /// Where the last whole batch or closing mark ends.
    pub(super) whole_end: u64,
    /// Where the last whole batch begins, if there was one.
    pub(super) last_batch: Option<u64>,
    /// Whether an orderly stop's mark is the last that was read.
    pub(super) closed: bool,
}

impl Walk {
    pub(super) fn new(frames: Frames, mark: Mark) -> Self {
        let whole_end = frames.offset;
        Self { frames, mark, whole_end, last_batch: None, closed: false }
    }

    /// Reads the next batch of those that stop at `end`, and shows its parts, each with its place; `None` at the end.
    /// After an error the walk is over.
    pub(super) fn next_batch(
        &mut self,
        end: u64,
        see: &mut dyn FnMut(u64, Seen<'_>),
    ) -> Result<Option<BatchHeader>, JournalError> {
        loop {
            self.frames.index = self.mark.next_index;
            let Some(frame) = self.frames.next(end)? else { return Ok(None) };
            let at = frame.offset;
            match frame.header.kind {
                FrameKind::Batch => {
                    let header = self.batch(at, end, see)?;
                    self.mark = header.after(self.mark.journal);
                    self.last_batch = Some(at);
                    self.closed = false;
                    self.whole_end = self.frames.offset;
                    return Ok(Some(header));
                }
                FrameKind::Close => {
                    check_close(self.frames.body(), &self.mark)
                        .map_err(|wrong| self.frames.wrong(at, wrong))?;
                    self.closed = true;
                    self.whole_end = self.frames.offset;
                }
                kind => return Err(self.unexpected(at, kind, "a batch")),
            }
        }
    }

    /// Where the batch that ended the walk says that it ends, if its own frame is whole.
    pub(super) fn stopped_batch_end(&mut self, end: u64) -> Option<u64> {
        self.frames.offset = self.whole_end;
        let frame = self.frames.next(end).ok()??;
        let header =
            BatchHeader::decode(self.frames.body()).ok().filter(|_| frame.header.kind == FrameKind::Batch)?;
        Some(self.frames.offset + u64::from(header.frames_bytes))
    }

    fn batch(
        &mut self,
        at: u64,
        end: u64,
        see: &mut dyn FnMut(u64, Seen<'_>),
    ) -> Result<BatchHeader, JournalError> {
        let header = BatchHeader::decode(self.frames.body()).map_err(|wrong| self.frames.wrong(at, wrong))?;
        header.follows(&self.mark).map_err(|wrong| self.frames.wrong(at, wrong))?;
        let batch_end = self.frames.offset + u64::from(header.frames_bytes);
        if batch_end > end {
            return Err(self.frames.wrong(at, Wrong::number("a batch that ends at", batch_end, end)));
        }
        see(at, Seen::Batch(&header));
        let mut chain = header.chain_start();
        for _ in 0..header.entry_count {
            chain = self.entry(chain, &header, batch_end, see)?;
        }
        if self.frames.offset != batch_end {
            return Err(self
                .frames
                .wrong(at, Wrong::number("entries that end at", self.frames.offset, batch_end)));
        }
        if chain != header.chain_after {
            return Err(self.frames.wrong(at, Wrong::number("a batch of chain", chain, header.chain_after)));
        }
        Ok(header)
    }

    /// Reads an entry and its payload; gives the chain after it.
    fn entry(
        &mut self,
        chain: u32,
        batch: &BatchHeader,
        batch_end: u64,
        see: &mut dyn FnMut(u64, Seen<'_>),
    ) -> Result<u32, JournalError> {
        let frame = self.frames.next_within(batch_end)?;
        if frame.header.kind != FrameKind::Entry {
            return Err(self.unexpected(frame.offset, frame.header.kind, "an entry"));
        }
        let entry = self.frames.entry_body(frame.offset)?;
        if entry.time != batch.time {
            let wrong = Wrong::number("an entry of time", entry.time.0, batch.time.0);
            return Err(self.frames.wrong(frame.offset, wrong));
        }
        let claim = entry.payload;
        see(frame.offset, Seen::Entry(entry));
        if let Some(claim) = claim {
            let payload = self.frames.next_within(batch_end)?;
            claim.agrees(payload.header).map_err(|wrong| self.frames.wrong(payload.offset, wrong))?;
            let erased = payload.header.kind == FrameKind::ErasedPayload;
            see(payload.offset, if erased { Seen::ErasedPayload } else { Seen::Payload(self.frames.body()) });
        }
        self.frames.index = self.frames.index.next();
        Ok(chain_over(chain, frame.header))
    }

    fn unexpected(&self, at: u64, kind: FrameKind, expected: &str) -> JournalError {
        self.frames.wrong(at, Wrong::new(format!("a frame of kind {kind:?}"), expected))
    }
}

impl Frames {
    /// Reads the next frame of a batch that has further ones.
    pub(super) fn next_within(&mut self, batch_end: u64) -> Result<FrameAt, JournalError> {
        let at = self.offset;
        self.next(batch_end)?
            .ok_or_else(|| self.wrong(at, Wrong::new("the end of the frames", "a further frame")))
    }

    /// Reads the last frame's body as the entry whose turn it is.
    pub(super) fn entry_body(&self, at: u64) -> Result<EntryBody<'_>, JournalError> {
        let entry = EntryBody::decode(self.body()).map_err(|wrong| self.wrong(at, wrong))?;
        if entry.index == self.index {
            return Ok(entry);
        }
        Err(self.wrong(at, Wrong::number("entry", entry.index.0, self.index.0)))
    }
}
