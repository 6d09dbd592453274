//! An upload under way: its turn, its bytes, its end.
//!
//! Owns the count of what has yet to come. Never goes on once a newer upload of the same file has its turn.

use std::sync::Arc;

use super::{Entry, Key, Stand, Store, StoreError};
use crate::files::partial::{Partial, PartialError, PartialSync};
use crate::model::refusal::{Reason, Refusal};

/// Bytes of a file on their way to the hub.
pub struct Upload {
    pub(super) store: Arc<Store>,
    pub(super) key: Key,
    pub(super) turn: u64,
    /// Bytes that have yet to come, counted as in flight.
    pub(super) left: u64,
    pub(super) partial: Option<Partial>,
}

impl Upload {
    /// Reads a piece of what was there before; `true` when nothing is left of it.
    ///
    /// # Errors
    /// [`Reason::Busy`] where a newer upload has its turn; [`StoreError::Disk`].
    pub fn catch_up(&mut self) -> Result<bool, StoreError> {
        Ok(self.partial()?.catch_up()?)
    }

    /// Takes the next bytes, which are not there for good before a sync.
    ///
    /// # Errors
    /// [`Reason::Busy`] where a newer upload has its turn, [`Reason::FileMismatch`] for more bytes than were announced;
    /// [`StoreError::Disk`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let partial = self.partial()?;
        let written = partial.write(bytes);
        let have = partial.have();
        let came = if written.is_ok() { bytes.len() as u64 } else { 0 };
        self.left -= came;
        let mut index = self.store.index();
        index.in_flight_bytes -= came;
        let newest = match index.files.get_mut(&self.key).map(|entry| &mut entry.stand) {
            Some(Stand::Growing { have: known, turn, .. }) if *turn == self.turn => {
                *known = have;
                true
            }
            _ => false,
        };
        drop(index);
        if !newest {
            // A sync that failed meanwhile has cut the file, perhaps before this was written.
            self.partial.iter_mut().for_each(Partial::drop_what_came);
            return Err(superseded());
        }
        written.map_err(of_partial)
    }

    /// Bytes that have come and are not known to be there for good.
    pub fn unsynced(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.have() - partial.synced())
    }

    /// Begins a sync of what has come, to be run beside what comes next.
    ///
    /// # Errors
    /// [`Reason::Busy`] where a newer upload has its turn.
    pub fn sync(&self) -> Result<UploadSync, StoreError> {
        let index = self.store.index();
        match (&self.partial, index.files.get(&self.key).map(|entry| &entry.stand)) {
            (Some(partial), Some(Stand::Growing { syncs, turn, .. })) if *turn == self.turn => {
                let (store, key, syncs) = (Arc::clone(&self.store), self.key.clone(), Arc::clone(syncs));
                Ok(UploadSync { store, key, sync: partial.sync_beside(), syncs })
            }
            _ => Err(superseded()),
        }
    }

    /// Hears that a sync has made so many bytes durable.
    pub fn synced_to(&mut self, bytes: u64) {
        self.partial.iter_mut().for_each(|partial| partial.synced_to(bytes));
    }

    /// Makes the file whole, once all of it has come.
    ///
    /// # Errors
    /// [`Reason::FileMismatch`]: it was dropped, and begins anew; [`Reason::Busy`]; [`StoreError::Disk`].
    pub fn finish(mut self) -> Result<(), StoreError> {
        let bytes = self.partial()?.file().bytes;
        let Some(partial) = self.partial.take() else { return Ok(()) };
        if partial.have() < bytes {
            let message = format!("{} of {bytes} bytes came: go on from there", partial.have());
            self.partial = Some(partial);
            return Err(Refusal::new(Reason::FileMismatch, message).into());
        }
        let finished = partial.finish();
        if let Some(Entry { stand, .. }) = self.store.index().files.get_mut(&self.key) {
            match stand {
                // Other bytes, or a disk of which it is not known what it has.
                Stand::Growing { have, digested, .. } if finished.is_err() => (*have, *digested) = (0, None),
                _ => *stand = Stand::Whole,
            }
        }
        finished.map_err(of_partial)
    }

    /// The file that grows, as long as no newer upload has its turn.
    fn partial(&mut self) -> Result<&mut Partial, StoreError> {
        let index = self.store.index();
        let newest = index
            .files
            .get(&self.key)
            .is_some_and(|entry| matches!(entry.stand, Stand::Growing { turn, .. } if turn == self.turn));
        drop(index);
        match &mut self.partial {
            Some(partial) if newest => Ok(partial),
            _ => Err(superseded()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut index = self.store.index();
        index.in_flight_bytes -= self.left;
        let Some(partial) = &self.partial else { return };
        if let Some(Entry { stand: Stand::Growing { digested, turn, .. }, .. }) =
            index.files.get_mut(&self.key)
            && *turn == self.turn
        {
            *digested = Some(partial.digested());
        }
    }
}

/// A sync of what an upload has brought. Until it is dropped no other upload of this file begins.
pub struct UploadSync {
    store: Arc<Store>,
    key: Key,
    sync: PartialSync,
    /// The file's.
    syncs: Arc<()>,
}

impl UploadSync {
    /// Waits for the disk; gives how many bytes are there for good.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: the file begins anew, and the upload of it that goes on ends; [`Reason::DiskReserve`], for others
    /// write to the same disk meanwhile.
    pub fn run(self) -> Result<u64, StoreError> {
        let bytes = self.sync.run(|| self.begin_anew())?;
        self.store.has_reserve(0)?;
        Ok(bytes)
    }

    /// Forgets what came of the file, if it is there still, and ends the upload of it.
    fn begin_anew(&self) {
        let mut index = self.store.index();
        index.turn += 1;
        let now = index.turn;
        if let Some(Entry { stand: Stand::Growing { have, digested, turn, syncs }, .. }) =
            index.files.get_mut(&self.key)
            && Arc::ptr_eq(syncs, &self.syncs)
        {
            (*have, *digested, *turn) = (0, None, now);
        }
    }
}

fn superseded() -> StoreError {
    let message = "a newer upload of this file has begun, or it was cleared: call BeginUpload again";
    Refusal::new(Reason::Busy, message).retry_after_ms(1).into()
}

fn of_partial(error: PartialError) -> StoreError {
    match error {
        PartialError::Disk(error) => error.into(),
        other => Refusal::new(Reason::FileMismatch, format!("{other}: hand the file up from its first byte"))
            .of_field("chunk")
            .into(),
    }
}
