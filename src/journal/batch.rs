//! Batches and entries as bytes: what the bodies of frames mean, and the chain that ties batches together.
//!
//! Owns encoding, decoding and the format's bounds. Never reads or writes a file. Format: `docs/journal-format.md`.

use bytes::Bytes;
use crc32c::crc32c_append;

use super::error::{JournalError, Wrong};
use super::frame::{FrameHeader, FrameKind, Seed, frame_bytes, push_frame, u32_at, u64_at};
use super::segment::PointTrack;
use crate::model::amendment::ENTRY_BYTES_MAX;
use crate::model::entry::{Batch, BatchName, Entry, EntryKind, Mark, NONCE_BYTES, Payload, Proposal};
use crate::model::id::{Index, Position, UnixMicros};

/// The longest identity: its length is one byte. A certificate's URI has some 60 bytes.
pub const IDENTITY_BYTES_MAX: usize = 255;

/// The longest statement: an entry of the directory with the keys of two hundred offices. An envelope has 20 KiB at most.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;
// What is taken in must have room here.
const _: () = assert!(ENTRY_BYTES_MAX <= STATEMENT_BYTES_MAX);

/// The longest payload that the format takes; what is allowed is set far below it (256 KiB by default).
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// The largest batch, all its frames together: room for the largest entry, and what a reader holds in memory at most.
pub const BATCH_BYTES_MAX: u64 = 8 << 20;

const BATCH_BODY_BYTES: usize = 60;
/// The chain runs over what comes before the chain itself.
const BATCH_CHAINED_BYTES: usize = 52;
const BATCH_FRAME_BYTES: u64 = frame_bytes(BATCH_BODY_BYTES as u64);
const ENTRY_FIXED_BYTES: usize = 32 + NONCE_BYTES;
const CLOSE_BODY_BYTES: usize = 20;

/// The length of the frame that an orderly stop writes.
pub(super) const CLOSE_FRAME_BYTES: u64 = frame_bytes(CLOSE_BODY_BYTES as u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) name: BatchName,
    pub(super) entry_count: u32,
    pub(super) position: Position,
    pub(super) first_index: Index,
    pub(super) time: UnixMicros,
    /// The length of the frames that follow and belong to the batch.
    pub(super) frames_bytes: u32,
    pub(super) chain_before: u32,
    pub(super) chain_after: u32,
}

/// An entry as it stands in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryBody<'a> {
    pub(super) index: Index,
    pub(super) time: UnixMicros,
    pub(super) nonce: &'a [u8; NONCE_BYTES],
    pub(super) kind: EntryKind,
    pub(super) identity: &'a str,
    pub(super) statement: &'a [u8],
    pub(super) payload: Option<PayloadClaim>,
}

/// What an entry says of the payload in the frame after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PayloadClaim {
    pub(super) bytes: u32,
    pub(super) crc: u32,
}

/// Gives the length of a batch's frames.
pub(super) fn batch_bytes(batch: &Batch) -> Result<u64, JournalError> {
    if batch.proposals.is_empty() {
        return Err(JournalError::EmptyBatch);
    }
    let mut bytes = BATCH_FRAME_BYTES;
    for proposal in &batch.proposals {
        let identity = bounded("an identity", proposal.identity.len(), IDENTITY_BYTES_MAX)?;
        let statement = bounded("a statement", proposal.statement.len(), STATEMENT_BYTES_MAX)?;
        bytes += frame_bytes(ENTRY_FIXED_BYTES as u64 + identity + statement);
        if let Some(payload) = &proposal.payload {
            bytes += frame_bytes(bounded("a payload", payload.len(), PAYLOAD_BYTES_MAX)?);
        }
    }
    Ok(bytes)
}

fn bounded(what: &'static str, found: usize, max: usize) -> Result<u64, JournalError> {
    let (found, max) = (found as u64, max as u64);
    if found > max { Err(JournalError::TooLarge { what, found, max }) } else { Ok(found) }
}

/// Appends the frames of a batch, `bytes` long as [`batch_bytes`] found; gives the mark after it. `at` is the segment's
/// offset of the buffer's end.
pub(super) fn encode_batch(
    buffer: &mut Vec<u8>,
    (batch, bytes): (&Batch, u64),
    before: &Mark,
    at: u64,
    points: &mut PointTrack,
) -> Mark {
    let seed = Seed::of(&before.journal);
    let start = buffer.len();
    let place = |buffer: &Vec<u8>| at + (buffer.len() - start) as u64;
    let small = |long: u64| u32::try_from(long).expect("a batch has at most 8 MiB, so fewer of anything");
    let mut header = BatchHeader {
        name: batch.name,
        entry_count: small(batch.proposals.len() as u64),
        position: before.position,
        first_index: before.next_index,
        time: batch.time,
        frames_bytes: small(bytes - BATCH_FRAME_BYTES),
        chain_before: before.chain,
        chain_after: 0,
    };
    points.note(at, before.next_index, before.position);
    // The chain is known when the entries are: the frame of the batch itself is written over this last.
    let own = start..start + usize::try_from(BATCH_FRAME_BYTES).expect("it has 80 bytes");
    buffer.resize(own.end, 0);
    header.chain_after = header.chain_start();
    let mut index = before.next_index;
    for proposal in &batch.proposals {
        points.note(place(buffer), index, before.position.next());
        let entry = push_entry(buffer, proposal, (index, batch.time, batch.nonce(index)), seed);
        header.chain_after = chain_over(header.chain_after, entry);
        index = index.next();
    }
    debug_assert_eq!(place(buffer), at + bytes);
    let mut frame = Vec::with_capacity(own.len());
    push_frame(&mut frame, FrameKind::Batch, seed, |frame| frame.extend(header.encode()));
    buffer[own].copy_from_slice(&frame);
    header.after(before.journal)
}

fn push_entry(
    buffer: &mut Vec<u8>,
    proposal: &Proposal,
    (index, time, nonce): (Index, UnixMicros, [u8; NONCE_BYTES]),
    seed: Seed,
) -> FrameHeader {
    let payload = proposal.payload.as_ref();
    let entry = push_frame(buffer, FrameKind::Entry, seed, |buffer| {
        let (payload_bytes, payload_crc) = payload.map_or((0, 0), |payload| {
            (u32::try_from(payload.len()).expect("checked: at most 4 MiB"), crc32c::crc32c(payload))
        });
        buffer.extend(index.0.to_le_bytes());
        buffer.extend(time.0.to_le_bytes());
        buffer.extend(payload_bytes.to_le_bytes());
        buffer.extend(payload_crc.to_le_bytes());
        let identity_bytes = u8::try_from(proposal.identity.len()).expect("checked: at most 255 bytes");
        buffer.extend([proposal.kind as u8, u8::from(payload.is_some()), identity_bytes, 0, 0, 0, 0, 0]);
        buffer.extend(nonce);
        buffer.extend(proposal.identity.as_bytes());
        buffer.extend_from_slice(&proposal.statement);
    });
    if let Some(payload) = payload {
        push_frame(buffer, FrameKind::Payload, seed, |buffer| buffer.extend_from_slice(payload));
    }
    entry
}

/// Goes on with the chain over an entry's frame. Payloads are outside, so that they can be erased; the entry holds
/// the checksum of its own.
pub(super) fn chain_over(chain: u32, entry: FrameHeader) -> u32 {
    crc32c_append(chain, &entry.chained())
}

impl BatchHeader {
    pub(super) fn chain_start(&self) -> u32 {
        crc32c_append(self.chain_before, &self.encode()[..BATCH_CHAINED_BYTES])
    }

    /// Where the journal stands after this batch.
    pub(super) fn after(&self, journal: [u8; 16]) -> Mark {
        Mark {
            journal,
            position: self.position.next(),
            next_index: Index(self.first_index.0 + u64::from(self.entry_count)),
            chain: self.chain_after,
            time: self.time,
        }
    }

    fn encode(&self) -> [u8; BATCH_BODY_BYTES] {
        let mut body = [0; BATCH_BODY_BYTES];
        body[..4].copy_from_slice(&self.name.hub.to_le_bytes());
        body[4..8].copy_from_slice(&self.entry_count.to_le_bytes());
        let longs = [self.name.run, self.name.number, self.position.0, self.first_index.0, self.time.0];
        for (place, long) in body[8..48].chunks_exact_mut(8).zip(longs) {
            place.copy_from_slice(&long.to_le_bytes());
        }
        for (place, short) in
            body[48..].chunks_exact_mut(4).zip([self.frames_bytes, self.chain_before, self.chain_after])
        {
            place.copy_from_slice(&short.to_le_bytes());
        }
        body
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, Wrong> {
        if body.len() != BATCH_BODY_BYTES {
            return Err(Wrong::number("a batch header of bytes", body.len() as u64, BATCH_BODY_BYTES as u64));
        }
        let name = BatchName { hub: u32_at(body, 0), run: u64_at(body, 8), number: u64_at(body, 16) };
        let (entry_count, position, first_index) = (u32_at(body, 4), u64_at(body, 24), u64_at(body, 32));
        let after = first_index.checked_add(entry_count.into()).and(position.checked_add(1));
        if after.is_none() {
            let found = format!("a batch of {entry_count} entries from {first_index} on, at {position}");
            return Err(Wrong::new(found, "numbers that end after it"));
        }
        Ok(Self {
            name,
            entry_count,
            position: Position(position),
            first_index: Index(first_index),
            time: UnixMicros(u64_at(body, 40)),
            frames_bytes: u32_at(body, 48),
            chain_before: u32_at(body, 52),
            chain_after: u32_at(body, 56),
        })
    }

    /// Checks that this batch comes right after `before`.
    pub(super) fn follows(&self, before: &Mark) -> Result<(), Wrong> {
        if self.position != before.position {
            return Err(Wrong::number("batch", self.position.0, before.position.0));
        }
        if self.first_index != before.next_index {
            return Err(Wrong::number("a batch of first entry", self.first_index.0, before.next_index.0));
        }
        if self.chain_before != before.chain {
            return Err(Wrong::number("a batch after the chain", self.chain_before, before.chain));
        }
        if self.time < before.time {
            return Err(Wrong::number("a batch of time", self.time.0, before.time.0));
        }
        if self.entry_count == 0 {
            return Err(Wrong::new("a batch of no entries", "at least 1"));
        }
        Ok(())
    }
}

impl<'a> EntryBody<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Wrong> {
        if body.len() < ENTRY_FIXED_BYTES || body.len() < ENTRY_FIXED_BYTES + usize::from(body[26]) {
            return Err(Wrong::new(format!("an entry of {} bytes", body.len()), "room for its fields"));
        }
        let (kind, flag) = (body[24], body[25]);
        let kind = EntryKind::from_number(kind).ok_or_else(|| {
            Wrong::new(format!("an entry of kind {kind}"), "a kind that this version knows")
        })?;
        let claim = PayloadClaim { bytes: u32_at(body, 16), crc: u32_at(body, 20) };
        let payload = match flag {
            0 if claim == (PayloadClaim { bytes: 0, crc: 0 }) => None,
            1 => Some(claim),
            _ => return Err(Wrong::new(format!("payload flag {flag} with {claim:?}"), "0 with zeros, or 1")),
        };
        if body[27..32] != [0; 5] {
            return Err(Wrong::new(format!("reserved bytes {:?}", &body[27..32]), "zeros"));
        }
        let (nonce, rest) = body[32..].split_first_chunk().expect("room for its fields was found");
        let (identity, statement) = rest.split_at(body[26].into());
        let identity = std::str::from_utf8(identity)
            .map_err(|_| Wrong::new(format!("the identity {identity:?}"), "UTF-8"))?;
        let (index, time) = (Index(u64_at(body, 0)), UnixMicros(u64_at(body, 8)));
        Ok(Self { index, time, nonce, kind, identity, statement, payload })
    }

    /// The entry with copies of its bytes: a small one must not keep a large buffer alive.
    pub(super) fn to_entry(self, payload: Payload) -> Entry {
        Entry {
            index: self.index,
            time: self.time,
            nonce: *self.nonce,
            kind: self.kind,
            identity: self.identity.to_owned(),
            statement: Bytes::copy_from_slice(self.statement),
            payload,
        }
    }
}

impl PayloadClaim {
    /// Checks that the frame after the entry is the payload that the entry claims.
    pub(super) fn agrees(self, frame: FrameHeader) -> Result<(), Wrong> {
        match frame.kind {
            FrameKind::Payload if (frame.body_bytes, frame.body_crc) == (self.bytes, self.crc) => Ok(()),
            FrameKind::ErasedPayload if frame.body_bytes == self.bytes => Ok(()),
            _ => Err(Wrong::new(format!("{frame:?}"), format!("the payload of {self:?}"))),
        }
    }
}

/// Gives the frame that an orderly stop writes after the last batch.
pub(super) fn close_frame(mark: &Mark) -> Vec<u8> {
    let mut frame = Vec::new();
    let body = close_body(mark);
    push_frame(&mut frame, FrameKind::Close, Seed::of(&mark.journal), |frame| frame.extend(body));
    frame
}

/// Checks that a closing frame was written where the journal stands.
pub(super) fn check_close(body: &[u8], mark: &Mark) -> Result<(), Wrong> {
    let expected = close_body(mark);
    if body == expected {
        return Ok(());
    }
    Err(Wrong::new(format!("a closing mark of {body:?}"), format!("{expected:?}")))
}

fn close_body(mark: &Mark) -> [u8; CLOSE_BODY_BYTES] {
    let mut body = [0; CLOSE_BODY_BYTES];
    body[..8].copy_from_slice(&mark.position.0.to_le_bytes());
    body[8..16].copy_from_slice(&mark.next_index.0.to_le_bytes());
    body[16..].copy_from_slice(&mark.chain.to_le_bytes());
    body
}
