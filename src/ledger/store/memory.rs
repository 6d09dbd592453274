//! A store in memory: for tests and simulations.
//!
//! At a crash nothing of it remains.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use super::{Direction, RowBatch, Store, StoreError, Visit, assert_bounds};

/// Rows in a sorted map.
#[derive(Debug)]
pub struct MemoryStore {
    rows: RwLock<Option<BTreeMap<Bytes, Bytes>>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { rows: RwLock::new(Some(BTreeMap::new())) }
    }
}

impl MemoryStore {
    fn rows(&self) -> RwLockReadGuard<'_, Option<BTreeMap<Bytes, Bytes>>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows().as_ref().ok_or(StoreError::Closed)?.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        let rows = rows.as_ref().ok_or(StoreError::Closed)?;
        if from >= to {
            return Ok(());
        }
        let mut range = rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let mut next = || match direction {
            Direction::Ascending => range.next(),
            Direction::Descending => range.next_back(),
        };
        while let Some((key, value)) = next() {
            if visit(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: &RowBatch) -> Result<(), StoreError> {
        assert_bounds(batch);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let rows = rows.as_mut().ok_or(StoreError::Closed)?;
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        let rows = self.rows();
        let rows = rows.as_ref().ok_or(StoreError::Closed)?;
        Ok(rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn distrust(&self, _found: &str) -> Result<(), StoreError> {
        // Nothing opens it again.
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).take().map(drop).ok_or(StoreError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[test]
    fn memory_store_keeps_the_contract() {
        contract::keeps_the_contract(|| Box::new(MemoryStore::default()));
    }
}
