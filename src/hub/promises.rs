//! The hub's signed word for what it has taken.
//!
//! Owns who gets it with an answer: who handed in a message, and who hands in once more what was taken before. A hub without a key
//! answers without; `logs` tells that. Never signs what is not on the disk.

use std::sync::Arc;

use super::{Hub, stopping_status};
use crate::ledger::view::View;
use crate::model::entry::Entry;
use crate::model::id::Index;
use crate::seal::SigningKey;
use crate::wire::promise::Promised;
use crate::wire::proto::{Accepted, Promise};

use tonic::Status;

/// Signs what the hub has taken.
pub(super) struct Promiser {
    key: Arc<SigningKey>,
    view: View,
    founding: [u8; 32],
}

impl Promiser {
    /// Signs by a key for the hub whose ledger this is.
    pub(super) fn new(key: Arc<SigningKey>, view: View) -> Self {
        let founding = super::logs::founding(&view.policy());
        Self { key, view, founding }
    }

    /// Signs entries that stand behind each other and are on the disk.
    pub(super) fn sign(&self, entries: &[Entry]) -> Option<Promised> {
        let epoch = self.view.epochs().of(entries.first()?.index);
        Promised::sign(&self.key, &self.founding, epoch, entries)
    }
}

impl Hub {
    /// Signs again for messages that were taken before: they are read from the journal.
    ///
    /// # Errors
    /// The status of a hub that stops.
    pub(super) async fn promise_again<'a>(
        &self,
        known: impl IntoIterator<Item = &'a mut Accepted>,
    ) -> Result<(), Status> {
        let Some(promiser) = self.promiser.clone() else { return Ok(()) };
        let known: Vec<_> = known.into_iter().filter(|it| it.promise.is_none()).collect();
        if known.is_empty() {
            return Ok(());
        }
        let (journal, indexes) = (self.journal.clone(), known.iter().map(|it| Index(it.index)).collect());
        let read = move || -> Vec<Option<Promise>> {
            let promise = |index: Index| match journal.entry(index) {
                Ok(entry) => promiser.sign(&[entry?])?.of(index),
                Err(error) => {
                    tracing::error!(%index, %error, "a message that was taken cannot be read");
                    None
                }
            };
            let indexes: Vec<Index> = indexes;
            indexes.into_iter().map(promise).collect()
        };
        let given = self.reads.run(read).await.map_err(|_| stopping_status())?;
        for (accepted, promise) in known.into_iter().zip(given) {
            accepted.promise = promise;
        }
        Ok(())
    }
}
