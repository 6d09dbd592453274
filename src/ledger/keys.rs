//! The keys of the ledger's rows: a letter for the kind, then numbers in big-endian, so that keys sort as the numbers do.
//!
//! Owns the letters and the widths; they are part of the format. Never knows what a value says.

use super::lanes::Asked;
use super::span::SPAN_BITS;
use crate::model::envelope::{FileDigest, MessageId};
use crate::model::id::Index;
use crate::model::obligation::ObligationNumber;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Stage;

/// The one row that says where the ledger stands.
pub(super) const STANDING: &[u8] = b"a";
/// Messages, in groups, by the index of the first.
pub(super) const MESSAGES: u8 = b'm';
/// Receipts, in groups, by the index of the first.
pub(super) const RECEIPTS: u8 = b'r';
/// Amendments of the directory, in groups, by the index of the first.
pub(super) const AMENDMENTS: u8 = b'f';
/// What entries said of renewals, in groups, by the index of the first.
pub(super) const RENEWALS: u8 = b'n';
/// Epochs, in groups, by the index of the first.
pub(super) const EPOCHS: u8 = b'p';
/// What is no longer kept, in groups, by the index of the first.
pub(super) const ERASURES: u8 = b'e';
/// What an office was owed and stated, a row for a span of indexes.
const SPANS: u8 = b'o';
/// What is outstanding for an office, a row for a chunk of indexes.
const OUTSTANDING: u8 = b'q';
/// Message ids, in sorted pages, by the first of the page.
const IDS: u8 = b'i';
/// Receipts that repeated what was known, by office and chunk of the messages.
const REPEATS: u8 = b't';
/// What falls due for an office, a row for a chunk of indexes of a lane.
const DUE: u8 = b'd';
/// How far an office is with what it owes each month.
const MONTHS: u8 = b'b';
/// What was missed, in groups, by the index of the first.
pub(super) const OVERDUE: u8 = b'v';
/// Records of the hub's clock, in groups, by the index of the first.
pub(super) const CLOCK: u8 = b'c';
/// Files of messages, by the sending office, the file's digest and the message's index.
const FILES: u8 = b'x';

/// Spans in a chunk, as a power of two: the five sets of a chunk fit into a row, however they lie.
pub(super) const SPANS_IN_CHUNK_BITS: u32 = 4;
/// Indexes in a chunk, as a power of two.
pub(super) const CHUNK_BITS: u32 = SPAN_BITS + SPANS_IN_CHUNK_BITS;

/// The key of the group of records that begins at an index.
pub(super) fn group(letter: u8, first: Index) -> Vec<u8> {
    numbered(&[letter], &[first.0])
}

/// Reads the index out of a group's key, or out of the key of one of its further parts.
pub(super) fn group_first(key: &[u8]) -> Option<Index> {
    Some(Index(number(key, 1)?))
}

/// The key of an office's span.
pub(super) fn span(office: OfficeNumber, span: u64) -> Vec<u8> {
    numbered(&office_prefix(SPANS, office), &[span])
}

/// Reads the span's number out of its key, or out of the key of one of its further parts.
pub(super) fn span_number(key: &[u8]) -> Option<u64> {
    number(key, 3)
}

/// The key of a chunk of an office's outstanding set.
pub(super) fn outstanding(office: OfficeNumber, chunk: u64) -> Vec<u8> {
    numbered(&office_prefix(OUTSTANDING, office), &[chunk])
}

/// The bounds of all rows of outstanding sets.
pub(super) fn all_outstanding() -> ([u8; 1], [u8; 1]) {
    ([OUTSTANDING], [OUTSTANDING + 1])
}

/// Reads office and chunk out of the key of an outstanding set's row.
pub(super) fn outstanding_place(key: &[u8]) -> Option<(OfficeNumber, u64)> {
    let office = key.get(1..3)?.try_into().ok()?;
    Some((OfficeNumber(u16::from_be_bytes(office)), number(key, 3)?))
}

/// The key of the page of ids that begins with an id.
pub(super) fn ids(first: (MessageId, OfficeNumber)) -> Vec<u8> {
    let mut key = vec![IDS];
    key.extend_from_slice(first.0.as_bytes());
    key.extend_from_slice(&first.1.0.to_be_bytes());
    key
}

/// The bounds of all pages of ids.
pub(super) fn all_ids() -> ([u8; 1], [u8; 1]) {
    ([IDS], [IDS + 1])
}

/// The key that says that a receipt repeated something about a message of a chunk.
pub(super) fn repeat(office: OfficeNumber, chunk: u64, receipt: Index) -> Vec<u8> {
    numbered(&office_prefix(REPEATS, office), &[chunk, receipt.0])
}

/// Reads the receipt's index out of the key of a repetition.
pub(super) fn repeat_receipt(key: &[u8]) -> Option<Index> {
    Some(Index(number(key, 11)?))
}

/// Where the key of a lane has a stage: an answer that an obligation asks for.
const FOLLOW_UP: u8 = 16;

/// The key of a chunk of a lane of what falls due; a lane of what was missed has a number that is no time.
pub(super) fn due(office: OfficeNumber, asked: Asked, seconds: u32, chunk: u64) -> Vec<u8> {
    let mut key = office_prefix(DUE, office).to_vec();
    let (kind, obligation) = match asked {
        Asked::Stage(stage) => (stage as u8, 0),
        Asked::FollowUp(obligation) => (FOLLOW_UP, obligation.0),
    };
    key.push(kind);
    key.extend_from_slice(&obligation.to_be_bytes());
    key.extend_from_slice(&seconds.to_be_bytes());
    numbered(&key, &[chunk])
}

/// The bounds of all rows of lanes.
pub(super) fn all_due() -> ([u8; 1], [u8; 1]) {
    ([DUE], [DUE + 1])
}

/// Reads office, stage, seconds and chunk out of the key of a lane's row.
pub(super) fn due_place(key: &[u8]) -> Option<(OfficeNumber, Asked, u32, u64)> {
    let office = key.get(1..3)?.try_into().ok()?;
    let obligation = key.get(4..6)?.try_into().ok()?;
    let asked = match *key.get(3)? {
        FOLLOW_UP => Asked::FollowUp(ObligationNumber(u16::from_be_bytes(obligation))),
        stage => Asked::Stage(Stage::from_number(i32::from(stage))?),
    };
    let seconds = key.get(6..10)?.try_into().ok()?;
    Some((OfficeNumber(u16::from_be_bytes(office)), asked, u32::from_be_bytes(seconds), number(key, 10)?))
}

/// The key of how far an office is with a monthly obligation.
pub(super) fn months(obligation: ObligationNumber, office: OfficeNumber) -> Vec<u8> {
    let mut key = vec![MONTHS];
    key.extend_from_slice(&obligation.0.to_be_bytes());
    key.extend_from_slice(&office.0.to_be_bytes());
    key
}

/// The bounds of all rows of monthly obligations.
pub(super) fn all_months() -> ([u8; 1], [u8; 1]) {
    ([MONTHS], [MONTHS + 1])
}

/// Reads obligation and office out of the key of a monthly obligation's row.
pub(super) fn months_place(key: &[u8]) -> Option<(ObligationNumber, OfficeNumber)> {
    let number = |at: usize| Some(u16::from_be_bytes(key.get(at..at + 2)?.try_into().ok()?));
    Some((ObligationNumber(number(1)?), OfficeNumber(number(3)?)))
}

/// The key that says that a message of an office has a file.
pub(super) fn file(sender: OfficeNumber, digest: &FileDigest, message: Index) -> Vec<u8> {
    numbered(&file_prefix(sender, digest), &[message.0])
}

/// What the keys of all messages of an office that have a file begin with.
pub(super) fn file_prefix(sender: OfficeNumber, digest: &FileDigest) -> Vec<u8> {
    [&office_prefix(FILES, sender)[..], &digest.0].concat()
}

/// Reads the message's index out of the key of one of its files.
pub(super) fn file_message(key: &[u8]) -> Option<Index> {
    Some(Index(number(key, 35)?))
}

/// The first key that is greater than every key that begins with this one.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if let Some(next) = last.checked_add(1) {
            *last = next;
            return end;
        }
        end.pop();
    }
    vec![u8::MAX; prefix.len() + 1]
}

fn office_prefix(letter: u8, office: OfficeNumber) -> [u8; 3] {
    let [high, low] = office.0.to_be_bytes();
    [letter, high, low]
}

fn numbered(prefix: &[u8], numbers: &[u64]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 8 * numbers.len());
    key.extend_from_slice(prefix);
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

fn number(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_sort_as_their_numbers() {
        let office = OfficeNumber(0x0102);
        assert_eq!(group_first(&group(MESSAGES, Index(7))), Some(Index(7)));
        assert_eq!(span_number(&span(office, 9)), Some(9));
        assert_eq!(outstanding_place(&outstanding(office, 3)), Some((office, 3)));
        assert_eq!(repeat_receipt(&repeat(office, 3, Index(8))), Some(Index(8)));
        let digest = FileDigest([0xff; 32]);
        assert_eq!(file_message(&file(office, &digest, Index(8))), Some(Index(8)));
        assert!(file(office, &digest, Index(u64::MAX)) < after(&file_prefix(office, &digest)));
        for asked in [Asked::Stage(Stage::Read), Asked::FollowUp(ObligationNumber(258))] {
            assert_eq!(due_place(&due(office, asked, 900, 3)), Some((office, asked, 900, 3)));
        }
        let place = (ObligationNumber(258), office);
        assert_eq!(months_place(&months(place.0, place.1)), Some(place));
        assert!(span(office, 255) < span(office, 256));
        assert!(span(office, u64::MAX) < span(OfficeNumber(0x0103), 0));
    }

    #[test]
    fn after_a_prefix_comes_the_next_one() {
        assert_eq!(after(&[1, 2]), [1, 3]);
        assert_eq!(after(&[1, 255]), [2]);
        assert_eq!(after(&[255, 255]), [255, 255, 255]);
    }
}
