//! Where the hashes and entries of a log are kept: tiles, 256 hashes wide, and bundles of as many entries.
//!
//! Owns their coordinates and paths, which of them a growth makes, and the bytes of a bundle. Never reads or writes one.
//! A full tile never changes. A partial one is superseded by a wider one of the same index and may then be removed.
//! Source: C2SP `tlog-tiles`.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::hash::{HASH_BYTES, Record, TreeHash};
use super::text;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of a tree between one level of tiles and the next.
pub(super) const TILE_HEIGHT: u32 = 8;

/// The highest level that C2SP knows. A tree of the most leaves that there may be needs level 7.
const LEVEL_MAX: u8 = 63;

/// A tile, by its place: `width` hashes of subtrees of 256^`level` leaves each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// A bundle of entries, by its place: those whose leaves are in the tile of level 0 of the same index and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle {
    index: u64,
    width: u16,
}

/// Text that is not the path of a tile or a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a path of the form {expected}")]
pub struct TilePathError {
    found: String,
    expected: &'static str,
}

/// Bytes that are not a bundle of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// Another number of bytes than so many records have.
    #[error("a bundle of {records} records has {found} bytes, {expected} expected")]
    Bytes {
        /// How many there should be.
        records: u16,
        /// Bytes that came.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// An entry that is not 32 bytes long.
    #[error("entry {at} of a bundle of records has {found} bytes, {HASH_BYTES} expected")]
    Entry {
        /// Its place in the bundle.
        at: usize,
        /// Its length.
        found: u16,
    },
}

impl Tile {
    /// Takes a level of 0 to 63, an index of at most 2^55 - 1 and a width of 1 to 256 hashes; `None` for others.
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let placed = level <= LEVEL_MAX && index <= u64::MAX >> (TILE_HEIGHT + 1);
        (placed && (1..=TILE_WIDTH).contains(&width)).then_some(Self { level, index, width })
    }

    /// Gives the widest tile that a tree of a size has at a place; `None` where it has none.
    pub fn in_tree(size: u64, level: u8, index: u64) -> Option<Self> {
        let hashes = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
        let before = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = hashes.checked_sub(before)?.min(u64::from(TILE_WIDTH));
        Self::new(level, index, u16::try_from(width).ok()?)
    }

    /// Gives the level: 0 holds leaves, each above it the roots of full tiles.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Gives the index in the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Gives the number of hashes, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Says whether it never changes any more.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Gives the number of its bytes.
    pub fn bytes(&self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }
}

impl EntryBundle {
    /// Takes an index of at most 2^55 - 1 and a width of 1 to 256 entries; `None` for others.
    pub fn new(index: u64, width: u16) -> Option<Self> {
        Tile::new(0, index, width).map(Self::of)
    }

    /// Gives the one with a tile's entries. The tile is of level 0.
    fn of(tile: Tile) -> Self {
        Self { index: tile.index, width: tile.width }
    }

    /// Gives the index.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Gives the number of entries, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Writes its bytes where its entries are records: each after its length, two bytes, the higher first.
    pub fn encode(records: &[Record]) -> Vec<u8> {
        let length = u16::try_from(HASH_BYTES).expect("a hash has 32 bytes").to_be_bytes();
        records.iter().flat_map(|record| length.into_iter().chain(record.0)).collect()
    }

    /// Reads the records of its bytes.
    ///
    /// # Errors
    /// [`RecordsError`] for another number of bytes, or an entry that is no record.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Record>, RecordsError> {
        const ENTRY: usize = 2 + HASH_BYTES;
        let expected = usize::from(self.width) * ENTRY;
        if bytes.len() != expected {
            return Err(RecordsError::Bytes { records: self.width, found: bytes.len(), expected });
        }
        let entries = bytes.as_chunks::<ENTRY>().0.iter().enumerate();
        let record = |(at, entry): (usize, &[u8; ENTRY])| {
            let (length, record) = entry.split_first_chunk::<2>().expect("an entry has more than two bytes");
            let found = u16::from_be_bytes(*length);
            let right = usize::from(found) == HASH_BYTES;
            let record = record.try_into().expect("an entry has 32 bytes after its length");
            if right { Ok(Record(record)) } else { Err(RecordsError::Entry { at, found }) }
        };
        entries.map(record).collect()
    }

    /// Reads the leaves of its bytes: what the tile of level 0 beside it must hold.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn leaves(&self, bytes: &[u8]) -> Result<Vec<TreeHash>, RecordsError> {
        Ok(self.decode(bytes)?.iter().map(Record::leaf).collect())
    }
}

/// Gives the tiles that a tree of `new` leaves has and one of `old` leaves has not, as wide as they are then: level by level
/// from 0, in order of their indexes. The last of each level may be partial.
pub fn tiles_of_growth(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..u64::BITS / TILE_HEIGHT).map(|level| (level, level * TILE_HEIGHT));
    levels.flat_map(move |(level, shift)| {
        let level = u8::try_from(level).expect("there are eight levels");
        indexes(old >> shift, new >> shift).filter_map(move |index| Tile::in_tree(new, level, index))
    })
}

/// Gives the bundles that a tree of `new` leaves has and one of `old` leaves has not, in order; the last may be partial.
pub fn bundles_of_growth(old: u64, new: u64) -> impl Iterator<Item = EntryBundle> {
    indexes(old, new).filter_map(move |index| Tile::in_tree(new, 0, index)).map(EntryBundle::of)
}

/// The tiles of one level that change when it grows from `old` to `new` hashes.
fn indexes(old: u64, new: u64) -> std::ops::Range<u64> {
    let width = u64::from(TILE_WIDTH);
    if old < new { old / width..new.div_ceil(width) } else { 0..0 }
}

/// Gives the hashes of a tile's bytes, which are whole hashes.
pub(super) fn hashes(bytes: &Bytes) -> &[[u8; HASH_BYTES]] {
    bytes.as_chunks().0
}

/// Shows an index as path elements of three digits, and the width of what is partial.
fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut unit = 1;
    while index / unit >= 1000 {
        unit *= 1000;
    }
    while unit > 1 {
        write!(f, "x{:03}/", index / unit % 1000)?;
        unit /= 1000;
    }
    write!(f, "{:03}", index % 1000)?;
    if width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

/// Reads what [`write_place`] shows, and nothing else.
fn read_place(text: &str) -> Option<(u64, u16)> {
    let (place, width) = match text.split_once(".p/") {
        Some((place, width)) => {
            (place, u16::try_from(text::number(width)?).ok().filter(|it| *it < TILE_WIDTH)?)
        }
        None => (text, TILE_WIDTH),
    };
    let mut index = 0_u64;
    let mut groups = place.split('/').peekable();
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        let three = digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let value: u64 = three.then(|| digits.parse().ok())??;
        // One index has one path: there is no leading group of zeros.
        if index == 0 && value == 0 && group.starts_with('x') {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(value)?;
    }
    Some((index, width))
}

/// Shows the path: `tile/<L>/<N>`, and `.p/<W>` after it where it is partial.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_place(f, self.index, self.width)
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let read = || {
            let (level, place) = path.strip_prefix("tile/")?.split_once('/')?;
            let (index, width) = read_place(place)?;
            Self::new(u8::try_from(text::number(level)?).ok()?, index, width)
        };
        read().ok_or_else(|| not_a_path(path, "tile/<L>/<N>[.p/<W>]"))
    }
}

/// Shows the path: `tile/entries/<N>`, and `.p/<W>` after it where it is partial.
impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_place(f, self.index, self.width)
    }
}

impl FromStr for EntryBundle {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let read = || {
            let (index, width) = read_place(path.strip_prefix("tile/entries/")?)?;
            Self::new(index, width)
        };
        read().ok_or_else(|| not_a_path(path, "tile/entries/<N>[.p/<W>]"))
    }
}

fn not_a_path(path: &str, expected: &'static str) -> TilePathError {
    TilePathError { found: path.chars().take(128).collect(), expected }
}
