//! What a desk signs its receipts with.
//!
//! Owns the key while a program runs. Never chooses what is stated; never shows the key.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::live::Live;
use crate::host::random::Random;
use crate::model::identity::Desk;
use crate::model::receipt::{Receipt, SEED_BYTES, SeenLog};
use crate::seal::SigningKey;
use crate::wire::signed::SignedReceipt;

/// A desk's key for receipts: the unattended one for what a machine states, the attended one for a person's stage.
#[derive(Clone)]
pub struct Signer {
    desk: Desk,
    key: Live<SigningKey>,
    random: Arc<dyn Random>,
    /// What the desk has seen of the hub's journal, for all that hold this.
    seen: Arc<Mutex<Option<SeenLog>>>,
}

impl Signer {
    /// Signs for a desk.
    pub fn new(desk: Desk, key: SigningKey, random: Arc<dyn Random>) -> Self {
        Self::of(desk, Live::new(key), random)
    }

    pub(super) fn of(desk: Desk, key: Live<SigningKey>, random: Arc<dyn Random>) -> Self {
        Self { desk, key, random, seen: Arc::default() }
    }

    /// Names from now on what the desk has seen of the hub's journal.
    pub fn saw(&self, seen: Option<SeenLog>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// What the desk has seen of the hub's journal.
    pub fn seen(&self) -> Option<SeenLog> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs with the key of another from now on, wherever this one is held.
    pub(super) fn follow(&self, other: &Self) {
        self.key.follow(&other.key);
    }

    /// The desk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Signs a receipt: the exact bytes that are handed up.
    pub fn sign(&self, receipt: Receipt) -> Bytes {
        let mut seed = [0; SEED_BYTES];
        self.random.fill(&mut seed);
        SignedReceipt::by(&self.key.get(), receipt, seed).to_bytes()
    }
}
