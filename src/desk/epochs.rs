//! What a desk knows of the epochs of the hub's log, and what it does when the hub was restored from a backup.
//!
//! Owns the home's `epochs` file and the way back into the outbox of what the hub has lost. Whatever the hub had confirmed
//! and no longer has is pending again, the same bytes; the message id keeps it single. A person's receipt names its message
//! by index: it waits until the message stands where the hub says, and then names that, with the time of the act as it
//! was. What the desk states by itself needs nothing: the hub owes again what it no longer knows to be received.
//! At a crash: the epochs are written last, so all of it is done again, and twice done is done once.

use super::hand_in::HandInError;
use super::home::{Home, HomeLock};
use super::inbox::Inbox;
use super::outbox::{Outbox, Outcome, Stand, Statement, StatementEntry};
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use crate::model::epoch::{Begun, Epoch, EpochId, Epochs};
use crate::model::id::{Index, UnixMicros};
use crate::wire::signed::SignedReceipt;
use crate::wire::{convert, proto};

const FILE: &str = "epochs";

/// What a restore of the hub cost, and what is handed in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The newest epoch.
    pub begun: Begun,
    /// Messages of this desk that the hub no longer has.
    pub messages: usize,
    /// Persons' receipts that it no longer has.
    pub statements: usize,
    /// Orders to erase that it no longer has.
    pub orders: usize,
}

/// Reads the epochs as the hub last told them.
///
/// # Errors
/// [`StoreError::Disk`], [`StoreError::Damaged`].
pub fn known(home: &Home) -> Result<Epochs, StoreError> {
    match home.root()?.read::<EpochsBody>(FILE) {
        Err(error) if error.is_not_found() => Ok(Epochs::default()),
        body => Ok(body?.epochs.into_iter().map(EpochBody::into_begun).collect()),
    }
}

/// Reads the epochs that a subscription was told at its start.
pub fn told(started: &proto::Started) -> Epochs {
    started.epochs.iter().map(convert::begun).collect()
}

/// Takes in the epochs that the hub tells: what it has lost waits in the outbox again. `None`: nothing is new.
///
/// # Errors
/// [`StoreError::Disk`]; [`HandInError::Home`] where another process does not let go of the home.
pub async fn adopt(home: &Home, outbox: &Outbox, epochs: &Epochs) -> Result<Option<Restored>, HandInError> {
    if known(home)? == *epochs {
        return Ok(None);
    }
    let held = home.lock().await?;
    // Another process of the home may have been first.
    if known(home)? == *epochs {
        return Ok(None);
    }
    let lost = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Accepted { index, epoch, .. }) if !epochs.hold(*index, *epoch));
    let (mut messages, mut statements, mut orders) = (0, 0, 0);
    for entry in outbox.messages()?.into_iter().filter(|entry| entry.stand == Stand::Accepted) {
        // One that is damaged cannot be handed in again by anybody.
        // Nor one that this office had erased.
        if whole(outbox.read_message(entry.message_id))?.is_some_and(|it| lost(&it.outcome) && !it.erased) {
            outbox.reopen_message(&held, entry.message_id)?;
            messages += 1;
        }
    }
    for entry in outbox.statements()?.into_iter().filter(|entry| entry.stand == Stand::Accepted) {
        if whole(outbox.read_statement(&entry))?.is_some_and(|it| lost(&it.outcome)) {
            outbox.reopen_statement(&held, &entry)?;
            statements += 1;
        }
    }
    for (id, stand) in outbox.orders()? {
        if stand == Stand::Accepted && whole(outbox.read_order(id))?.is_some_and(|it| lost(&it.outcome)) {
            outbox.reopen_order(&held, id)?;
            orders += 1;
        }
    }
    keep(home, &held, epochs)?;
    Ok(epochs.begun().last().map(|begun| Restored { begun: *begun, messages, statements, orders }))
}

fn whole<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged { .. }) => Ok(None),
        read => read.map(Some),
    }
}

fn keep(home: &Home, _held: &HomeLock, epochs: &Epochs) -> Result<(), StoreError> {
    let body = EpochsBody { epochs: epochs.begun().iter().map(EpochBody::of).collect() };
    home.root()?.keep(&[(FILE.to_owned(), encode(&body))])
}

/// Gives the bytes of a person's receipt, for handing in: they name the message where the hub has it. `None`: the hub has
/// lost the message, and it must come again first.
///
/// # Errors
/// [`HandInError::Store`], [`HandInError::Home`].
pub async fn ready(
    home: &Home,
    inbox: &Inbox,
    outbox: &Outbox,
    entry: &StatementEntry,
) -> Result<Option<proto::HandedReceipt>, HandInError> {
    let Statement { receipt_bytes: bytes, note, .. } = outbox.read_statement(entry)?;
    let found = inbox
        .entries()?
        .into_iter()
        .find(|it| it.message_id == entry.message_id && it.sender == entry.sender);
    // Without the message nothing is known of its place: the hub says what it thinks of it.
    let (Some(message), Ok(mut signed)) = (found, SignedReceipt::read(&bytes)) else {
        return Ok(Some(proto::HandedReceipt { receipt: bytes, note }));
    };
    if !known(home)?.hold(message.index, message.epoch) {
        return Ok(None);
    }
    match signed.receipt.messages.as_slice() {
        [named] if named.index != message.index => signed.move_to(message.index),
        _ => return Ok(Some(proto::HandedReceipt { receipt: bytes, note })),
    }
    let bytes = signed.to_bytes();
    outbox.restate(&home.lock().await?, entry, bytes.clone())?;
    Ok(Some(proto::HandedReceipt { receipt: bytes, note }))
}

#[derive(Clone, PartialEq, prost::Message)]
struct EpochsBody {
    #[prost(message, repeated, tag = "1")]
    epochs: Vec<EpochBody>,
}

impl Record for EpochsBody {
    const KIND: RecordKind = RecordKind::Epochs;
}

#[derive(Clone, PartialEq, prost::Message)]
struct EpochBody {
    #[prost(fixed64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    first_index: u64,
    #[prost(uint64, tag = "3")]
    number: u64,
    #[prost(uint64, tag = "4")]
    backup_unix_us: u64,
}

impl EpochBody {
    fn of(begun: &Begun) -> Self {
        let Begun { epoch: Epoch { id, number, backup }, first } = begun;
        Self { id: id.0, first_index: first.0, number: *number, backup_unix_us: backup.0 }
    }

    fn into_begun(self) -> Begun {
        let (id, backup) = (EpochId(self.id), UnixMicros(self.backup_unix_us));
        Begun { epoch: Epoch { id, number: self.number, backup }, first: Index(self.first_index) }
    }
}
