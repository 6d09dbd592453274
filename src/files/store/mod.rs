//! A hub's files: by the office that handed them up, each under its digest.
//!
//! Owns `files/<office>/`, how much an office may keep there, how much of the disk stays free, and what nobody needs. One
//! office's bytes never serve for another's claim: to name a digest is not to have the file. Never decides who may
//! publish or fetch. At a crash: see [`super`]; what was announced and not published is known by its mark.
//!
//! ```text
//! files/<office>/<digest>         a whole file
//! files/<office>/<digest>.part    one that grows
//! files/<office>/<digest>.since   a mark: not known to be of a message; its size, and since when
//! ```
//!
//! All that changes the disk is called from one thread at a time, the hub's; what only asks may be called from any, and a sync
//! runs on any: one that fails cuts its file to nothing, beside whatever is written to it.

mod upload;

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::partial::{Digested, Known, Partial, part_path};
use super::{DiskError, at, erase, remove};
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::model::envelope::{FileDigest, FileRef};
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::refusal::{Reason, Refusal};

pub use self::upload::{Upload, UploadSync};

/// How long a file may be at the hub without a message: a day, in microseconds.
pub const ORPHAN_US: u64 = 86_400_000_000;
/// Files of one office at once that belong to no message yet: four packets of the largest kind.
pub const UNPUBLISHED_MAX: usize = 256;
/// When to come again when there is no room, in milliseconds: a person must make some.
const ROOM_RETRY_MS: u64 = 60_000;
/// When to come again where a sync is under way, in milliseconds.
const SYNCING_RETRY_MS: u64 = 100;
/// Largest mark, in bytes.
const MARK_BYTES_MAX: u64 = 64;

/// What an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of one office's files at most.
    pub office_bytes_max: u64,
    /// Free bytes of disk below which nothing is taken.
    pub disk_reserve_bytes: u64,
}

/// A hub's files.
pub struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    room: RwLock<Room>,
    index: Mutex<Index>,
}

type Key = (Name, FileDigest);

#[derive(Default)]
struct Index {
    files: BTreeMap<Key, Entry>,
    /// Of the newest upload, of any file.
    turn: u64,
    /// Bytes that uploads which go on now will still bring.
    in_flight_bytes: u64,
}

struct Entry {
    bytes: u64,
    /// Since when it is here without being known to be of a message.
    since: Option<UnixMicros>,
    stand: Stand,
    /// Messages on their way that name it.
    pins: usize,
}

enum Stand {
    Whole,
    /// The turn of the upload that may make it grow.
    Growing {
        have: u64,
        digested: Option<Digested>,
        turn: u64,
        /// Held by each sync of it that is under way, too.
        syncs: Arc<()>,
    },
}

/// How much of a file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Have {
    /// Bytes, from the first on.
    pub bytes: u64,
    /// Whether it is whole, for good.
    pub whole: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller's mistake, or something that it must wait for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk did not do what was asked.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Store {
    /// Takes a folder, made if it is missing, and learns what is there.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        room: Room,
        now: UnixMicros,
    ) -> Result<Arc<Self>, DiskError> {
        disk.create_dir_all(&dir).map_err(at(&dir))?;
        let store = Self { disk, dir, room: RwLock::new(room), index: Mutex::default() };
        for office in store.disk.list(&store.dir).map_err(at(&store.dir))? {
            if let Some(office) = office.to_str().and_then(|name| name.parse::<Name>().ok()) {
                store.learn(&office, now)?;
            }
        }
        Ok(Arc::new(store))
    }

    fn learn(&self, office: &Name, now: UnixMicros) -> Result<(), DiskError> {
        let dir = self.folder(office);
        let mut index = self.index();
        for name in self.disk.list(&dir).map_err(at(&dir))? {
            let path = dir.join(&name);
            let name = name.to_string_lossy();
            let (digest, ending) = name.split_once('.').unwrap_or((&name, ""));
            let Some(digest) = FileDigest::from_hex(digest) else { continue };
            let key = (office.clone(), digest);
            match ending {
                "" => {
                    let bytes = self.length(&path)?;
                    let since = index.files.get(&key).and_then(|entry| entry.since);
                    index.files.insert(key, Entry { bytes, since, stand: Stand::Whole, pins: 0 });
                }
                "part" => {
                    let have = self.length(&path)?;
                    let entry = index.files.entry(key).or_insert_with(|| Entry::announced(have, now));
                    if !matches!(entry.stand, Stand::Whole) {
                        entry.stand = Stand::Growing { have, digested: None, turn: 0, syncs: Arc::default() };
                    }
                }
                "since" => {
                    let (bytes, since) = self.read_mark(&path)?.unwrap_or((0, now));
                    let entry = index.files.entry(key).or_insert_with(|| Entry::announced(bytes, since));
                    entry.since = Some(since);
                    if !matches!(entry.stand, Stand::Whole) {
                        entry.bytes = bytes;
                    }
                }
                // Half written by a run that ended there.
                _ => remove(self.disk.as_ref(), &path)?,
            }
        }
        Ok(())
    }

    fn length(&self, path: &Path) -> Result<u64, DiskError> {
        self.disk.open(path, OpenMode::Read).and_then(|file| file.len()).map_err(at(path))
    }

    /// Takes up other bounds.
    pub fn adopt(&self, room: Room) {
        *self.room.write().unwrap_or_else(PoisonError::into_inner) = room;
    }

    /// Bytes of an office's files, with what was announced of them and has yet to come.
    pub fn office_bytes(&self, office: &Name) -> u64 {
        self.index().files.range(of(office)).map(|(_, entry)| entry.bytes).sum()
    }

    /// Takes an announcement, and ends an upload of the same file that may still go on.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::FileMismatch`] for a digest that was announced with another size and is whole,
    /// [`Reason::QuotaExceeded`], [`Reason::DiskReserve`]; [`StoreError::Disk`].
    pub fn begin(&self, office: &Name, file: FileRef, now: UnixMicros) -> Result<Have, StoreError> {
        file.check()?;
        let (key, dir) = ((office.clone(), file.digest), self.folder(office));
        let mut index = self.index();
        let known = index.files.get_mut(&key).map(|entry| entry.announce(&file, now)).transpose()?;
        if known.is_none() {
            self.has_room(&index, office, file.bytes)?;
        }
        index.turn += 1;
        let turn = index.turn;
        if let Some(Entry { stand: Stand::Growing { turn: of_upload, .. }, .. }) = index.files.get_mut(&key) {
            *of_upload = turn;
        }
        let of_message = index.files.get(&key).is_some_and(|entry| entry.since.is_none());
        drop(index);
        let have = known.unwrap_or(Have { bytes: 0, whole: false });
        self.has_reserve(file.bytes - have.bytes)?;
        if !of_message {
            // Before anything else of it is there, so that it is never here without somebody knowing since when.
            self.disk.create_dir_all(&dir).map_err(at(&dir))?;
            mark(self.disk.as_ref(), &dir, &file, now)?;
        }
        self.index().files.entry(key).or_insert_with(|| Entry::announced(file.bytes, now));
        Ok(have)
    }

    /// Begins to take bytes of a file that was announced.
    ///
    /// # Errors
    /// [`Reason::FileMissing`] for one that was not, [`Reason::FieldInvalid`] where it does not begin at what is here,
    /// [`Reason::Busy`] while a sync of it is under way, [`Reason::DiskReserve`]; [`StoreError::Disk`].
    pub fn upload(
        self: &Arc<Self>,
        office: &Name,
        file: FileRef,
        from_bytes: u64,
    ) -> Result<Upload, StoreError> {
        let key = (office.clone(), file.digest);
        let mut index = self.index();
        index.turn += 1;
        let turn = index.turn;
        let not_announced = || {
            let message =
                format!("file {} was not announced with this size: call BeginUpload first", file.digest);
            Refusal::new(Reason::FileMissing, message)
        };
        let entry =
            index.files.get_mut(&key).filter(|entry| entry.bytes == file.bytes).ok_or_else(not_announced)?;
        let Stand::Growing { have, digested, turn: of_upload, syncs } = &mut entry.stand else {
            return Err(Refusal::new(Reason::FieldInvalid, "the file is whole already").into());
        };
        if Arc::strong_count(syncs) > 1 {
            // Were it to fail, this one would go on from what is not there.
            let message = "what came of this file is being made durable: call BeginUpload again";
            return Err(Refusal::new(Reason::Busy, message).retry_after_ms(SYNCING_RETRY_MS).into());
        }
        if *have != from_bytes {
            let message = format!("the next byte wanted is {have}, not {from_bytes}: call BeginUpload again");
            let refusal = Refusal::field("start.from_bytes", message);
            // A sync may have failed since that was told.
            return Err(refusal.retry_after_ms(SYNCING_RETRY_MS).into());
        }
        *of_upload = turn;
        let digested = digested.take();
        let left = file.bytes - *have;
        drop(index);
        self.has_reserve(left)?;
        let known = Known { bytes: from_bytes, digested };
        let partial = Partial::open(Arc::clone(&self.disk), &self.folder(office), file, known)?;
        self.index().in_flight_bytes += left;
        Ok(Upload { store: Arc::clone(self), key, turn, left, partial: Some(partial) })
    }

    /// Holds files for a message on its way: none of them is cleared while that is held.
    ///
    /// # Errors
    /// [`Reason::FileMissing`] for one that is not whole.
    pub fn pin(self: &Arc<Self>, office: &Name, files: &[FileRef]) -> Result<Pins, Refusal> {
        let mut index = self.index();
        let keys: Vec<Key> = files.iter().map(|file| (office.clone(), file.digest)).collect();
        for (key, file) in keys.iter().zip(files) {
            let whole = |entry: &Entry| matches!(entry.stand, Stand::Whole) && entry.bytes == file.bytes;
            if !index.files.get(key).is_some_and(whole) {
                let message = format!(
                    "file {} ({} bytes) is not whole at the hub: hand it up first",
                    file.digest, file.bytes
                );
                return Err(Refusal::new(Reason::FileMissing, message).of_field("files"));
            }
        }
        for key in &keys {
            if let Some(entry) = index.files.get_mut(key) {
                entry.pins += 1;
            }
        }
        drop(index);
        Ok(Pins { store: Arc::clone(self), keys })
    }

    /// Opens a whole file, for reading.
    ///
    /// # Errors
    /// [`DiskError`], `NotFound` if it is not whole.
    pub fn read(&self, office: &Name, digest: &FileDigest) -> Result<Arc<dyn DiskFile>, DiskError> {
        let path = self.folder(office).join(digest.to_string());
        self.disk.open(&path, OpenMode::Read).map_err(at(&path))
    }

    /// Clears what was announced or handed up a day ago and belongs to no message; `needed` says whether one of an office
    /// does. Gives how many were cleared.
    ///
    /// # Errors
    /// That of `needed`, or [`DiskError`]; the rest waits for the next time.
    pub fn clear<E: From<DiskError>>(
        &self,
        now: UnixMicros,
        mut needed: impl FnMut(&Name, &FileDigest) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let old = |entry: &Entry| entry.since.is_some_and(|since| since.0.saturating_add(ORPHAN_US) <= now.0);
        let index = self.index();
        let due: Vec<Key> =
            index.files.iter().filter(|(_, it)| old(it)).map(|(key, _)| key.clone()).collect();
        drop(index);
        let mut cleared = 0;
        for key in due {
            let mut index = self.index();
            // Asked while nobody can pin it: what is pinned later is no longer here.
            let Some(entry) = index.files.get_mut(&key).filter(|entry| entry.pins == 0 && old(entry)) else {
                continue;
            };
            let whole = matches!(entry.stand, Stand::Whole);
            let of_message = whole && needed(&key.0, &key.1)?;
            if of_message {
                entry.since = None;
            } else {
                index.files.remove(&key);
            }
            drop(index);
            let dir = self.folder(&key.0);
            if !of_message {
                remove(self.disk.as_ref(), &dir.join(key.1.to_string()))?;
                remove(self.disk.as_ref(), &part_path(&dir, &key.1))?;
                cleared += 1;
            }
            // Last: until then the next start knows that it is to be cleared.
            remove(self.disk.as_ref(), &mark_path(&dir, &key.1))?;
        }
        Ok(cleared)
    }

    /// Erases a file of an office, written over as far as the disk allows, unless a message needs it, as `needed` says. Gives
    /// `false` where that cannot be said, because a message with it is being decided.
    ///
    /// # Errors
    /// That of `needed`, or [`DiskError`]: it may be there, or a part of it; ask again.
    pub fn forget<E: From<DiskError>>(
        &self,
        office: &Name,
        digest: &FileDigest,
        needed: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let key = (office.clone(), *digest);
        let mut index = self.index();
        if index.files.get(&key).is_some_and(|entry| entry.pins > 0) {
            return Ok(false);
        }
        // Asked while nobody can pin it: what is pinned later is no longer here.
        if needed()? {
            return Ok(true);
        }
        index.files.remove(&key);
        drop(index);
        let dir = self.folder(office);
        for path in [dir.join(digest.to_string()), part_path(&dir, digest)] {
            erase(self.disk.as_ref(), &path)?;
        }
        remove(self.disk.as_ref(), &mark_path(&dir, digest))?;
        Ok(true)
    }

    fn has_room(&self, index: &Index, office: &Name, bytes: u64) -> Result<(), Refusal> {
        let most = self.room().office_bytes_max;
        let (mut used, mut unpublished) = (0_u64, 0);
        for (_, entry) in index.files.range(of(office)) {
            used = used.saturating_add(entry.bytes);
            unpublished += usize::from(entry.since.is_some());
        }
        if used.saturating_add(bytes) > most {
            let message = format!(
                "the office's files take {used} of {most} bytes at this hub, and this one has {bytes}: ask its operator \
                 for more, or have old packets erased"
            );
            return Err(Refusal::new(Reason::QuotaExceeded, message).retry_after_ms(ROOM_RETRY_MS));
        }
        if unpublished >= UNPUBLISHED_MAX {
            let message = format!(
                "{unpublished} files of the office are at this hub without a message: publish them, or wait a day"
            );
            return Err(Refusal::new(Reason::QuotaExceeded, message).retry_after_ms(ROOM_RETRY_MS));
        }
        Ok(())
    }

    /// Checks that the disk keeps its reserve when all that is on its way has come, and so many bytes more.
    fn has_reserve(&self, bytes: u64) -> Result<(), StoreError> {
        let free = self.disk.free_bytes(&self.dir).map_err(at(&self.dir))?;
        let (reserve, in_flight) = (self.room().disk_reserve_bytes, self.index().in_flight_bytes);
        if free >= reserve.saturating_add(in_flight).saturating_add(bytes) {
            return Ok(());
        }
        let message = "the hub's disk has no room for this file beside its reserve: tell its operator";
        Err(Refusal::new(Reason::DiskReserve, message).retry_after_ms(ROOM_RETRY_MS).into())
    }

    fn room(&self) -> Room {
        *self.room.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, office: &Name) -> PathBuf {
        self.dir.join(office.as_str())
    }

    /// Reads a mark; `None` for one that says nothing that is known.
    fn read_mark(&self, path: &Path) -> Result<Option<(u64, UnixMicros)>, DiskError> {
        let bytes = match self.disk.read(path, MARK_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(None),
            bytes => bytes.map_err(at(path))?,
        };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| {
            let (bytes, since) = text.trim_end().split_once(' ')?;
            Some((bytes.parse().ok()?, UnixMicros(since.parse().ok()?)))
        });
        Ok(parsed)
    }
}

impl Entry {
    fn announced(bytes: u64, now: UnixMicros) -> Self {
        let stand = Stand::Growing { have: 0, digested: None, turn: 0, syncs: Arc::default() };
        Self { bytes, since: Some(now), stand, pins: 0 }
    }

    /// Announces again what was announced before.
    fn announce(&mut self, file: &FileRef, now: UnixMicros) -> Result<Have, Refusal> {
        if self.bytes != file.bytes {
            let (digest, bytes, found) = (file.digest, self.bytes, file.bytes);
            let message = format!("file {digest} was announced with {bytes} bytes, and now with {found}");
            return Err(Refusal::new(Reason::FileMismatch, message).of_field("file.bytes"));
        }
        self.since = self.since.map(|_| now);
        Ok(match self.stand {
            Stand::Whole => Have { bytes: self.bytes, whole: true },
            Stand::Growing { have, .. } => Have { bytes: have, whole: false },
        })
    }
}

/// Marks a file in an office's folder as one that is not known to be of a message, since a time.
///
/// # Errors
/// [`DiskError`].
pub fn mark(disk: &dyn Disk, dir: &Path, file: &FileRef, since: UnixMicros) -> Result<(), DiskError> {
    let path = mark_path(dir, &file.digest);
    let text = format!("{} {}\n", file.bytes, since.0);
    disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))
}

fn mark_path(dir: &Path, digest: &FileDigest) -> PathBuf {
    dir.join(format!("{digest}.since"))
}

/// All keys of an office.
fn of(office: &Name) -> RangeInclusive<Key> {
    (office.clone(), FileDigest([0; 32]))..=(office.clone(), FileDigest([u8::MAX; 32]))
}

/// Files that are held for a message on its way, until it is dropped.
pub struct Pins {
    store: Arc<Store>,
    keys: Vec<Key>,
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pins").field(&self.keys).finish()
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut index = self.store.index();
        for key in &self.keys {
            if let Some(entry) = index.files.get_mut(key) {
                entry.pins -= 1;
            }
        }
    }
}
