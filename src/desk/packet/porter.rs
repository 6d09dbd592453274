//! What moves files beside a subscription, on a thread of its own: down for packets that came, up for packets that wait.
//!
//! Owns the order: one packet at a time in each direction, so that the first is whole soonest. Never acknowledges: it says
//! what is whole. Ends with its subscription; what has moved by then stays.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::transfer::{Mover, Patience, Progress, TransferError};
use crate::desk::dial::Dial;
use crate::desk::hand_in::{self, HandInError, Sealing};
use crate::desk::home::Home;
use crate::desk::outbox::{Outbox, Outcome};
use crate::host::random::Random;
use crate::host::tasks::{Task, Tasks};
use crate::model::envelope::MessageClass;
use crate::model::envelope::{FileRef, MessageId};
use crate::model::receipt::Covered;

/// Packets that wait for their files at most; more come again on the next connection.
pub const WANTED_MAX: usize = 1_024;
/// News that wait for the subscription.
const NEWS_MAX: usize = 64;
/// How often the outbox is looked at.
const OUTBOX_LOOK: Duration = Duration::from_secs(10);
/// How long a packet is left alone that cannot go on without a person.
const ASIDE: Duration = Duration::from_mins(10);

/// A packet that came.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The message.
    pub message: Covered,
    /// Its files.
    pub files: Vec<FileRef>,
}

/// What became of a packet's files.
#[derive(Debug)]
pub enum Moved {
    /// A piece of a file came or went.
    Piece {
        /// Which packet.
        message_id: MessageId,
        /// Whether it went up.
        up: bool,
        /// How far the file is.
        progress: Progress,
    },
    /// All files of a packet that came are here, for good.
    Whole(Covered),
    /// What the hub said in the end of a packet that waited in the outbox.
    HandedIn {
        /// The message.
        message_id: MessageId,
        /// What it said.
        outcome: Outcome,
    },
    /// Something does not go on, and why.
    Waits {
        /// Which packet.
        message_id: MessageId,
        /// Why.
        why: String,
        /// When the next try is, in milliseconds.
        retry_in_ms: u64,
    },
}

/// A running porter. Dropped, it ends.
pub struct Porter {
    wanted: mpsc::Sender<Wanted>,
    /// What became of what it was given.
    pub moved: mpsc::Receiver<Moved>,
    end: DropGuard,
    task: Task,
}

/// What a porter works with.
pub struct Tools {
    /// The home.
    pub home: Home,
    /// The way for files.
    pub dial: Arc<dyn Dial>,
    /// Randomness, for pauses.
    pub random: Arc<dyn Random>,
    /// What it takes to seal a packet.
    pub sealing: Sealing,
}

impl Porter {
    /// Starts one.
    ///
    /// # Errors
    /// The system gives no further thread.
    pub fn start(tools: Tools, outbox: Outbox, tasks: &dyn Tasks) -> std::io::Result<Self> {
        let (wanted, come) = mpsc::channel(WANTED_MAX);
        let (news, moved) = mpsc::channel(NEWS_MAX);
        let end = CancellationToken::new();
        let guard = end.clone().drop_guard();
        let work = move || {
            Box::pin(async move {
                let (down, up) = (fetch(&tools, come, &news), send(&tools, &outbox, &news));
                tokio::select! {
                    () = end.cancelled() => {}
                    () = async { tokio::join!(down, up); } => {}
                }
            }) as crate::host::tasks::LocalFuture
        };
        let task = tasks.spawn_dedicated("porter", Box::new(work))?;
        Ok(Self { wanted, moved, end: guard, task })
    }

    /// Ends it, and waits until its thread has ended: it must not outlive what it runs on.
    pub async fn end(self) {
        drop(self.end);
        // How it ended changes nothing: what has moved stays.
        let _ = self.task.await;
    }

    /// Gives it a packet; `false` if it has as many as it takes.
    pub fn fetch(&self, wanted: Wanted) -> bool {
        self.wanted.try_send(wanted).is_ok()
    }
}

async fn fetch(tools: &Tools, mut come: mpsc::Receiver<Wanted>, news: &mpsc::Sender<Moved>) {
    let store = tools.home.shelf();
    let mut aside = VecDeque::new();
    loop {
        let wanted = tokio::select! {
            wanted = come.recv() => match wanted {
                Some(wanted) => wanted,
                None => return,
            },
            () = tokio::time::sleep(ASIDE), if !aside.is_empty() => match aside.pop_front() {
                Some(wanted) => wanted,
                None => continue,
            },
        };
        let message_id = wanted.message.message_id;
        let whole = async {
            let tell = |progress| piece(news, message_id, false, progress);
            let lost = |error: &TransferError, ms| waits(news, message_id, error, ms);
            let mover = tools.mover(&tell, &lost);
            for file in &wanted.files {
                mover.down(&store, &wanted.message.message(), *file).await?;
            }
            Ok::<_, TransferError>(())
        };
        match whole.await {
            Ok(()) => drop(news.send(Moved::Whole(wanted.message)).await),
            Err(error) => {
                waits(news, message_id, &error, in_ms(ASIDE));
                aside.push_back(wanted);
            }
        }
    }
}

async fn send(tools: &Tools, outbox: &Outbox, news: &mpsc::Sender<Moved>) {
    loop {
        let pending = outbox.pending().map(|(messages, _)| messages).unwrap_or_default();
        for id in pending {
            let Ok(outgoing) = outbox.read_message(id) else { continue };
            if outgoing.envelope.class != MessageClass::Packet {
                continue;
            }
            let tell = |progress| piece(news, id, true, progress);
            let lost = |error: &TransferError, ms| waits(news, id, error, ms);
            let mover = tools.mover(&tell, &lost);
            match hand_in::packet(&mover, &tools.home, outbox, &outgoing, &tools.sealing).await {
                Ok(outcome) => drop(news.send(Moved::HandedIn { message_id: id, outcome }).await),
                Err(error) => waits(news, id, &error, in_ms(OUTBOX_LOOK)),
            }
        }
        tokio::time::sleep(OUTBOX_LOOK).await;
    }
}

impl Tools {
    fn mover<'a>(
        &'a self,
        tell: &'a (dyn Fn(Progress) + Sync),
        lost: &'a (dyn Fn(&TransferError, u64) + Sync),
    ) -> Mover<'a> {
        Mover {
            dial: self.dial.as_ref(),
            random: self.random.as_ref(),
            patience: Patience::ForEver,
            tell,
            lost,
        }
    }
}

/// Says how far a file is, if anybody listens now: the next piece says more.
fn piece(news: &mpsc::Sender<Moved>, message_id: MessageId, up: bool, progress: Progress) {
    let _ = news.try_send(Moved::Piece { message_id, up, progress });
}

fn waits(news: &mpsc::Sender<Moved>, message_id: MessageId, why: &dyn std::error::Error, retry_in_ms: u64) {
    let _ = news.try_send(Moved::Waits { message_id, why: why.to_string(), retry_in_ms });
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a packet still waits, in one type with other messages.
impl From<TransferError> for HandInError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Call(error) => Self::Call(error),
            other => Self::Files(other),
        }
    }
}
