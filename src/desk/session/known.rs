//! What a subscription knows of others: the directory by which what comes is held to its sender, and which numbers of a sender
//! have not come; and of its own keys, that they were replaced.
//!
//! Owns when it is asked and told. Never believes the hub: what it tells is held to what the home trusts.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::Channel;

use super::{Event, SessionError, Subscription};
use crate::desk::erasure;
use crate::desk::home::{HomeError, TrustFileError};
use crate::desk::inbox::hold;
use crate::desk::members::{Members, MembersError};
use crate::desk::sealer::Unlocked;
use crate::desk::signer::Signer;
use crate::model::id::UnixMicros;
use crate::model::obligation::Month;
use crate::seal::KeyId;
use crate::wire::proto;
use crate::wire::status::CallError;

/// How long a message is waited for after a later one of the same desk: what is not urgent comes after what is.
pub const MISSING_PATIENCE_US: u64 = 5 * 60 * 1_000_000;

/// How long an answer is waited for, where what comes is said to be erased: as long as a dead line takes to be found.
const ORDERS_PATIENCE: Duration = Duration::from_secs(28);

/// Connections on which messages wait at most for a directory that the hub does not tell. Then they are judged by what is known.
const UNTOLD_MAX: u32 = 3;

/// What became of asking for the directory.
pub(super) enum Asked {
    /// It was told, and is followed.
    Followed,
    /// What was told does not count.
    Refuted,
    /// It was not told.
    Untold(CallError),
}

/// How keys are read again.
pub type Again<'a> = Pin<Box<dyn Future<Output = Option<(Signer, Option<Unlocked>)>> + 'a>>;

/// Reads the keys of a home again, for a subscription that runs: after they were replaced, and in a new month.
pub trait Rekey {
    /// Gives what a machine's receipts are signed with, and what a person has unlocked; `None`: they cannot be had, which was
    /// told.
    fn again(&self, channel: Channel) -> Again<'_>;
}

/// What the directory and the calendar say of the keys that a home should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Season {
    attended: Option<KeyId>,
    office: Option<[u8; 32]>,
    month: Month,
}

impl<'a> Subscription<'a> {
    /// Has the home's keys read again when others are to be used than at the beginning.
    #[must_use]
    pub fn rekeying(self, rekey: &'a dyn Rekey) -> Self {
        Self { rekey: Some(rekey), ..self }
    }
}

impl Subscription<'_> {
    /// Reads the keys again if others are to be used by now. `true`: they were read.
    pub(super) async fn keep_up(&mut self, channel: Channel) -> bool {
        let season = self.season();
        if self.season == Some(season) {
            return false;
        }
        // Once for each: what could not be read is not asked for in every round.
        let first = self.season.replace(season).is_none();
        let Some(rekey) = self.rekey.filter(|_| !first) else { return false };
        let Some((signer, unlocked)) = rekey.again(channel).await else { return false };
        self.host.signer.follow(&signer);
        if let (Some(mine), Some(now)) = (&self.host.unlocked, &unlocked) {
            mine.follow(now);
        }
        true
    }

    fn season(&self) -> Season {
        let (policy, own) = (self.writer.policy(), self.home.desk().ok());
        Season {
            attended: own.and_then(|own| policy.attended_id(own)),
            office: own.and_then(|own| policy.office_key_id(&own.office)),
            month: Month::of(self.host.clock.now()),
        }
    }

    /// Tells once of each message that has not come for long, though later ones have.
    pub(super) fn tell_missing(&mut self) -> Result<(), SessionError> {
        let Subscription { host, writer, missing_told, observer, .. } = self;
        let until = UnixMicros(host.clock.now().0.saturating_sub(MISSING_PATIENCE_US));
        for missing in writer.missing_since(until) {
            if missing_told.insert((missing.desk.to_string(), missing.number)) {
                observer.tell(Event::Missing(&missing))?;
            }
        }
        Ok(())
    }

    /// Asks for what a frame is held to before it is kept, and takes out of it what cannot be judged now: it is not acknowledged,
    /// and comes again. Gives why the directory was not told, where messages wait for it: on the next connection, which they
    /// come again on.
    pub(super) async fn look_up(
        &mut self,
        channel: Channel,
        frame: &mut Vec<proto::Delivery>,
    ) -> Result<Option<CallError>, SessionError> {
        let mut waits = None;
        if hold::is_behind(self.writer.policy(), frame) {
            let asked = self.look_at_directory(channel.clone()).await?;
            let (count, writer) = (frame.len(), &self.writer);
            match asked {
                Asked::Followed => self.untold = 0,
                // An alert must not pass for one that nobody can read because a line broke at that moment.
                // A refusal that stays is none of those: the line would end for good, and alerts with it.
                Asked::Untold(error)
                    if self.untold < UNTOLD_MAX && self.worth_another_try(&error).is_ok() =>
                {
                    frame.retain(|it| !hold::is_of_unknown_key(writer.policy(), it));
                    if frame.len() < count {
                        self.untold += 1;
                        waits = Some(error);
                    }
                }
                asked => {
                    frame.retain(|it| is_message(it) || !hold::is_of_unknown_key(writer.policy(), it));
                    if let Asked::Untold(error) = asked {
                        self.observer.tell(Event::Directory(&error.into()))?;
                    }
                }
            }
            self.keep_up(channel.clone()).await;
        }
        // What nobody asked to have again is owed, whatever the hub says.
        if self.plan.replay_from.is_none() {
            for delivery in frame.iter_mut() {
                if let Some(proto::delivery::Content::Message(message)) = &mut delivery.content {
                    message.replayed = false;
                }
            }
        }
        self.look_for_orders(channel, frame).await?;
        Ok(waits)
    }

    /// Looks for orders to erase what the hub says in a frame to be erased: without one it is not believed.
    async fn look_for_orders(
        &mut self,
        channel: Channel,
        frame: &[proto::Delivery],
    ) -> Result<(), SessionError> {
        let Some((first, sent)) = self.writer.unordered(frame, self.host.clock.now()) else { return Ok(()) };
        // Without an answer none is known, and it is asked again when they come again.
        let listed = timeout(ORDERS_PATIENCE, erasure::listed(channel, first)).await;
        let Ok(Ok(rows)) = listed else { return Ok(()) };
        for row in rows.iter().filter(|row| !row.order.is_empty()) {
            let Ok(order) = hold::order(self.writer.policy(), &row.order) else { continue };
            let message = (order.sender().clone(), order.message_id);
            if sent.contains(&message) {
                self.erase((&message.0, message.1), &order.reason).await?;
            }
        }
        Ok(())
    }

    /// Takes in the directory as the hub tells it now, by which what came is held to its sender.
    pub(super) async fn look_at_directory(&mut self, channel: Channel) -> Result<Asked, SessionError> {
        let Subscription { home, host, writer, .. } = &mut *self;
        match Members::fetch(channel, home, host.clock.now()).await {
            Ok(members) => writer.follow(Arc::new(members.policy().clone())),
            Err(MembersError::Store(error)) => return Err(error.into()),
            // Another process of the home has it: that passes, as a line that broke does.
            Err(MembersError::Home(error @ HomeError::Busy { .. })) => {
                return Ok(Asked::Untold(CallError::Unreachable { message: error.to_string() }));
            }
            Err(MembersError::Home(error)) => return Err(error.into()),
            // Nothing is said of a message by a disk that fails.
            Err(MembersError::Trust(TrustFileError::Disk { path, source })) => {
                return Err(HomeError::Disk { path, source }.into());
            }
            Err(MembersError::Call(error)) => return Ok(Asked::Untold(error)),
            Err(error) => {
                self.observer.tell(Event::Directory(&error))?;
                return Ok(Asked::Refuted);
            }
        }
        Ok(Asked::Followed)
    }
}

fn is_message(delivery: &proto::Delivery) -> bool {
    matches!(delivery.content, Some(proto::delivery::Content::Message(_)))
}
