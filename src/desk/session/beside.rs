//! What goes on beside a connection's messages: the outbox handed in, the next certificate looked for.
//!
//! Owns the rhythm. Never hands in a packet: its files go first, on a connection of their own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tonic::transport::Channel;

use super::{Event, Observer, SessionError};
use crate::desk::erasure;
use crate::desk::hand_in::{self, HandInError};
use crate::desk::home::Home;
use crate::desk::outbox::Outbox;
use crate::desk::renew::{self, Renewed};
use crate::desk::store::StoreError;
use crate::host::clock::Clock;
use crate::wire::proto;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// Hands in messages that wait in the outbox, again and again; ends with a fault only.
pub(super) async fn courier(
    home: &Home,
    outbox: &Outbox,
    channel: Channel,
    observer: &dyn Observer,
    waiting: Arc<Notify>,
) -> SessionError {
    loop {
        if let Err(error) = carry(home, outbox, &channel, observer).await {
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

/// Asks once which erasures this home was not told of yet. Without an answer it is asked on the next connection.
pub(super) async fn missed_erasures(home: &Home, channel: Channel) -> Vec<proto::ErasureRow> {
    erasure::missed(home, channel).await.unwrap_or_default()
}

async fn carry(
    home: &Home,
    outbox: &Outbox,
    channel: &Channel,
    observer: &dyn Observer,
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
        if outbox.read_message(id).is_ok_and(|message| !message.envelope.files.is_empty()) {
            continue;
        }
        match hand_in::message(channel.clone(), home, outbox, id).await {
            Ok(outcome) => observer.tell(Event::MessageHandedIn { message_id: id, outcome: &outcome })?,
            // A damaged file keeps none of the others waiting.
            Err(error @ HandInError::Store(_)) => tell_pending(observer, error)?,
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
