//! Stores in memory: for tests and simulations.
//!
//! At a crash of the process, here the drop of a store, its rows are still there; after a stop of the machine those of
//! a store that was not closed are not trusted. At the end of the test nothing remains.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use super::{
    ASIDE, Direction, Distrust, OpenedStore, RowBatch, SetAside, Store, StoreError, Stores, Visit,
    assert_bounds,
};

/// Rows in a sorted map.
#[derive(Debug)]
pub struct MemoryStore {
    /// `None` once it is closed.
    rows: RwLock<Option<Arc<Kept>>>,
    kept: Arc<Kept>,
}

/// Stores in memory, by folder.
#[derive(Debug, Default)]
pub struct MemoryStores {
    folders: Mutex<BTreeMap<PathBuf, Arc<Kept>>>,
}

/// What outlives a store.
#[derive(Debug, Default)]
struct Kept {
    rows: RwLock<BTreeMap<Bytes, Bytes>>,
    trust: Mutex<Trust>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Trust {
    #[default]
    Open,
    Closed,
    Gone(Distrust),
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::over(Arc::default())
    }
}

impl MemoryStore {
    fn over(kept: Arc<Kept>) -> Self {
        Self { rows: RwLock::new(Some(Arc::clone(&kept))), kept }
    }

    fn kept(&self) -> RwLockReadGuard<'_, Option<Arc<Kept>>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStores {
    /// Does what a stop of the machine does: stores that are not closed will not be trusted. Drop the open ones before.
    pub fn stop_machine(&self) {
        for kept in self.folders().values() {
            let mut trust = kept.trust();
            if *trust == Trust::Open {
                *trust = Trust::Gone(Distrust::MachineStopped);
            }
        }
    }

    fn folders(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<Kept>>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn rows(&self) -> RwLockReadGuard<'_, BTreeMap<Bytes, Bytes>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.kept().as_ref().ok_or(StoreError::Closed)?.rows().get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let kept = self.kept();
        let rows = kept.as_ref().ok_or(StoreError::Closed)?.rows();
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
        let kept = self.kept();
        let kept = kept.as_ref().ok_or(StoreError::Closed)?;
        let mut rows = kept.rows.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        let kept = self.kept();
        let rows = kept.as_ref().ok_or(StoreError::Closed)?.rows();
        Ok(rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn distrust(&self, found: &str) -> Result<(), StoreError> {
        *self.kept.trust() = Trust::Gone(Distrust::Damaged(found.to_owned()));
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        let open = self.rows.write().unwrap_or_else(PoisonError::into_inner).take();
        let mut trust = open.as_ref().ok_or(StoreError::Closed)?.trust();
        // A distrust stays.
        if *trust == Trust::Open {
            *trust = Trust::Closed;
        }
        Ok(())
    }
}

impl Stores for MemoryStores {
    fn open(&self, dir: &Path, _cache_bytes: u64) -> Result<OpenedStore, StoreError> {
        let mut folders = self.folders();
        let kept = folders.entry(dir.to_owned()).or_default();
        if Arc::strong_count(kept) > 1 {
            return Err(StoreError::Io(format!("{} is in use", dir.display())));
        }
        let trust = std::mem::take(&mut *kept.trust());
        let Trust::Gone(why) = trust else {
            return Ok(OpenedStore { store: Arc::new(MemoryStore::over(Arc::clone(kept))), set_aside: None });
        };
        let (aside, to) = (std::mem::take(kept), dir.join(why.place()));
        let store = Arc::new(MemoryStore::over(Arc::clone(kept)));
        folders.insert(to.clone(), aside);
        Ok(OpenedStore { store, set_aside: Some(SetAside { why, to }) })
    }

    fn set_aside(&self, dir: &Path, _cache_bytes: u64) -> Vec<Arc<dyn Store>> {
        let folders = self.folders();
        let aside = ASIDE.into_iter().filter_map(|name| folders.get(&dir.join(name)));
        aside.map(|kept| Arc::new(MemoryStore::over(Arc::clone(kept))) as _).collect()
    }

    fn remove(&self, dir: &Path) -> Result<(), StoreError> {
        self.folders().retain(|folder, _| !folder.starts_with(dir));
        Ok(())
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

    #[test]
    fn memory_stores_keep_the_contract() {
        let stores = Arc::new(MemoryStores::default());
        let next_boot = || {
            stores.stop_machine();
            Arc::clone(&stores) as _
        };
        contract::keeps_stores(Path::new("ledgers"), stores.as_ref(), next_boot);
    }
}
