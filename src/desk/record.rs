//! Records: the one file format of a desk's home, with a checksum, so that damage is told, not served.
//!
//! Owns the bytes of a file. Never touches a disk. Layout, numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `RGDR` |
//! | 1 | version: 1 |
//! | 1 | kind, see [`RecordKind`] |
//! | 2 | zero |
//! | 4 | length of the body |
//! | 4 | CRC-32C (RFC 9260, appendix A) of the 12 bytes before it and of the body |
//! | … | the body: protobuf; a field that a reader does not know is skipped, so later versions may add some |

use bytes::Bytes;

/// Largest file that is read back, in bytes: far above any message that a hub takes.
pub const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

const MAGIC: [u8; 4] = *b"RGDR";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 16;

/// What a record holds. The numbers are part of the format and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A message that came.
    Incoming = 1,
    /// A notice that came.
    Notice = 2,
    /// Something that came and could not be read.
    Aside = 3,
    /// A message of this desk.
    Outgoing = 4,
    /// A receipt of this desk.
    Statement = 5,
    /// The directory, as the hub last told it.
    Directory = 6,
    /// The epochs of the hub's log, as it last told them.
    Epochs = 7,
    /// An order to erase a message of this office.
    Order = 8,
    /// How far this home was told of erasures.
    Erasures = 9,
    /// The numbers of this desk's messages for each office.
    Numbers = 10,
    /// Which numbers of each sending desk came.
    Sequence = 11,
    /// How far what this home has was found in the history that offices have cosigned.
    Included = 12,
}

/// The body of a record.
pub trait Record: prost::Message + Default {
    /// What it holds.
    const KIND: RecordKind;
}

/// Bytes that are not a whole record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file ends early, or goes on after its end.
    #[error("the file has {found} bytes, {expected} expected: it was cut or written over")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The file does not begin as a record does.
    #[error("the file does not begin as a desk's file does")]
    Foreign,
    /// The file was written by a later version.
    #[error("the file is of version {found}, this program reads version {VERSION}: use a newer program")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The bytes are not those that were written.
    #[error("the checksum is {found:08x}, {expected:08x} expected: the file is damaged")]
    Checksum {
        /// The checksum of what is there.
        found: u32,
        /// The checksum that was written.
        expected: u32,
    },
    /// The file holds another kind of thing than its name says.
    #[error("the file holds a record of kind {found}, its name says {expected}")]
    Kind {
        /// The number found.
        found: u8,
        /// The number that belongs to the name.
        expected: u8,
    },
    /// The body is not what the kind says.
    #[error("the file is whole, but its content is not what it should be: {0}")]
    Body(String),
}

/// Encodes a record: the bytes of its file.
pub fn encode<R: Record>(body: &R) -> Vec<u8> {
    let length = body.encoded_len();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, R::KIND as u8, 0, 0]);
    let length = u32::try_from(length).expect("a record is bounded far below 4 GiB by what a hub takes");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    body.encode(&mut bytes).expect("a vector grows as needed");
    let checksum = checksum(&bytes);
    bytes[12..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes the bytes of a file.
///
/// # Errors
/// Every [`RecordError`].
pub fn decode<R: Record>(bytes: Vec<u8>) -> Result<R, RecordError> {
    if bytes.len() < HEADER_BYTES {
        return Err(RecordError::Length { found: bytes.len(), expected: HEADER_BYTES });
    }
    if bytes[..4] != MAGIC {
        return Err(RecordError::Foreign);
    }
    if bytes[4] != VERSION {
        return Err(RecordError::Version { found: bytes[4] });
    }
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let expected = HEADER_BYTES + number(8) as usize;
    if bytes.len() != expected {
        return Err(RecordError::Length { found: bytes.len(), expected });
    }
    let (found, expected) = (checksum(&bytes), number(12));
    if found != expected {
        return Err(RecordError::Checksum { found, expected });
    }
    if bytes[5] != R::KIND as u8 {
        return Err(RecordError::Kind { found: bytes[5], expected: R::KIND as u8 });
    }
    R::decode(Bytes::from(bytes).slice(HEADER_BYTES..)).map_err(|error| RecordError::Body(error.to_string()))
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[HEADER_BYTES..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Sample {
        #[prost(bytes = "bytes", tag = "1")]
        bytes: Bytes,
    }

    impl Record for Sample {
        const KIND: RecordKind = RecordKind::Notice;
    }

    fn sample() -> Sample {
        Sample { bytes: Bytes::from_static(b"abc") }
    }

    #[test]
    fn a_record_has_these_bytes() {
        let golden = b"RGDR\x01\x02\x00\x00\x05\x00\x00\x00\x92\xcc\xe4\xf8\x0a\x03abc";
        assert_eq!(encode(&sample()), golden, "{:02x?}", encode(&sample()));
        assert_eq!(decode::<Sample>(golden.to_vec()), Ok(sample()));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_told() {
        let whole = encode(&sample());
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Sample>(bytes).is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert!(decode::<Sample>(whole[..length].to_vec()).is_err(), "cut to {length}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(decode::<Sample>(longer), Err(RecordError::Length { found: 22, expected: 21 }));
    }

    #[test]
    fn another_kind_is_told() {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Other {}
        impl Record for Other {
            const KIND: RecordKind = RecordKind::Aside;
        }
        assert_eq!(decode::<Other>(encode(&sample())), Err(RecordError::Kind { found: 2, expected: 3 }));
    }
}
