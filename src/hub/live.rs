//! What goes on now: the newest messages in memory, shared by all subscriptions, and the bell of each office.
//!
//! Owns nothing that cannot be read again from the journal. Bounded in bytes: who is further behind reads from disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use crate::model::entry::EntryKind;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::OfficeNumber;

/// Bytes of messages kept in memory: about what six offices' lines hold on the way.
const RECENT_BYTES_MAX: usize = 24 * 1024 * 1024;

/// A message or a notice, as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Its index.
    pub index: Index,
    /// The hub's time of its acceptance.
    pub time: UnixMicros,
    /// What its entry records.
    pub kind: EntryKind,
    /// The envelope or what is told, exact bytes.
    pub statement: Bytes,
    /// The payload; `None` for a notice, and when it was erased.
    pub payload: Option<Bytes>,
}

impl Item {
    /// The same in memory of its own: its bytes are parts of what a connection read at once, several times as much, which stays
    /// as long as any part of it.
    fn by_itself(self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        Self { statement: copy(&self.statement), payload: self.payload.as_ref().map(copy), ..self }
    }

    /// What it weighs, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // The constant stands for the item itself and its handles.
        self.statement.len() + self.payload.as_ref().map_or(0, Bytes::len) + 128
    }
}

/// The newest messages and the offices' bells.
#[derive(Debug, Default)]
pub(super) struct Live {
    recent: RwLock<Recent>,
    bells: RwLock<Vec<watch::Sender<()>>>,
    directory: watch::Sender<()>,
    erasures: watch::Sender<()>,
    /// One more than the index of the newest urgent message; 0: none.
    urgent: AtomicU64,
}

#[derive(Debug, Default)]
struct Recent {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Live {
    /// Keeps new items, in the order of the journal; the oldest make room.
    pub(super) fn keep(&self, items: impl IntoIterator<Item = Item>) {
        // Before the lock: who delivers waits for that.
        let items: Vec<_> = items.into_iter().map(Item::by_itself).collect();
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        for item in items {
            recent.bytes += item.bytes();
            recent.items.push_back(item);
        }
        while recent.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = recent.items.pop_front() else { break };
            recent.bytes -= oldest.bytes();
        }
    }

    /// Finds items by their indexes; `None` for each that is no longer here.
    pub(super) fn find(&self, indexes: &[Index]) -> Vec<Option<Item>> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let find = |index: &Index| {
            let place = recent.items.binary_search_by_key(index, |item| item.index).ok()?;
            recent.items.get(place).cloned()
        };
        indexes.iter().map(find).collect()
    }

    /// Tells whether everything accepted at or after an index is here.
    pub(super) fn covers(&self, index: Index) -> bool {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        recent.items.front().is_some_and(|oldest| oldest.index <= index)
    }

    /// Rings for an office: something is owed to it.
    pub(super) fn ring(&self, office: OfficeNumber) {
        let bells = self.bells.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(usize::from(office.0)) {
            bell.send_replace(());
        }
    }

    /// Rings for whoever must know of a change of the directory.
    pub(super) fn ring_directory(&self) {
        self.directory.send_replace(());
    }

    /// Listens for changes of the directory.
    pub(super) fn listen_directory(&self) -> watch::Receiver<()> {
        self.directory.subscribe()
    }

    /// Rings for whoever carries erasures out.
    pub(super) fn ring_erasures(&self) {
        self.erasures.send_replace(());
    }

    /// Notes an urgent message.
    pub(super) fn note_urgent(&self, index: Index) {
        self.urgent.fetch_max(index.next().0, Ordering::AcqRel);
    }

    /// The index of the newest urgent message since the hub began.
    pub(super) fn urgent(&self) -> Option<Index> {
        self.urgent.load(Ordering::Acquire).checked_sub(1).map(Index)
    }

    /// Listens for erasures.
    pub(super) fn listen_erasures(&self) -> watch::Receiver<()> {
        self.erasures.subscribe()
    }

    /// Forgets the payloads of messages.
    pub(super) fn forget(&self, messages: &[Index]) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        for index in messages {
            let Ok(place) = recent.items.binary_search_by_key(index, |item| item.index) else { continue };
            let payload = recent.items[place].payload.take();
            recent.bytes -= payload.map_or(0, |bytes| bytes.len());
        }
    }

    /// Listens for an office's bell.
    pub(super) fn listen(&self, office: OfficeNumber) -> watch::Receiver<()> {
        let mut bells = self.bells.write().unwrap_or_else(PoisonError::into_inner);
        let wanted = usize::from(office.0) + 1;
        if bells.len() < wanted {
            bells.resize_with(wanted, || watch::Sender::new(()));
        }
        bells[wanted - 1].subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: u64, bytes: usize) -> Item {
        let payload = Some(Bytes::from(vec![0; bytes]));
        Item {
            index: Index(index),
            time: UnixMicros(0),
            kind: EntryKind::Publish,
            statement: Bytes::new(),
            payload,
        }
    }

    #[test]
    fn oldest_make_room_when_the_bytes_are_used_up() {
        let live = Live::default();
        live.keep((0..20).map(|index| item(index * 3, RECENT_BYTES_MAX / 16)));
        let found = live.find(&[Index(0), Index(57), Index(56)]);
        assert!(found[0].is_none(), "beyond the bound");
        assert_eq!(found[1].as_ref().map(|item| item.index), Some(Index(57)));
        assert!(found[2].is_none(), "never there");
    }

    #[test]
    fn what_is_kept_keeps_nothing_else_in_memory() {
        let read = Bytes::from(vec![7; 1_000]);
        let (live, payload) = (Live::default(), Some(read.slice(10..20)));
        live.keep([Item { statement: read.slice(..10), payload, ..item(1, 0) }]);
        assert!(read.is_unique(), "what a connection read at once is let go");
        let found = live.find(&[Index(1)]).remove(0).unwrap();
        assert_eq!((found.statement.len(), found.payload), (10, Some(read.slice(10..20))));
    }

    #[test]
    fn a_bell_is_heard_by_its_office_alone() {
        let live = Live::default();
        let (one, two) = (live.listen(OfficeNumber(3)), live.listen(OfficeNumber(1)));
        live.ring(OfficeNumber(3));
        assert!(one.has_changed().unwrap());
        assert!(!two.has_changed().unwrap());
    }
}
