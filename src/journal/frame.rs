//! Frames: a header of 16 bytes, a body, zeros up to a multiple of 16.
//!
//! Owns their bytes and checksums (CRC-32C, RFC 3385). Never knows what a body means.
//! At a crash: a frame whose blocks did not all come to the disk fails its checksums. Format: `docs/journal-format.md`.

use crc32c::{crc32c, crc32c_append};

pub(super) const FRAME_HEADER_BYTES: usize = 16;

/// Frames begin at multiples of this, so that a search for one tries few places, and no header lies in two blocks of a
/// drive: one that is written over is there whole, the old one or the new one.
pub(super) const FRAME_ALIGN: usize = FRAME_HEADER_BYTES;

/// What a frame holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    Batch = 1,
    Entry = 2,
    Payload = 3,
    /// A payload that was overwritten with zeros; only its length is left.
    ErasedPayload = 4,
    /// Written by an orderly stop: what comes before it had been synced.
    Close = 5,
    SegmentEnd = 6,
}

impl FrameKind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Batch, Self::Entry, Self::Payload, Self::ErasedPayload, Self::Close, Self::SegmentEnd]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Starts the checksums of headers: with another journal's, or with bytes that a sender chose, they do not agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn of(journal: &[u8; 16]) -> Self {
        Self(crc32c(journal))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    pub(super) body_bytes: u32,
    pub(super) body_crc: u32,
}

/// Why 16 bytes are no frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// They are all zero: nothing was written here.
    Zeros,
    Checksum {
        found: u32,
        expected: u32,
    },
    /// The checksum is right, the meaning is not known.
    Unknown {
        kind: u8,
        reserved: [u8; 3],
    },
}

impl FrameHeader {
    /// The bytes that the chain runs over. The header's own checksum is left out: a CRC that runs over bytes and then
    /// over their CRC forgets the bytes.
    pub(super) fn chained(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[8..].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes
    }

    pub(super) fn encode(self, seed: Seed) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let chained = self.chained();
        bytes[..12].copy_from_slice(&chained);
        bytes[12..].copy_from_slice(&crc32c_append(seed.0, &chained).to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; FRAME_HEADER_BYTES], seed: Seed) -> Result<Self, NoHeader> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(NoHeader::Zeros);
        }
        let (found, expected) = (u32_at(bytes, 12), crc32c_append(seed.0, &bytes[..12]));
        if found != expected {
            return Err(NoHeader::Checksum { found, expected });
        }
        let reserved = [bytes[5], bytes[6], bytes[7]];
        match FrameKind::from_number(bytes[4]) {
            Some(kind) if reserved == [0; 3] => {
                Ok(Self { kind, body_bytes: u32_at(bytes, 0), body_crc: u32_at(bytes, 8) })
            }
            _ => Err(NoHeader::Unknown { kind: bytes[4], reserved }),
        }
    }

    /// The length of the whole frame: header, body and zeros.
    pub(super) fn frame_bytes(self) -> u64 {
        frame_bytes(self.body_bytes.into())
    }
}

/// The length of a frame with a body of this length.
pub(super) const fn frame_bytes(body_bytes: u64) -> u64 {
    (FRAME_HEADER_BYTES as u64 + body_bytes).next_multiple_of(FRAME_ALIGN as u64)
}

/// Appends a frame whose body `write` appends; gives its header. The body stays within the bounds that its writer
/// has checked, all far below 4 GiB.
pub(super) fn push_frame(
    buffer: &mut Vec<u8>,
    kind: FrameKind,
    seed: Seed,
    write: impl FnOnce(&mut Vec<u8>),
) -> FrameHeader {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    write(buffer);
    let body = &buffer[start + FRAME_HEADER_BYTES..];
    let body_bytes = u32::try_from(body.len()).expect("bodies are bounded far below 4 GiB");
    let header = FrameHeader { kind, body_bytes, body_crc: crc32c(body) };
    buffer[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header.encode(seed));
    buffer.resize(start + (buffer.len() - start).next_multiple_of(FRAME_ALIGN), 0);
    header
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the slice has four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("the slice has eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pushed(body: &[u8]) -> (Vec<u8>, FrameHeader, Seed) {
        let seed = Seed::of(&[7; 16]);
        let mut buffer = vec![0xee; 8];
        let header = push_frame(&mut buffer, FrameKind::Entry, seed, |buffer| buffer.extend(body));
        (buffer.split_off(8), header, seed)
    }

    proptest! {
        #[test]
        fn frame_is_read_as_it_was_written(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let (frame, header, seed) = pushed(&body);
            prop_assert_eq!(frame.len() as u64, header.frame_bytes());
            prop_assert_eq!(frame.len() % FRAME_ALIGN, 0);
            let read = FrameHeader::decode(frame[..16].try_into().unwrap(), seed);
            prop_assert_eq!(read, Ok(header));
            prop_assert_eq!(&frame[16..16 + body.len()], &body[..]);
            prop_assert_eq!(header.body_crc, crc32c(&body));
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes in any::<[u8; 16]>()) {
            let _ = FrameHeader::decode(&bytes, Seed::of(&[7; 16]));
        }
    }

    #[test]
    fn each_flipped_bit_of_a_header_is_noticed() {
        let (frame, _, seed) = pushed(b"statement");
        for bit in 0..128 {
            let mut bytes: [u8; 16] = frame[..16].try_into().unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = FrameHeader::decode(&bytes, seed);
            assert!(matches!(found, Err(NoHeader::Checksum { .. })), "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn header_of_another_journal_is_none_here() {
        let (frame, _, _) = pushed(b"statement");
        let read = FrameHeader::decode(frame[..16].try_into().unwrap(), Seed::of(&[8; 16]));
        assert!(matches!(read, Err(NoHeader::Checksum { .. })));
    }

    #[test]
    fn kind_of_a_later_version_is_told_apart_from_damage() {
        let seed = Seed::of(&[7; 16]);
        let mut bytes = [0; 16];
        bytes[4] = 99;
        let crc = crc32c_append(seed.0, &bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        let unknown = NoHeader::Unknown { kind: 99, reserved: [0; 3] };
        assert_eq!(FrameHeader::decode(&bytes, seed), Err(unknown));
        assert_eq!(FrameHeader::decode(&[0; 16], seed), Err(NoHeader::Zeros));
    }
}
