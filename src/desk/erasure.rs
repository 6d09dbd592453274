//! Erasing what this desk has of a message: on the order of the office that sent it, or of its own.
//!
//! Owns what is erased at a desk and in which order, and how far the home was told. Bytes are written over as far as the
//! disk allows. Never erases without an order that the hub has recorded; envelopes, receipts and ids stay, for the log.
//! At a crash: what says that a message is erased is written before its bytes go, and they go again at the next start.
//! The place up to which the home was told is written last.

use tonic::transport::Channel;

use super::epochs;
use super::hand_in::HandInError;
use super::home::Home;
use super::inbox::{ErasedHere, Inbox, InboxWriter};
use super::outbox::Outbox;
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use crate::files::DiskError;
use crate::model::envelope::{FileRef, MessageId};
use crate::model::epoch::{EpochId, Epochs};
use crate::model::id::Index;
use crate::model::identity::Name;
use crate::wire::proto;
use crate::wire::proto::audit_service_client::AuditServiceClient;
use crate::wire::status::CallError;

const FILE: &str = "erasures";

/// Why something could not be erased; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The inbox or outbox.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Packets' files.
    #[error(transparent)]
    Files(#[from] DiskError),
}

/// Erases a message that came, if it is here.
///
/// # Errors
/// [`EraseError`], each.
pub fn received(
    home: &Home,
    writer: &mut InboxWriter,
    (sender, id): (&Name, MessageId),
    why: &str,
) -> Result<Option<ErasedHere>, EraseError> {
    let erased = writer.erase(sender, id, why)?;
    let files = erased.iter().flat_map(|erased| &erased.files).copied().collect::<Vec<_>>();
    forget_files(home, writer.inbox(), &files)?;
    Ok(erased)
}

/// Erases a message that this home sent, if it did; `true`: its payload was here until now.
///
/// # Errors
/// [`HandInError::Store`], [`HandInError::Home`].
pub async fn sent(home: &Home, outbox: &Outbox, id: MessageId) -> Result<bool, HandInError> {
    let held = home.lock().await?;
    let files = match outbox.read_message(id) {
        Err(error) if error.is_not_found() => return Ok(false),
        read => read?.envelope.files,
    };
    let erased = outbox.erase_message(&held, id)?;
    let forgotten = forget_files(home, &Inbox::open(home)?, &files);
    forgotten.map_err(|error| match error {
        EraseError::Store(error) => error,
        EraseError::Files(DiskError { path, source }) => StoreError::Disk { path, source },
    })?;
    Ok(erased)
}

/// Removes files that no message needs which is kept here.
fn forget_files(home: &Home, inbox: &Inbox, files: &[FileRef]) -> Result<(), EraseError> {
    if files.is_empty() {
        return Ok(());
    }
    let mut needed = Vec::new();
    for entry in inbox.entries()? {
        // One that is damaged is mended by the hub, with its files.
        if let Ok(kept) = inbox.read(&entry)
            && kept.erased.is_none()
        {
            needed.extend(kept.envelope.files);
        }
    }
    let shelf = home.shelf();
    for file in files.iter().filter(|file| !needed.contains(file)) {
        shelf.forget(file)?;
    }
    Ok(())
}

/// Asks the hub which erasures this home was not told of yet: another desk of its office may have been.
///
/// # Errors
/// [`CallError`]
pub(super) async fn missed(home: &Home, channel: Channel) -> Result<Vec<proto::ErasureRow>, CallError> {
    listed(channel, told_until(home)).await
}

/// Asks the hub which erasures it has recorded, from an index on.
///
/// # Errors
/// [`CallError`]
pub(super) async fn listed(channel: Channel, from: Index) -> Result<Vec<proto::ErasureRow>, CallError> {
    let from_index = from.0;
    let selection = Some(proto::Selection { from_index, ..proto::Selection::default() });
    let request = proto::ListErasuresRequest { selection };
    let mut frames = AuditServiceClient::new(channel).list_erasures(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(frame) = frames.message().await? {
        rows.extend(frame.erasures);
    }
    Ok(rows)
}

/// The index from which on this home may not have been told; the beginning, if the hub means something else by it now.
fn told_until(home: &Home) -> Index {
    let read = home.root().and_then(|root| root.read::<ToldBody>(FILE));
    let (Ok(body), Ok(known)) = (read, epochs::known(home)) else { return Index(0) };
    let last = Index(body.next_index.saturating_sub(1));
    if known.hold(last, EpochId(body.epoch)) { Index(body.next_index) } else { Index(0) }
}

/// Notes for good that this home was told of every erasure up to an index.
///
/// # Errors
/// [`StoreError::Disk`].
pub(super) fn told(home: &Home, epochs: &Epochs, last: Index) -> Result<(), StoreError> {
    let body = ToldBody { next_index: last.next().0, epoch: epochs.of(last).0 };
    home.root()?.keep(&[(FILE.to_owned(), encode(&body))])
}

#[derive(Clone, PartialEq, prost::Message)]
struct ToldBody {
    #[prost(uint64, tag = "1")]
    next_index: u64,
    /// Of the index before it.
    #[prost(fixed64, tag = "2")]
    epoch: u64,
}

impl Record for ToldBody {
    const KIND: RecordKind = RecordKind::Erasures;
}
