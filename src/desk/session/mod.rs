//! The subscription of a desk: connect, receive, keep, acknowledge, connect again.
//!
//! Owns when to connect and when to give up. Never acknowledges before the inbox has it; never states a person's stage
//! that no person stated. Keeping syncs the disk on the caller's own thread: the connection runs on the runtime's.
//! At a crash: what was acknowledged is in the inbox; what was kept and not acknowledged comes again.

mod acknowledge;
mod beside;
mod incomplete;
mod known;
mod line;
#[cfg(test)]
mod tests;
mod timer;

pub use self::beside::{URGENT_SIGNED_IN, WITNESS_EVERY};
pub use self::known::{Again, MISSING_PATIENCE_US, Rekey};

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::incomplete::Incomplete;
use self::known::Season;
use super::dial::Dial;
use super::epochs::{self, Restored};
use super::erasure::{self, EraseError};
use super::exec::{Commands, Plan as ExecPlan, Ran};
use super::hand_in::{HandInError, Sealing, passes_after_ms};
use super::home::{Home, HomeError};
use super::inbox::{InboxEntry, InboxWriter, Kept, KeptNotice, Missing};
use super::included::Included;
use super::members::MembersError;
use super::opener::Clear;
use super::outbox::{Outbox, Outcome, StatementEntry};
use super::packet::porter::{Moved, Porter, Tools};
use super::renew::{RenewError, Renewed};
use super::sealer::Unlocked;
use super::signer::Signer;
use super::store::StoreError;
use super::witness::{Seen, WitnessError};
use crate::files::DiskError;
use crate::host::clock::Clock;
use crate::host::random::Random;
use crate::host::tasks::Tasks;
use crate::model::envelope::MessageId;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::receipt::Covered;
use crate::model::refusal::Refusal;
use crate::wire::connect_error::{self, ConnectError};
use crate::wire::status::{CallError, Refused};

/// The first pause before connecting again, at most; it doubles from try to try.
const BACKOFF_FIRST_MS: u64 = 250;
/// The longest pause: an urgent alert waits no longer than this for a line that is back.
const BACKOFF_MAX_MS: u64 = 10_000;

/// What a subscription is to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The streams wanted; none: all that policy gives.
    pub streams: Vec<Name>,
    /// Have also what was acknowledged before, from here on.
    pub replay_from: Option<ReplayFrom>,
    /// End after so many messages that were not here before.
    pub count: Option<u64>,
    /// What to run for each message.
    pub exec: Option<ExecPlan>,
}

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// At this entry of the journal.
    Index(Index),
    /// At the first entry at or after this time of the hub's.
    Time(UnixMicros),
}

/// What is handed in.
pub struct Host {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for pauses.
    pub random: Arc<dyn Random>,
    /// Tasks, for commands.
    pub tasks: Arc<dyn Tasks>,
    /// The way for packets' files; `None`: they are not moved here.
    pub files: Option<Arc<dyn Dial>>,
    /// What the desk signs with what a machine may state.
    pub signer: Signer,
    /// The desk's keys, where a person has unlocked them: what comes is then opened before it is acknowledged.
    pub unlocked: Option<Unlocked>,
}

impl Host {
    fn sealing(&self) -> Sealing {
        Sealing { unlocked: self.unlocked.clone(), clock: self.clock.clone() }
    }
}

/// What happened, for whoever looks on. What is told of messages is on the disk.
#[derive(Debug)]
pub enum Event<'a> {
    /// The subscription has begun.
    Started {
        /// How many messages the office was owed then.
        outstanding: u64,
    },
    /// The hub was restored from a backup since this home last saw it.
    Restored(&'a Restored),
    /// There is no connection.
    Lost {
        /// Why.
        why: &'a CallError,
        /// When the next try is, in milliseconds.
        retry_in_ms: u64,
    },
    /// A message came that was not here; with its content, where the keys are unlocked.
    Message(&'a Kept, Option<&'a Clear>),
    /// A message has not come here, though later ones of the same desk have.
    Missing(&'a Missing),
    /// What the hub tells of the directory does not count here; what was known before stays.
    Directory(&'a MembersError),
    /// A message came again whose file was damaged: it is whole again.
    Mended(&'a Kept),
    /// A message came that was not here, without its payload: it is erased, or the hub alone says so.
    ErasedCame(&'a Kept),
    /// A message that was here is erased, or the order has come for what the hub alone said to be erased.
    Erased {
        /// The office that sent it.
        sender: &'a Name,
        /// Which.
        message_id: MessageId,
        /// Why, as far as it is known.
        reason: &'a str,
    },
    /// A message came that cannot be read: it is kept aside.
    Unreadable {
        /// Its id, if that much can be read: else it cannot be acknowledged and comes again.
        message_id: Option<MessageId>,
        /// Its index.
        index: Index,
        /// What is wrong.
        reason: &'a str,
    },
    /// A notice came that was not here.
    Notice(&'a KeptNotice),
    /// Something came that only a later version of this program knows.
    Unknown(Index),
    /// The hub told of an order to erase a message that nobody is seen to have given: it is not carried out.
    OrderNotHeld {
        /// The index of its entry.
        index: Index,
        /// What is wrong with it.
        refusal: &'a Refusal,
    },
    /// The hub has the receipt of so many messages and notices.
    Acknowledged {
        /// How many.
        count: usize,
    },
    /// The hub refused a receipt that this desk made by itself.
    ReceiptRefused(&'a Refused),
    /// What the hub said in the end of a message that waited in the outbox.
    MessageHandedIn {
        /// The message.
        message_id: MessageId,
        /// What it said.
        outcome: &'a Outcome,
    },
    /// What the hub said in the end of a person's receipt that waited in the outbox.
    StatementHandedIn {
        /// The receipt.
        entry: &'a StatementEntry,
        /// What it said.
        outcome: &'a Outcome,
    },
    /// What the hub said in the end of an order to erase that waited in the outbox.
    OrderHandedIn {
        /// The message.
        message_id: MessageId,
        /// What it said.
        outcome: &'a Outcome,
    },
    /// Something became of this desk's next certificate.
    Renewal(&'a Renewed),
    /// This desk's next certificate could not be asked for or installed, and why; it is tried again.
    RenewalFailed(&'a RenewError),
    /// What this desk has borne witness to.
    Witnessed(&'a Seen),
    /// How far what this home has was found in the history that enough offices have cosigned.
    Included(&'a Included),
    /// The hub's logs could not be looked at, or are not what they were.
    NotWitnessed(&'a WitnessError),
    /// A desk of another office, by its name in certificates, says that the hub's logs are not what they were.
    Disputed(&'a str),
    /// Something in the outbox still waits, and why.
    StillPending(&'a HandInError),
    /// What became of packets' files.
    Files(&'a Moved),
    /// A command ended.
    CommandEnded {
        /// The message that it ran for.
        entry: &'a InboxEntry,
        /// How.
        ran: &'a Ran,
    },
}

/// Whoever looks on: prints, or remembers.
pub trait Observer {
    /// Takes notice.
    ///
    /// # Errors
    /// What cannot be shown ends the subscription: nobody would see the next alert either.
    fn tell(&self, event: Event<'_>) -> io::Result<()>;
}

/// How a subscription ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// As many messages came as were wanted.
    Counted,
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The hub refuses, and another try would not help.
    #[error(transparent)]
    Refused(Refused),
    /// There is no connection, and another try would not help.
    #[error(transparent)]
    Connect(ConnectError),
    /// The inbox or outbox cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The files of packets cannot be read or written.
    #[error(transparent)]
    Files(#[from] DiskError),
    /// What happened could not be shown, or there is no thread for files.
    #[error("cannot show what came: {0}")]
    Observer(#[from] io::Error),
}

/// A subscription.
pub struct Subscription<'a> {
    home: &'a Home,
    dial: &'a dyn Dial,
    host: Host,
    plan: Plan,
    observer: &'a dyn Observer,
    stop: CancellationToken,
    writer: InboxWriter,
    outbox: Outbox,
    commands: Option<Arc<Commands>>,
    /// Messages still to come until the count is reached.
    remaining: Option<u64>,
    started_once: bool,
    /// Told: something waits in the outbox now.
    waiting: Arc<Notify>,
    /// Told: an urgent message came.
    urgent: Arc<Notify>,
    /// Moves packets' files.
    porter: Option<Porter>,
    /// Packets that are kept and acknowledged as soon as their files are here.
    incomplete: Incomplete,
    /// What was told to be missing.
    missing_told: HashSet<(String, u64)>,
    /// Connections in a row that ended because the hub did not tell the directory.
    untold: u32,
    /// Reads the keys again.
    rekey: Option<&'a dyn Rekey>,
    /// For which the keys are that are at hand; `None` before the first connection.
    season: Option<Season>,
}

/// Why one connection ended.
enum LineEnd {
    Done(End),
    /// The desk has another certificate: it connects with that one.
    Renewed,
    Lost(CallError),
}

/// Why a connection is being ended from here.
#[derive(Clone, Copy)]
enum Closing {
    Done(End),
    Renewed,
}

impl From<Closing> for LineEnd {
    fn from(closing: Closing) -> Self {
        match closing {
            Closing::Done(end) => Self::Done(end),
            Closing::Renewed => Self::Renewed,
        }
    }
}

impl<'a> Subscription<'a> {
    /// Takes the home's inbox for this process alone.
    ///
    /// # Errors
    /// [`SessionError::Store`], [`SessionError::Home`] for the home of somebody who is no desk.
    pub fn open(
        home: &'a Home,
        dial: &'a dyn Dial,
        host: Host,
        plan: Plan,
        observer: &'a dyn Observer,
        stop: CancellationToken,
    ) -> Result<Self, SessionError> {
        home.desk()?;
        let opener = host.unlocked.as_ref().map(|unlocked| unlocked.opener.clone());
        let writer = InboxWriter::open(home, opener)?;
        let outbox = Outbox::open(home)?;
        let exec = plan.exec.clone();
        let opener = host.unlocked.as_ref().map(|unlocked| unlocked.opener.clone());
        let reads = (home.clone(), writer.inbox().clone(), opener);
        let commands = exec.map(|plan| Commands::new(reads, plan, host.tasks.clone()));
        let (commands, remaining) = (commands.transpose()?.map(Arc::new), plan.count);
        let start = |dial: Arc<dyn Dial>| {
            let (random, sealing) = (host.random.clone(), host.sealing());
            let tools = Tools { home: home.clone(), dial, random, sealing };
            Porter::start(tools, outbox.clone(), host.tasks.as_ref())
        };
        let porter = host.files.clone().map(start).transpose()?;
        Ok(Self {
            home,
            dial,
            host,
            plan,
            observer,
            stop,
            writer,
            outbox,
            commands,
            remaining,
            started_once: false,
            waiting: Arc::default(),
            urgent: Arc::default(),
            porter,
            incomplete: Incomplete::default(),
            missing_told: HashSet::new(),
            untold: 0,
            rekey: None,
            season: None,
        })
    }

    /// Runs until it is told to stop, until the count is reached, or until going on does not help.
    ///
    /// # Errors
    /// Each of [`SessionError`].
    pub async fn run(mut self) -> Result<End, SessionError> {
        let end = self.run_to_end().await;
        if let Some(porter) = self.porter.take() {
            porter.end().await;
        }
        end
    }

    async fn run_to_end(&mut self) -> Result<End, SessionError> {
        // Leftovers of a crash harm nobody: where another process is at work, it sweeps them.
        if let Ok(held) = self.home.lock_trying(1).await {
            self.outbox.sweep(&held)?;
        }
        let Some(commands) = self.commands.clone() else { return self.receive().await };
        let (observer, stop) = (self.observer, self.stop.clone());
        let mut running = std::pin::pin!(commands.run(observer, &stop));
        let end = tokio::select! {
            end = self.receive() => end?,
            ended = &mut running => return ended.map(|()| End::Stopped),
        };
        commands.add_no_more();
        running.await?;
        Ok(end)
    }

    async fn receive(&mut self) -> Result<End, SessionError> {
        let mut tries = 0;
        loop {
            if self.stop.is_cancelled() {
                return Ok(End::Stopped);
            }
            let before = std::mem::take(&mut self.started_once);
            let why = match self.serve_once().await? {
                LineEnd::Done(end) => return Ok(end),
                LineEnd::Renewed => continue,
                LineEnd::Lost(why) => why,
            };
            tries = if self.started_once { 0 } else { tries + 1 };
            self.started_once |= before;
            let retry_after_ms = self.worth_another_try(&why)?;
            let retry_in_ms = pause_ms(self.host.random.as_ref(), tries).max(retry_after_ms);
            self.observer.tell(Event::Lost { why: &why, retry_in_ms })?;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(retry_in_ms)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Erases what is here of a message, as it came and as it was sent. Gives its place, if it came and the hub has it there.
    async fn erase(
        &mut self,
        (sender, id): (&Name, MessageId),
        why: &str,
    ) -> Result<Option<Covered>, SessionError> {
        let mut was_here = false;
        if self.home.desk()?.office == *sender {
            match erasure::sent(self.home, &self.outbox, id).await {
                Ok(was_sent) => was_here = was_sent,
                Err(error) => beside::tell_pending(self.observer, error)?,
            }
        }
        let erased = erasure::received(self.home, &mut self.writer, (sender, id), why);
        let erased = erased.map_err(|error| match error {
            EraseError::Store(error) => SessionError::Store(error),
            EraseError::Files(error) => SessionError::Files(error),
        })?;
        was_here |= erased.as_ref().is_some_and(|erased| erased.was_kept || erased.was_unordered);
        if was_here {
            self.observer.tell(Event::Erased { sender, message_id: id, reason: why })?;
        }
        let message = erased.and_then(|erased| erased.place);
        // Its files are not waited for any more.
        if let Some(message) = &message {
            self.incomplete.whole(message);
        }
        Ok(message)
    }

    /// Notes that this home was told of every erasure up to an index.
    fn told_of_erasures(&self, last: Index) -> Result<(), SessionError> {
        Ok(erasure::told(self.home, &epochs::known(self.home)?, last)?)
    }

    async fn serve_once(&mut self) -> Result<LineEnd, SessionError> {
        let channel = tokio::select! {
            channel = self.dial.dial() => channel,
            () = self.stop.cancelled() => return Ok(LineEnd::Done(End::Stopped)),
        };
        match channel {
            Ok(channel) => Box::pin(line::serve(self, channel)).await,
            Err(error) => Ok(LineEnd::Lost(error.into())),
        }
    }

    /// Says after how many milliseconds at the earliest to try again, or that it would not help.
    ///
    /// Before the first start everything that a person must mend ends the subscription, so that it is seen. Later only
    /// the hub's own refusal does: a certificate that is being changed must not leave an office without alerts.
    fn worth_another_try(&self, why: &CallError) -> Result<u64, SessionError> {
        match why {
            CallError::Refused(refused) => {
                passes_after_ms(refused).ok_or_else(|| SessionError::Refused(refused.clone()))
            }
            CallError::Connect(error)
                if !self.started_once && error.outcome() != connect_error::Outcome::Unreachable =>
            {
                Err(SessionError::Connect(error.clone()))
            }
            CallError::Fault { retry_after_ms, .. } => Ok(retry_after_ms.unwrap_or(0)),
            _ => Ok(0),
        }
    }
}

/// Draws a pause before connecting again, in milliseconds: anywhere up to a bound that doubles from try to try, so that
/// offices do not all come back at one moment.
pub fn pause_ms(random: &dyn Random, tries: u32) -> u64 {
    let bound = BACKOFF_FIRST_MS.saturating_mul(1 << tries.min(16)).min(BACKOFF_MAX_MS);
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound
}
