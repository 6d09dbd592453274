//! Packets that are kept and not acknowledged yet: their files are on their way.
//!
//! Owns which they are. Never says that one is whole that is not on the disk. Lost at an end: they come again.

use std::collections::BTreeMap;

use crate::desk::inbox::InboxEntry;
use crate::desk::packet::porter::{Porter, WANTED_MAX, Wanted};
use crate::files::DiskError;
use crate::files::shelf::Shelf;
use crate::model::envelope::{FileRef, MessageId, Priority};
use crate::model::id::Index;
use crate::model::receipt::Covered;

/// A command that may run once its message is acknowledged.
pub(super) type Due = Option<(Priority, InboxEntry)>;

/// Packets whose files are not all here.
#[derive(Default)]
pub(super) struct Incomplete {
    packets: BTreeMap<(Index, MessageId), Packet>,
}

struct Packet {
    wanted: Wanted,
    due: Due,
    /// Whether the porter has it.
    given: bool,
}

impl Incomplete {
    /// Tells whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Takes a message that is kept; `true`: all its files are here, and it may be acknowledged.
    pub(super) fn take(
        &mut self,
        store: &Shelf,
        porter: Option<&Porter>,
        message: Covered,
        files: &[FileRef],
        due: &Due,
    ) -> Result<bool, DiskError> {
        let key = (message.index, message.message_id);
        if self.packets.contains_key(&key) {
            return Ok(false);
        }
        if all_here(store, files)? {
            return Ok(true);
        }
        // One more than may wait is not acknowledged either, and comes again.
        if self.packets.len() < WANTED_MAX {
            let wanted = Wanted { message, files: files.to_vec() };
            let given = porter.is_some_and(|porter| porter.fetch(wanted.clone()));
            self.packets.insert(key, Packet { wanted, due: due.clone(), given });
        }
        Ok(false)
    }

    /// Lets go of a packet whose files are all here; gives its command.
    pub(super) fn whole(&mut self, message: &Covered) -> Option<Due> {
        self.packets.remove(&(message.index, message.message_id)).map(|packet| packet.due)
    }

    /// Gives the porter what it had no room for, and looks for what another process has fetched.
    pub(super) fn look(
        &mut self,
        store: &Shelf,
        porter: Option<&Porter>,
    ) -> Result<Vec<(Covered, Due)>, DiskError> {
        let mut whole = Vec::new();
        for packet in self.packets.values_mut().filter(|packet| !packet.given) {
            if all_here(store, &packet.wanted.files)? {
                whole.push(packet.wanted.message);
            } else {
                packet.given = porter.is_some_and(|porter| porter.fetch(packet.wanted.clone()));
            }
        }
        let let_go = |message: Covered| Some((message, self.whole(&message)?));
        Ok(whole.into_iter().filter_map(let_go).collect())
    }
}

fn all_here(store: &Shelf, files: &[FileRef]) -> Result<bool, DiskError> {
    for file in files {
        if !store.has(file)? {
            return Ok(false);
        }
    }
    Ok(true)
}
