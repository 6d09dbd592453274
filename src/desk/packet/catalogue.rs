//! The packets of a home, sent and received, and which version of which they are.
//!
//! Owns what supersedes what: only a packet of the same office does. Never fetches, never hands in.

use std::collections::HashMap;

use super::{Manifest, ManifestError};
use crate::desk::find::Found;
use crate::desk::inbox::Inbox;
use crate::desk::opener::Reader;
use crate::desk::outbox::{Outbox, Outcome, Stand};
use crate::desk::store::StoreError;
use crate::model::envelope::{Envelope, MessageClass, MessageId};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::receipt::MessageRef;

/// A packet of this home.
#[derive(Debug)]
pub struct Entry {
    /// Where it is.
    pub found: Found,
    /// Its envelope.
    pub envelope: Envelope,
    /// What it says.
    pub manifest: Result<Manifest, ManifestError>,
    /// The hub's time of acceptance; while it waits, the sender's time of writing.
    pub at: UnixMicros,
    /// Its index at the hub, once it has one.
    pub index: Option<Index>,
    /// The newest of those that supersede it.
    pub superseded_by: Option<MessageId>,
}

/// The packets of a home.
#[derive(Debug)]
pub struct Catalogue {
    /// The packets, newest first.
    pub entries: Vec<Entry>,
    /// Files that could not be looked at.
    pub damaged: Vec<StoreError>,
}

impl Entry {
    /// The message as the hub knows it, once it does.
    pub fn message(&self) -> Option<MessageRef> {
        Some(MessageRef { index: self.index?, message_id: self.envelope.message_id })
    }

    /// The packet that it supersedes.
    pub fn supersedes(&self) -> Option<MessageId> {
        self.manifest.as_ref().ok()?.supersedes
    }

    fn key(&self) -> (Name, MessageId) {
        (self.envelope.sender.office.clone(), self.envelope.message_id)
    }
}

impl Catalogue {
    /// Looks at both boxes. What was refused is no packet that anybody has, and what is erased is none any more.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn of(inbox: &Inbox, outbox: &Outbox, reader: &Reader) -> Result<Self, StoreError> {
        let mut catalogue = Self { entries: Vec::new(), damaged: Vec::new() };
        for entry in inbox.entries()? {
            let Some(kept) = catalogue.looked_at(inbox.read(&entry))? else { continue };
            if kept.envelope.class == MessageClass::Packet && kept.erased.is_none() {
                let manifest = Manifest::opened(&kept.envelope, reader.came(&kept));
                let (found, index) = (Found::Received(entry.clone()), Some(entry.index));
                let at = kept.accepted;
                let envelope = kept.envelope;
                catalogue.entries.push(Entry { found, envelope, manifest, at, index, superseded_by: None });
            }
        }
        for entry in outbox.messages()?.into_iter().filter(|entry| entry.stand != Stand::Refused) {
            let Some(sent) = catalogue.looked_at(outbox.read_message(entry.message_id))? else { continue };
            if sent.envelope.class == MessageClass::Packet && !sent.erased {
                let manifest = Manifest::opened(&sent.envelope, reader.went(&sent));
                let (index, at) = match sent.outcome {
                    Some(Outcome::Accepted { index, at, .. }) => (Some(index), at),
                    _ => (None, sent.envelope.sent),
                };
                let (found, envelope) = (Found::Sent(entry), sent.envelope);
                catalogue.entries.push(Entry { found, envelope, manifest, at, index, superseded_by: None });
            }
        }
        catalogue.arrange();
        Ok(catalogue)
    }

    fn looked_at<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ StoreError::Damaged { .. }) => {
                self.damaged.push(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn arrange(&mut self) {
        self.entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.envelope.message_id)));
        // An office that is among its own recipients has a packet twice: as it came and as it went.
        let mut seen = std::collections::HashSet::new();
        self.entries.retain(|entry| seen.insert(entry.key()));
        let mut newer = HashMap::new();
        for entry in &self.entries {
            if let Some(older) = entry.supersedes() {
                let key = (entry.envelope.sender.office.clone(), older);
                newer.entry(key).or_insert(entry.envelope.message_id);
            }
        }
        for entry in &mut self.entries {
            entry.superseded_by = newer.get(&entry.key()).copied();
        }
    }

    /// The versions of the packet that this one is a version of, newest first.
    pub fn history(&self, of: &Entry) -> Vec<&Entry> {
        let office = &of.envelope.sender.office;
        let find = |id: MessageId| {
            let is =
                |entry: &&Entry| entry.envelope.message_id == id && entry.envelope.sender.office == *office;
            self.entries.iter().find(is)
        };
        let mut newest = find(of.envelope.message_id);
        // A chain is no longer than the list, whatever somebody's manifests say.
        for _ in &self.entries {
            let Some(next) = newest.and_then(|entry| entry.superseded_by).and_then(find) else { break };
            newest = Some(next);
        }
        let mut versions = Vec::new();
        while let Some(entry) = newest
            && versions.len() < self.entries.len()
        {
            versions.push(entry);
            newest = entry.supersedes().and_then(find);
        }
        versions
    }
}
