//! Segments of a journal, from few bytes: the fields of the header, then frames. Format: `docs/journal-format.md`.
//!
//! Owns checksums and the chain, made here by the format's words, so that what stands behind them is reached.

use crc32c::{crc32c, crc32c_append};

/// The length of a segment.
pub const BYTES: usize = 16 << 10;
/// Bytes of the header's fields, with their checksum.
pub const FIELDS: usize = 72;
/// Where frames begin.
const FRAMES: usize = 4_096;
/// Where the end of a full segment stands: 40 bytes and one point.
const END: usize = BYTES - 80;

/// A segment's file: fields, frames and, where it has one, the end in the last bytes. With all checksums right, if they are to be: the
/// chain goes on from what is given, and that is what it comes to.
pub fn file(part: &[u8], chain: Option<&mut u32>, ended: bool) -> Vec<u8> {
    let mut file = vec![0; BYTES];
    let (fields, rest) = part.split_at(part.len().min(FIELDS));
    let (frames, end) =
        rest.split_at(if ended { rest.len().saturating_sub(BYTES - END) } else { rest.len() });
    file[..fields.len()].copy_from_slice(fields);
    let long = frames.len().min(END - FRAMES);
    file[FRAMES..FRAMES + long].copy_from_slice(&frames[..long]);
    file[END..END + end.len()].copy_from_slice(end);
    if let Some(chain) = chain {
        *chain = mend(&mut file, *chain);
    }
    file
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().expect("they are four bytes"))
}

fn put(file: &mut [u8], at: usize, number: u32) {
    file[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn mend(file: &mut [u8], mut chain: u32) -> u32 {
    put(file, 64, chain);
    let fields = crc32c(&file[..FIELDS - 4]);
    put(file, FIELDS - 4, fields);
    let seed = crc32c(&file[16..32]);
    let mut batch = None;
    let mut at = FRAMES;
    while let Some(long) = frame(file, at, END) {
        match file[at + 4] {
            1 if long >= 80 => {
                close_batch(file, batch.replace(at), chain, seed);
                put(file, at + 16 + 52, chain);
                chain = crc32c_append(chain, &file[at + 16..at + 16 + 52]);
            }
            2 => {
                header(file, at, seed);
                chain = crc32c_append(chain, &file[at..at + 12]);
            }
            5 if long >= 48 => {
                close_batch(file, batch.take(), chain, seed);
                put(file, at + 32, chain);
            }
            _ => {}
        }
        header(file, at, seed);
        at += long;
    }
    close_batch(file, batch, chain, seed);
    if frame(file, END, BYTES).is_some() {
        put(file, END + 16 + 32, chain);
        header(file, END, seed);
    }
    chain
}

/// The length of a frame that lies before an end.
fn frame(file: &[u8], at: usize, end: usize) -> Option<usize> {
    let here = at + 16 <= end && file[at..at + 16] != [0; 16];
    let long = here.then(|| (16 + u32_at(file, at) as usize).next_multiple_of(16))?;
    (at + long <= end).then_some(long)
}

fn header(file: &mut [u8], at: usize, seed: u32) {
    let body = at + 16..at + 16 + u32_at(file, at) as usize;
    if file[at + 4] != 4 {
        let crc = crc32c(&file[body]);
        put(file, at + 8, crc);
    }
    let crc = crc32c_append(seed, &file[at..at + 12]);
    put(file, at + 12, crc);
}

fn close_batch(file: &mut [u8], batch: Option<usize>, chain: u32, seed: u32) {
    if let Some(at) = batch {
        put(file, at + 16 + 56, chain);
        header(file, at, seed);
    }
}
