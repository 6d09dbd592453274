//! Facts of the directory: what entries say of who is who, who may do what, and what is asked.
//!
//! Owns their shape. Never says what follows from one: policy does.

use std::collections::BTreeSet;

use super::deadline::Deadlines;
use super::envelope::{MessageClass, Priority};
use super::epoch::EpochId;
use super::identity::{Desk, Name};
use super::obligation::Obligation;
use crate::seal::{Recipient, VerifyingKey};

/// Witnesses that may be asked for at most.
pub const QUORUM_MAX: u32 = 64;

/// The keys of a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskKeys {
    /// Signs while a person is there: envelopes, what persons state, new keys.
    pub attended: VerifyingKey,
    /// Signs what a machine does by itself, and nothing else: `received`, what cannot be read from outside, erasures.
    pub unattended: VerifyingKey,
    /// What other desks of the office seal to it: the office's keys. It changes with each use.
    pub transfer: Recipient,
}

/// A fact of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An institution.
    Institution(Name),
    /// An office of an institution.
    Office {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
    },
    /// An auditor of an institution.
    Auditor {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
    },
    /// A stream and who may use it.
    Stream {
        /// Its name.
        name: Name,
        /// Offices that may publish to it.
        publishers: BTreeSet<Name>,
        /// Offices that receive it.
        subscribers: BTreeSet<Name>,
    },
    /// The office that is headquarters.
    Headquarters(Name),
    /// An operator of an institution.
    Operator {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
    },
    /// A registrar of an institution; it replaces the key of one of that name.
    Registrar {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
        /// Its key.
        key: VerifyingKey,
    },
    /// A desk of an office; it replaces the keys of one of that name.
    Desk {
        /// The desk.
        desk: Desk,
        /// Its keys.
        keys: Box<DeskKeys>,
    },
    /// What messages for an office are sealed to from now on.
    OfficeKey {
        /// The office.
        office: Name,
        /// The public half of its key.
        recipient: Recipient,
    },
    /// What the office's keys are sealed to for one of its desks from now on.
    TransferKey {
        /// The desk.
        desk: Desk,
        /// The public half of its key.
        recipient: Recipient,
    },
    /// The key by which the hub signs what its logs come to; it replaces the one before.
    HubKey {
        /// The key.
        key: VerifyingKey,
    },
    /// The hub was restored from a backup: its journal goes on after the entries that were kept, and what it had signed beyond
    /// them does not stand any more.
    Restored {
        /// The epoch that began with it.
        id: EpochId,
        /// How many entries of the journal were kept.
        kept: u64,
        /// The root of the journal's tree over those.
        root: [u8; 32],
    },
    /// A witness of an institution, who signs what the hub's journal comes to; it replaces the key of one of that name.
    Witness {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
        /// Its key.
        key: VerifyingKey,
    },
    /// How many witnesses must have signed, of both institutions in any case.
    Quorum {
        /// How many: 2 to [`QUORUM_MAX`].
        witnesses: u32,
    },
    /// An office is no longer a member: its name and its history stay.
    OfficeRemoved {
        /// The office.
        name: Name,
        /// Why.
        reason: String,
    },
    /// A desk no longer counts, whatever certificate it has. Its name is never used again.
    DeskRevoked {
        /// The desk.
        desk: Desk,
        /// Why.
        reason: String,
    },
    /// The deadlines of messages that name none; it replaces what was said of the class and priority before.
    Deadlines {
        /// The class.
        class: MessageClass,
        /// The priority.
        priority: Priority,
        /// By when; none: nothing is asked any more.
        deadlines: Deadlines,
    },
    /// An obligation; it replaces what was said under its name before.
    Obligation(Obligation),
    /// The end of an obligation.
    ObligationEnded(Name),
    /// Days that payloads are kept, from the hub's acceptance on.
    Retention {
        /// How many: 1 to [`RETENTION_DAYS_MAX`](super::erasure::RETENTION_DAYS_MAX).
        days: u32,
    },
}
