//! The row that says where the ledger stands: written with every batch, in the same stroke as its rows.
//!
//! Owns the format's number and the mark as the store keeps it. Never says more than was decided.

use bytes::Bytes;
use prost::Message;

use super::LedgerError;
use super::keys;
use super::sum::RowSum;
use super::table::Table;
use crate::model::entry::Mark;
use crate::model::id::{Index, Position, UnixMicros};

/// The format of the rows. A ledger of another one is built anew from the journal.
pub(super) const FORMAT: u32 = 10;

/// How much the ledger took in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Accepted messages.
    pub messages: u64,
    /// Recorded receipts, repetitions too.
    pub receipts: u64,
    /// Entries that repeated a message.
    pub duplicates: u64,
    /// Entries that were refused when they were decided.
    pub refused: u64,
    /// Entries that record refusals, or sums of them.
    pub refusals: u64,
}

/// Where the ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Standing {
    pub(super) mark: Mark,
    pub(super) checkpoint: Index,
    pub(super) tally: Tally,
    /// Of all rows but this one.
    pub(super) sum: RowSum,
}

/// What the store says of it.
pub(super) enum Found {
    Nothing,
    OtherFormat(u32),
    Standing(Standing),
}

impl Standing {
    pub(super) fn read(table: &Table) -> Result<Found, LedgerError> {
        let damaged = |found: String| LedgerError::row(keys::STANDING, found);
        let Some(bytes) = table.row(keys::STANDING)? else { return Ok(Found::Nothing) };
        let it = StandingBytes::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        if it.format != FORMAT {
            return Ok(Found::OtherFormat(it.format));
        }
        let journal = it.journal.as_slice().try_into().map_err(|_| damaged("no journal's id".into()))?;
        Ok(Found::Standing(Self {
            mark: Mark {
                journal,
                position: Position(it.position),
                next_index: Index(it.next_index),
                chain: it.chain,
                time: UnixMicros(it.time),
            },
            checkpoint: Index(it.checkpoint),
            tally: Tally {
                messages: it.messages,
                receipts: it.receipts,
                duplicates: it.duplicates,
                refused: it.refused,
                refusals: it.refusals,
            },
            sum: RowSum::from_bytes(it.sum.as_slice().try_into().map_err(|_| damaged("no sum".into()))?),
        }))
    }

    pub(super) fn encode(&self) -> Bytes {
        let bytes = StandingBytes {
            format: FORMAT,
            journal: self.mark.journal.to_vec(),
            position: self.mark.position.0,
            next_index: self.mark.next_index.0,
            chain: self.mark.chain,
            time: self.mark.time.0,
            checkpoint: self.checkpoint.0,
            messages: self.tally.messages,
            receipts: self.tally.receipts,
            duplicates: self.tally.duplicates,
            refused: self.tally.refused,
            refusals: self.tally.refusals,
            sum: self.sum.to_bytes().to_vec(),
        };
        bytes.encode_to_vec().into()
    }
}

#[derive(Clone, PartialEq, Message)]
struct StandingBytes {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(bytes = "vec", tag = "2")]
    journal: Vec<u8>,
    #[prost(uint64, tag = "3")]
    position: u64,
    #[prost(uint64, tag = "4")]
    next_index: u64,
    #[prost(uint32, tag = "5")]
    chain: u32,
    #[prost(uint64, tag = "6")]
    time: u64,
    #[prost(uint64, tag = "7")]
    checkpoint: u64,
    #[prost(uint64, tag = "8")]
    messages: u64,
    #[prost(uint64, tag = "9")]
    receipts: u64,
    #[prost(uint64, tag = "10")]
    duplicates: u64,
    #[prost(uint64, tag = "11")]
    refused: u64,
    #[prost(uint64, tag = "12")]
    refusals: u64,
    #[prost(bytes = "vec", tag = "13")]
    sum: Vec<u8>,
}
