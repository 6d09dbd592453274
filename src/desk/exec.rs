//! Running a command for each message that came.
//!
//! Owns which messages wait for it, in the inbox and in memory. Never holds up receiving: a command that fails or hangs
//! is reported, the others go on. At a crash: a command that had not succeeded is run again; one that had is not,
//! but for the moment between its end and the note of it.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::inbox::{Inbox, InboxEntry, Kept};
use super::session::{Event, Observer, SessionError};
use crate::host::tasks::Tasks;
use crate::model::envelope::{MessageClass, Priority};

/// Commands that run at once: one that hangs does not keep the next alert from ringing a bell.
pub const RUNNING_MAX: usize = 4;
/// How long running commands are waited for at a stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The command, for `sh -c`.
    pub command: String,
    /// Whether what it prints goes to standard error, because standard output is for a program.
    pub output_to_stderr: bool,
}

/// How a command ended.
#[derive(Debug)]
pub enum Ran {
    /// It said that all is well.
    Well,
    /// It said that something went wrong, or was ended by a signal.
    Badly(ExitStatus),
    /// It could not be run.
    NotStarted(io::Error),
    /// The message's file could not be read.
    NotRead(String),
}

/// The commands of one subscription.
pub(super) struct Commands {
    inbox: Inbox,
    plan: Plan,
    tasks: Arc<dyn Tasks>,
    waiting: Mutex<BTreeSet<(Priority, InboxEntry)>>,
    news: Notify,
    /// Nothing more will come: end when all that waits was run.
    last: CancellationToken,
}

impl Commands {
    /// Takes up what an earlier run left due.
    pub(super) fn new(inbox: Inbox, plan: Plan, tasks: Arc<dyn Tasks>) -> Result<Self, SessionError> {
        let due = inbox.due()?;
        let waiting = due.into_iter().map(|entry| {
            // One that cannot be read is reported in its turn.
            let priority = inbox.read(&entry).map_or(Priority::Urgent, |kept| kept.envelope.priority);
            (priority, entry)
        });
        let waiting = Mutex::new(waiting.collect());
        Ok(Self { inbox, plan, tasks, waiting, news: Notify::new(), last: CancellationToken::new() })
    }

    /// Puts a message in the queue, urgent ones before others. The queue is as long as the list of due files.
    pub(super) fn add(&self, priority: Priority, entry: InboxEntry) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert((priority, entry));
        self.news.notify_one();
    }

    /// Says that nothing more will come.
    pub(super) fn add_no_more(&self) {
        self.last.cancel();
    }

    /// Runs what waits and what comes; until a stop, or until nothing more can come and all was run.
    pub(super) async fn run(
        &self,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let (report, mut reports) = mpsc::channel(RUNNING_MAX);
        let mut running = 0;
        while !stop.is_cancelled() {
            while running < RUNNING_MAX && self.start_next(&report) {
                running += 1;
            }
            if running == 0 && self.last.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.news.notified() => {}
                () = self.last.cancelled(), if running == 0 => {}
                Some((entry, ran)) = reports.recv() => {
                    running -= 1;
                    self.settle(observer, &entry, &ran)?;
                }
            }
        }
        let finish = async {
            while running > 0 {
                let Some((entry, ran)) = reports.recv().await else { break };
                running -= 1;
                self.settle(observer, &entry, &ran)?;
            }
            Ok(())
        };
        // What has not ended by then is ended with the program, and run again by the next one.
        tokio::time::timeout(STOP_GRACE, finish).await.unwrap_or(Ok(()))
    }

    fn settle(&self, observer: &dyn Observer, entry: &InboxEntry, ran: &Ran) -> Result<(), SessionError> {
        if matches!(ran, Ran::Well) {
            self.inbox.settle_due(entry)?;
        }
        Ok(observer.tell(Event::CommandEnded { entry, ran })?)
    }

    fn start_next(&self, report: &mpsc::Sender<(InboxEntry, Ran)>) -> bool {
        let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        let Some((_, entry)) = first else { return false };
        let (report, plan, inbox) = (report.clone(), self.plan.clone(), self.inbox.clone());
        let task = async move {
            let ran = match inbox.read(&entry) {
                Ok(kept) => run(&plan, &kept).await,
                Err(error) => Ran::NotRead(error.to_string()),
            };
            // Nobody waits any more after a stop.
            let _ = report.send((entry, ran)).await;
        };
        drop(self.tasks.spawn("command", Box::pin(task)));
        true
    }
}

async fn run(plan: &Plan, kept: &Kept) -> Ran {
    match start(plan, kept) {
        Ok(ended) => match ended.await {
            Ok(status) if status.success() => Ran::Well,
            Ok(status) => Ran::Badly(status),
            Err(error) => Ran::NotStarted(error),
        },
        Err(error) => Ran::NotStarted(error),
    }
}

fn start(plan: &Plan, kept: &Kept) -> io::Result<impl Future<Output = io::Result<ExitStatus>>> {
    let envelope = &kept.envelope;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(&plan.command)
        .stdin(Stdio::piped())
        .env("RESGUARDO_MESSAGE_ID", envelope.message_id.to_string())
        .env("RESGUARDO_SENDER", envelope.sender.to_string())
        .env("RESGUARDO_CLASS", envelope.class.to_string())
        .env("RESGUARDO_STREAM", envelope.stream.to_string())
        .env("RESGUARDO_PRIORITY", envelope.priority.to_string())
        .env("RESGUARDO_STATUS", envelope.status.to_string())
        .env("RESGUARDO_INDEX", kept.entry.index.to_string())
        .kill_on_drop(true);
    if plan.output_to_stderr {
        command.stdout(Stdio::from(io::stderr()));
    }
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("it was started with a pipe");
    // A packet's payload is of no use to a command: `packet get` fetches what is.
    let payload = if envelope.class == MessageClass::Packet { Bytes::new() } else { kept.payload.clone() };
    Ok(async move {
        // A command that does not read what it is given closes the pipe: that is its own affair.
        let written = async {
            let _ = stdin.write_all(&payload).await;
            drop(stdin);
        };
        tokio::join!(written, child.wait()).1
    })
}
