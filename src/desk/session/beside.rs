//! What goes on beside a connection's messages: the outbox handed in, the next certificate looked for.
//!
//! Owns the rhythm. Never hands in a packet: its files go first, on a connection of their own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tonic::transport::Channel;

use super::{Event, Observer, SessionError};
use crate::desk::erasure;
use crate::desk::hand_in::{self, HandInError, Sealing};
use crate::desk::heard;
use crate::desk::home::Home;
use crate::desk::included;
use crate::desk::members::Members;
use crate::desk::outbox::Outbox;
use crate::desk::renew::{self, Renewed};
use crate::desk::sealer::SealerError;
use crate::desk::signer::Signer;
use crate::desk::store::StoreError;
use crate::desk::witness;
use crate::host::clock::Clock;
use crate::model::envelope::{MessageClass, MessageId};
use crate::wire::proto;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);
/// How often the hub is asked whether there is a checkpoint to cosign: mostly there is none, which is said in some bytes. A day of it
/// and of two hundred urgent alerts among others takes less than 1.5 MB each way.
pub const WITNESS_EVERY: Duration = Duration::from_mins(3);
/// By when the hub has signed a checkpoint over an urgent message, and a round of witnesses has begun.
pub const URGENT_SIGNED_IN: Duration = Duration::from_secs(7);

/// Hands in messages that wait in the outbox, again and again; ends with a fault only.
pub(super) async fn courier(
    home: &Home,
    outbox: &Outbox,
    channel: Channel,
    observer: &dyn Observer,
    (waiting, sealing): (Arc<Notify>, Sealing),
) -> SessionError {
    let mut locked = HashSet::new();
    loop {
        if let Err(error) = carry(home, outbox, &channel, observer, (&sealing, &mut locked)).await {
            return error;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = waiting.notified() => {}
        }
    }
}

/// Sees to the desk's next certificate, again and again; ends when there is one, for another connection.
pub(super) async fn renewing(
    home: &Home,
    channel: Channel,
    clock: &dyn Clock,
    observer: &dyn Observer,
) -> Result<(), SessionError> {
    // The same is not told twice.
    let (mut waits, mut failed) = (false, String::new());
    loop {
        match renew::look(home, channel.clone(), clock).await {
            Ok(renewed) => {
                failed.clear();
                let again = renewed == Renewed::NotDue || (renewed == Renewed::Waits && waits);
                waits = renewed == Renewed::Waits;
                if !again {
                    observer.tell(Event::Renewal(&renewed))?;
                }
                if let Renewed::Installed { .. } = renewed {
                    return Ok(());
                }
            }
            Err(error) if error.to_string() != failed => {
                failed = error.to_string();
                observer.tell(Event::RenewalFailed(&error))?;
            }
            Err(_) => {}
        }
        sleep(LOOK).await;
    }
}

/// Bears witness to the hub's logs, again and again, and soon after an urgent message; ends with a fault only.
pub(super) async fn witnessing(
    home: &Home,
    channel: Channel,
    clock: &dyn Clock,
    (observer, urgent, signer): (&dyn Observer, &Notify, &Signer),
) -> SessionError {
    // The same is not told twice.
    let (mut failed, mut disputed) = (String::new(), BTreeSet::new());
    signer.saw(witness::seen(home));
    loop {
        // Without a directory there is nobody whose word could be checked.
        if let Ok(Some(members)) = Members::copied(home) {
            let policy = members.policy();
            let looked = match witness::look(home, channel.clone(), policy, clock.now()).await {
                Ok(seen) => {
                    included::look(home, channel.clone(), policy).await.map(|included| (seen, included))
                }
                Err(error) => Err(error),
            };
            let told = match looked {
                Ok((seen, included)) => {
                    failed.clear();
                    let seen = seen.iter().filter(|seen| seen.cosigned);
                    let mut told = seen.map(Event::Witnessed).chain(included.as_ref().map(Event::Included));
                    told.try_for_each(|event| observer.tell(event))
                }
                Err(error) if error.to_string() != failed => {
                    failed = error.to_string();
                    observer.tell(Event::NotWitnessed(&error))
                }
                Err(_) => Ok(()),
            };
            signer.saw(witness::seen(home));
            let by = heard::disputed_by(home).unwrap_or_default();
            let news = by.difference(&disputed).try_for_each(|desk| observer.tell(Event::Disputed(desk)));
            if let Err(error) = told.and(news) {
                return error.into();
            }
            disputed = by;
        }
        tokio::select! {
            () = sleep(WITNESS_EVERY) => {}
            () = urgent.notified() => sleep(URGENT_SIGNED_IN).await,
        }
    }
}

/// Asks once which erasures this home was not told of yet. Without an answer it is asked on the next connection.
pub(super) async fn missed_erasures(home: &Home, channel: Channel) -> Vec<proto::ErasureRow> {
    erasure::missed(home, channel).await.unwrap_or_default()
}

async fn carry(
    home: &Home,
    outbox: &Outbox,
    channel: &Channel,
    observer: &dyn Observer,
    (sealing, locked): (&Sealing, &mut HashSet<MessageId>),
) -> Result<(), SessionError> {
    for id in outbox.pending_orders()? {
        match hand_in::order(channel.clone(), home, outbox, id).await {
            Ok(outcome) => observer.tell(Event::OrderHandedIn { message_id: id, outcome: &outcome })?,
            Err(error @ HandInError::Store(_)) => tell_pending(observer, error)?,
            Err(error) => return tell_pending(observer, error),
        }
    }
    for id in outbox.pending()?.0 {
        // Packets go on a line of their own.
        if outbox.read_message(id).is_ok_and(|message| message.envelope.class == MessageClass::Packet) {
            continue;
        }
        match hand_in::message(channel.clone(), home, outbox, id, sealing).await {
            // It is told once, and keeps none of the others waiting.
            Err(HandInError::Sealer(SealerError::Locked)) if !locked.insert(id) => {}
            Ok(outcome) => observer.tell(Event::MessageHandedIn { message_id: id, outcome: &outcome })?,
            // A damaged file keeps none of the others waiting.
            Err(error @ (HandInError::Store(_) | HandInError::Sealer(_))) => tell_pending(observer, error)?,
            Err(error) => return tell_pending(observer, error),
        }
    }
    Ok(())
}

/// Tells what still waits; a disk that does not do what is asked ends the subscription.
pub(super) fn tell_pending(observer: &dyn Observer, error: HandInError) -> Result<(), SessionError> {
    match error {
        HandInError::Store(error @ StoreError::Disk { .. }) if !error.is_not_found() => Err(error.into()),
        error => Ok(observer.tell(Event::StillPending(&error))?),
    }
}
