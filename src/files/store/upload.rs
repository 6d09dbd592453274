//! An upload under way: its turn, its bytes, its end.
//!
//! Owns the count of what has yet to come. Never goes on once a newer upload of the same file has its turn.

use std::sync::Arc;

use super::{Entry, Key, Stand, Store, StoreError};
use crate::files::partial::{Partial, PartialError, Sync};
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
        if let Some(Entry { stand: Stand::Growing { have: known, .. }, .. }) = index.files.get_mut(&self.key)
        {
            *known = have;
        }
        drop(index);
        written.map_err(of_partial)
    }

    /// Bytes that have come and are not known to be there for good.
    pub fn unsynced(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.have() - partial.synced())
    }

    /// Begins a sync of what has come, to be run beside what comes next; one at a time.
    ///
    /// # Errors
    /// [`Reason::Busy`] where a newer upload has its turn.
    pub fn sync(&mut self) -> Result<UploadSync, StoreError> {
        let sync = self.partial()?.sync_beside();
        if let Some(Entry { stand: Stand::Growing { syncing, .. }, .. }) =
            self.store.index().files.get_mut(&self.key)
        {
            *syncing = true;
        }
        Ok(UploadSync { store: Arc::clone(&self.store), key: self.key.clone(), sync })
    }

    /// Hears what came of a sync: so many bytes are there for good.
    ///
    /// # Errors
    /// [`Reason::Busy`] where a newer upload has its turn.
    pub fn synced_to(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.partial()?.synced_to(bytes);
        Ok(())
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
        let stand = match &finished {
            Ok(()) => Stand::Whole,
            // Other bytes, or a disk of which it is not known what it has.
            Err(_) => Stand::Growing { have: 0, digested: None, turn: self.turn, syncing: false },
        };
        if let Some(entry) = self.store.index().files.get_mut(&self.key) {
            entry.stand = stand;
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
            _ => {
                let message =
                    "a newer upload of this file has begun, or it was cleared: call BeginUpload again";
                Err(Refusal::new(Reason::Busy, message).retry_after_ms(1).into())
            }
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
    sync: Sync,
}

impl UploadSync {
    /// Waits for the disk; gives how many bytes are there for good.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: the file begins anew, and whatever upload of it goes on ends; [`Reason::DiskReserve`], for others
    /// write to the same disk meanwhile.
    pub fn run(self) -> Result<u64, StoreError> {
        let synced = self.sync.run();
        if synced.is_err() {
            let mut index = self.store.index();
            index.turn += 1;
            let now = index.turn;
            if let Some(Entry { stand: Stand::Growing { have, digested, turn, .. }, .. }) =
                index.files.get_mut(&self.key)
            {
                (*have, *digested, *turn) = (0, None, now);
            }
        }
        let bytes = synced?;
        self.store.has_reserve(0)?;
        Ok(bytes)
    }
}

impl Drop for UploadSync {
    fn drop(&mut self) {
        if let Some(Entry { stand: Stand::Growing { syncing, .. }, .. }) =
            self.store.index().files.get_mut(&self.key)
        {
            *syncing = false;
        }
    }
}

fn of_partial(error: PartialError) -> StoreError {
    match error {
        PartialError::Disk(error) => error.into(),
        other => Refusal::new(Reason::FileMismatch, format!("{other}: hand the file up from its first byte"))
            .of_field("chunk")
            .into(),
    }
}
