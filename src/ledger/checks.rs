//! What is checked before something is put in order, and again when it is decided.
//!
//! Owns the questions. Where the answers come from, memory or the store, is the asker's.

use std::collections::BTreeSet;

use super::rows::MessageRow;
use super::span::{Places, Span};
use crate::model::envelope::{CapMsgType, Envelope, MessageClass, MessageId};
use crate::model::id::Index;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::{Covered, Receipt};
use crate::model::refusal::{Reason, Refusal};

/// The messages that only their sender may name: an Update or Cancel counts from nobody else.
pub(super) fn own_only(envelope: &Envelope) -> &[MessageId] {
    match envelope.msg_type {
        CapMsgType::Update | CapMsgType::Cancel => &envelope.references,
        CapMsgType::Alert | CapMsgType::Ack | CapMsgType::Error => &[],
    }
}

/// Checks that an Update or Cancel names no message that others sent, by the offices that used each id.
///
/// # Errors
/// [`Reason::ReferenceForeign`].
pub(super) fn own_references(
    envelope: &Envelope,
    sender: OfficeNumber,
    users_of: impl Fn(MessageId) -> BTreeSet<OfficeNumber>,
) -> Result<(), Refusal> {
    let foreign = own_only(envelope).iter().find(|id| {
        let users = users_of(**id);
        !users.is_empty() && !users.contains(&sender)
    });
    let Some(foreign) = foreign else { return Ok(()) };
    let message = format!(
        "{} names message {foreign}, which another office sent: only its sender may update or cancel it",
        envelope.msg_type
    );
    Err(Refusal::new(Reason::ReferenceForeign, message).of_field("references"))
}

/// Checks that a resealing goes between the office that sent the message which it is about and one that this was for, and that
/// there is something to open. Which way it goes its form says.
///
/// # Errors
/// [`Reason::ResealNotAllowed`].
pub(super) fn between_its_offices(
    envelope: &Envelope,
    (sender, recipients): (OfficeNumber, &[OfficeNumber]),
    about: Option<(&MessageRow, bool)>,
) -> Result<(), Refusal> {
    let Some(named) = &envelope.about else { return Ok(()) };
    let refused = |words: &str| {
        let message = format!("message {} of {}: {words}", named.message_id, named.office);
        Err(Refusal::new(Reason::ResealNotAllowed, message).of_field("about"))
    };
    let Some((message, erased)) = about.filter(|(message, _)| {
        let other = if sender == message.sender_office { recipients } else { &[sender] };
        message.digest == named.digest && other.iter().all(|office| message.recipients.contains(office))
    }) else {
        return refused(
            "there is none that both offices have, its sender and one that it was for: only they speak of it",
        );
    };
    if message.class == MessageClass::Reseal {
        return refused("it is a resealing itself: speak of the message that it is about");
    }
    if erased {
        return refused(
            "it is erased, or was kept as long as policy asks: there is nothing to open any more",
        );
    }
    if (&message.stream, message.priority, message.status)
        != (&envelope.stream, envelope.priority, envelope.status)
    {
        return refused("what is said of it has its stream, its priority and its status");
    }
    Ok(())
}

/// Checks that all that a receipt names was owed, by the spans of the office that states it.
///
/// # Errors
/// [`Reason::NotOwed`].
pub(super) fn all_owed<'a>(
    receipt: &Receipt,
    span_of: impl Fn(Index) -> Option<&'a Span>,
) -> Result<(), Refusal> {
    let owed = |index, places: fn(&Span) -> Places| {
        span_of(index).is_some_and(|span| places(span).contains(Places::of(index).1))
    };
    if let Some(named) = receipt.messages.iter().find(|named| !owed(named.index, |span| span.owed)) {
        return Err(not_owed(named));
    }
    match receipt.notices.iter().find(|notice| !owed(**notice, |span| span.notices)) {
        None => Ok(()),
        Some(notice) => {
            let message = format!("the office was never owed a notice {notice}");
            Err(Refusal::new(Reason::NotOwed, message).of_field("notices"))
        }
    }
}

/// Checks that a message is the one that is named: an index alone may be a guess, or of another journal.
///
/// # Errors
/// [`Reason::NotOwed`].
pub(super) fn same_message(named: &Covered, message: &MessageRow) -> Result<(), Refusal> {
    if named.message_id != message.message_id {
        return Err(not_owed(named));
    }
    if named.digest == message.digest {
        return Ok(());
    }
    let id = named.message_id;
    let message =
        format!("the receipt covers another envelope of message {id} than the one that was accepted");
    Err(Refusal::new(Reason::NotOwed, message).of_field("messages"))
}

fn not_owed(named: &Covered) -> Refusal {
    let (id, index) = (named.message_id, named.index);
    let message = format!("the office was never owed message {id} at index {index}");
    Refusal::new(Reason::NotOwed, message).of_field("messages")
}
