//! The sum of all rows: shows at a start that every row is there and says what was written.
//!
//! Owns the arithmetic. Never tells which row is wrong: the ledger is then built anew. sled checks what it reads, but
//! what it finds damaged while it opens it leaves out without a word: rows would be missing, or be those of before,
//! and a message known for years would be taken for a new one.
//!
//! A multiset hash by addition (Bellare and Micciancio, Eurocrypt 1997), of SHA-256 (FIPS 180-4) cut to 128 bits: one
//! row more or less changes it by that row alone. It finds damage; it is no proof against somebody who makes rows.

use std::ops::ControlFlow;

use aws_lc_rs::digest::{Context, SHA256};

use super::keys;
use super::store::{Direction, StoreError};
use super::table::Table;

/// The sum of some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct RowSum(u128);

impl RowSum {
    /// Reads all rows but the one that says where the ledger stands, and sums them up.
    pub(super) fn of(table: &Table) -> Result<Self, StoreError> {
        let mut sum = Self::default();
        table.scan(&[], &[u8::MAX], Direction::Ascending, &mut |key, value| {
            if key != keys::STANDING {
                sum.put(key, value);
            }
            ControlFlow::Continue(())
        })?;
        Ok(sum)
    }

    /// Counts a row in.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(digest(key, value));
    }

    /// Counts a row out.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(digest(key, value));
    }

    /// Gives its bytes.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads it from its bytes.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

fn digest(key: &[u8], value: &[u8]) -> u128 {
    let mut context = Context::new(&SHA256);
    context.update(&(key.len() as u64).to_be_bytes());
    context.update(key);
    context.update(value);
    let digest = context.finish();
    let (half, _) = digest.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
    u128::from_be_bytes(*half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_depends_on_the_rows_alone() {
        let mut sum = RowSum::default();
        sum.put(b"a", b"1");
        sum.put(b"b", b"2");
        let mut other = RowSum::default();
        other.put(b"b", b"2");
        other.put(b"a", b"0");
        assert_ne!(sum, other);
        other.take(b"a", b"0");
        other.put(b"a", b"1");
        assert_eq!(sum, other);
        assert_eq!(RowSum::from_bytes(sum.to_bytes()), sum);
    }

    #[test]
    fn key_and_value_do_not_run_into_each_other() {
        let (mut one, mut other) = (RowSum::default(), RowSum::default());
        one.put(b"ab", b"c");
        other.put(b"a", b"bc");
        assert_ne!(one, other);
    }
}
