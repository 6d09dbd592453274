//! What one entry says, held to the keys of who states it.
//!
//! Owns what makes an entry of each kind count by itself: the signature, who answers for it, and what the directory lets them do. What
//! only other entries show, whether it was said before or of what message, is for the tally. The journal has entries that do not
//! count, for they were handed in a moment too late: such a one is told, and is no reason to refuse the file.

use std::sync::Arc;

use super::file::{Opened, Shown};
use super::walk::Walk;
use crate::model::deadline::Deadlines;
use crate::model::entry::EntryKind;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::erasure::{Erasure, OrderedBy};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::overdue::Overdue;
use crate::model::policy::{Stated, When};
use crate::model::receipt::Stage;
use crate::model::refusal::{Reason, Refusal};
use crate::seal::Kind;
use crate::wire::signed::{OpenedReceipt, SignedEnvelope};
use crate::wire::{amendment, convert, erasure};

/// What an entry says that counts by itself.
pub(super) enum Said {
    /// A message.
    Message {
        /// Its envelope.
        envelope: Box<Envelope>,
        /// SHA-256 of that.
        digest: [u8; 32],
        /// By when it was to be received, read and acted on.
        deadlines: Deadlines,
    },
    /// A stage.
    Stated {
        /// The office.
        office: Name,
        /// Which stage.
        stage: Stage,
        /// Of which messages: id, and SHA-256 of the envelope.
        messages: Vec<(MessageId, [u8; 32])>,
        /// How many more, which are not shown.
        hidden: u64,
    },
    /// That something was missed, by the hub's word.
    Missed(Overdue),
    /// That a message is to be erased.
    Erased {
        /// The message's index.
        index: Index,
        /// Its id.
        message_id: MessageId,
        /// The office that sent it.
        sender: Name,
    },
    /// An entry of the directory that counts, and is not among those of the directory.
    LeftOut,
    /// Something else.
    Other,
}

/// What is wrong with an entry.
pub(super) enum Wrong {
    /// It does not count, and is in the journal as it is.
    Entry(Refusal),
    /// Who wrote the file opened its covers wrongly: these are not in the journal.
    Covers(Refusal),
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Entry(refusal)
    }
}

/// Reads an entry at an index.
///
/// # Errors
/// [`Wrong`]
pub(super) fn said(walk: &mut Walk<'_>, index: Index, entry: &Shown) -> Result<Said, Wrong> {
    let place = (index, entry.time);
    if entry.kind != EntryKind::Receipt && !entry.covers.is_empty() {
        let refusal = Refusal::field("covers", "a receipt has covers, and nothing else has");
        return Err(Wrong::Covers(refusal));
    }
    if entry.kind == EntryKind::Receipt {
        return stated(walk, place, entry);
    }
    Ok(of_kind(walk, place, entry)?)
}

fn of_kind(walk: &mut Walk<'_>, place: (Index, UnixMicros), entry: &Shown) -> Result<Said, Refusal> {
    match entry.kind {
        EntryKind::Publish => message(walk, place, entry),
        EntryKind::Overdue => {
            by_hub(entry)?;
            let missed = convert::overdue(&entry.statement)?;
            if walk.at(place).is_member(&missed.office) {
                return Ok(Said::Missed(missed));
            }
            let message = format!("{} is no office of the directory, and is late for nothing", missed.office);
            Err(Refusal::new(Reason::OfficeUnknown, message))
        }
        EntryKind::Erasure => erased(walk, place, entry),
        EntryKind::Directory => directory_entry(walk, place, entry),
        EntryKind::Receipt
        | EntryKind::Refusal
        | EntryKind::Summary
        | EntryKind::Renewal
        | EntryKind::Epoch
        | EntryKind::Clock => Ok(Said::Other),
    }
}

fn message(walk: &mut Walk<'_>, place: (Index, UnixMicros), entry: &Shown) -> Result<Said, Refusal> {
    let read = SignedEnvelope::read(&entry.statement)?;
    let digest = read.digest();
    let SignedEnvelope { envelope, signed } = read;
    walk.check(place, |policy| {
        let (desk, kind) = (&envelope.sender, Kind::Envelope);
        let stated = Stated { desk, kind, statement: &signed.statement, signatures: &signed.signatures };
        policy.check_envelope(stated, When::Now)
    })?;
    let caller = answers_for(entry, &envelope.sender)?;
    let policy = walk.at(place);
    if envelope.directory_version > policy.version() {
        let message = format!(
            "it was written by version {} of the directory, and {} of its entries stand before it",
            envelope.directory_version,
            policy.version()
        );
        return Err(Refusal::new(Reason::DirectoryStale, message).of_field("directory_version"));
    }
    policy.permit_publish(&caller, &envelope)?;
    let deadlines = policy.deadlines_of(&envelope);
    Ok(Said::Message { envelope: Box::new(envelope), digest, deadlines })
}

fn stated(walk: &mut Walk<'_>, place: (Index, UnixMicros), entry: &Shown) -> Result<Said, Wrong> {
    let opened: Vec<_> = entry.covers.iter().map(Opened::covered).collect();
    let read = OpenedReceipt::read_covers(&entry.statement, &opened);
    let OpenedReceipt { receipt, signed, covers } = read.map_err(|refusal| {
        // One of which nothing is opened is about no message, as it stands here.
        let of_covers = !opened.is_empty() || matches!(refusal.field, "covers" | "messages");
        if of_covers { Wrong::Covers(refusal) } else { Wrong::Entry(refusal) }
    })?;
    walk.check(place, |policy| {
        let (desk, kind) = (&receipt.desk, Kind::Receipt);
        let stated = Stated { desk, kind, statement: &signed.statement, signatures: &signed.signatures };
        policy.check_receipt(stated, &receipt, When::Now)
    })?;
    let caller = answers_for(entry, &receipt.desk)?;
    walk.at(place).permit_receipt(&caller, &receipt.desk)?;
    let hidden = covers.saturating_sub(opened.len()) as u64;
    let messages = receipt.messages.iter().map(|it| (it.message_id, it.digest)).collect();
    Ok(Said::Stated { office: receipt.desk.office, stage: receipt.stage, messages, hidden })
}

fn erased(walk: &mut Walk<'_>, place: (Index, UnixMicros), entry: &Shown) -> Result<Said, Refusal> {
    match erasure::read(&entry.statement)? {
        Erasure::Retention { .. } => by_hub(entry).map(|()| Said::Other),
        Erasure::Order { order, message } => {
            let exact = erasure::order_of(&entry.statement)?.unwrap_or_default();
            let signed = erasure::SignedOrder::read(&exact)?.signed;
            let parts = (&signed.statement[..], signed.signatures.as_slice());
            walk.check(place, |policy| policy.check_erasure_order(&order, parts, When::Now))?;
            if let OrderedBy::Desk(desk) = &order.by {
                answers_for(entry, desk)?;
            }
            let (message_id, sender) = (order.message_id, order.sender().clone());
            Ok(Said::Erased { index: message, message_id, sender })
        }
    }
}

/// One that is not among the directory's entries does not follow from those before it; else it was left out of them.
fn directory_entry(walk: &mut Walk<'_>, place: (Index, UnixMicros), entry: &Shown) -> Result<Said, Refusal> {
    let signed = amendment::read(&entry.statement)?;
    let policy = walk.at(place);
    let caller: Identity = entry.identity.parse().map_err(|_| stranger(entry))?;
    policy.permit_amend(&caller)?;
    policy.clone().amend(&Arc::new(signed))?;
    Ok(Said::LeftOut)
}

fn answers_for(entry: &Shown, desk: &Desk) -> Result<Identity, Refusal> {
    if entry.identity == desk.to_string() {
        return Ok(Identity::Desk(desk.clone()));
    }
    let message = format!("it is in the name of {desk}, and {} answers for it", entry.identity);
    Err(Refusal::new(Reason::SenderForeign, message))
}

fn stranger(entry: &Shown) -> Refusal {
    let message = format!("{} is no identity of the form urn:resguardo:<role>:<name>", entry.identity);
    Refusal::new(Reason::IdentityMalformed, message)
}

fn by_hub(entry: &Shown) -> Result<(), Refusal> {
    if matches!(entry.identity.parse(), Ok(Identity::Hub(_))) {
        return Ok(());
    }
    let message = format!("the hub alone says such a thing, and {} answers for it", entry.identity);
    Err(Refusal::new(Reason::RoleNotAllowed, message))
}
