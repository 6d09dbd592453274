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

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::home::Home;
use super::inbox::{Inbox, InboxEntry, Kept};
use super::opener::{Clear, Opener, Reader, Unreadable};
use super::session::{Event, Observer, SessionError};
use crate::host::tasks::Tasks;
use crate::model::envelope::{MessageClass, Priority};
use crate::seal::OpenError;
use crate::wire::content;

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
    home: Home,
    inbox: Inbox,
    opener: Option<Opener>,
    plan: Plan,
    tasks: Arc<dyn Tasks>,
    waiting: Mutex<BTreeSet<(Priority, InboxEntry)>>,
    news: Notify,
    /// Nothing more will come: end when all that waits was run.
    last: CancellationToken,
}

impl Commands {
    /// Takes up what an earlier run left due.
    pub(super) fn new(
        (home, inbox, opener): (Home, Inbox, Option<Opener>),
        plan: Plan,
        tasks: Arc<dyn Tasks>,
    ) -> Result<Self, SessionError> {
        let due = inbox.due()?;
        let waiting = due.into_iter().map(|entry| {
            // One that cannot be read is reported in its turn.
            let priority = inbox.read(&entry).map_or(Priority::Urgent, |kept| kept.envelope.priority);
            (priority, entry)
        });
        let waiting = Mutex::new(waiting.collect());
        let (news, last) = (Notify::new(), CancellationToken::new());
        Ok(Self { home, inbox, opener, plan, tasks, waiting, news, last })
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
        let (home, opener) = (self.home.clone(), self.opener.clone());
        let task = async move {
            let read = inbox.read(&entry).map_err(|error| error.to_string());
            let read = read.and_then(|kept| match Reader::of(&home, opener).came(&kept) {
                Ok(content) => Ok((kept, Some(content))),
                // A bell is to ring also while nobody is there, and where only another desk has the key.
                Err(Unreadable::Locked | Unreadable::Sealing(OpenError::NotForTheseKeys { .. })) => {
                    Ok((kept, None))
                }
                Err(why) => Err(why.to_string()),
            });
            let ran = match read {
                Ok((kept, content)) => run(&plan, &kept, content).await,
                Err(error) => Ran::NotRead(error),
            };
            // Nobody waits any more after a stop.
            let _ = report.send((entry, ran)).await;
        };
        drop(self.tasks.spawn("command", Box::pin(task)));
        true
    }
}

async fn run(plan: &Plan, kept: &Kept, content: Option<Clear>) -> Ran {
    match start(plan, kept, content) {
        Ok(ended) => match ended.await {
            Ok(status) if status.success() => Ran::Well,
            Ok(status) => Ran::Badly(status),
            Err(error) => Ran::NotStarted(error),
        },
        Err(error) => Ran::NotStarted(error),
    }
}

fn start(
    plan: &Plan,
    kept: &Kept,
    content: Option<Clear>,
) -> io::Result<impl Future<Output = io::Result<ExitStatus>>> {
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
        .env("RESGUARDO_SEALED", if content.is_some() { "no" } else { "yes" })
        .kill_on_drop(true);
    if plan.output_to_stderr {
        command.stdout(Stdio::from(io::stderr()));
    }
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().expect("it was started with a pipe");
    // A packet's payload is of no use to a command: `packet get` fetches what is. What opens a message is for nobody else, and
    // person blocks are for persons.
    let content = content.filter(|_| !matches!(envelope.class, MessageClass::Packet | MessageClass::Reseal));
    let content = content.and_then(|Clear(content)| content::alert(&content).ok());
    let content = content.map(|content| content.cap).unwrap_or_default();
    Ok(async move {
        // A command that does not read what it is given closes the pipe: that is its own affair.
        let written = async {
            let _ = stdin.write_all(&content).await;
            drop(stdin);
        };
        tokio::join!(written, child.wait()).1
    })
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::desk::members::tests::keep_copy;
    use crate::desk::sample::{NOW, delivery_of, envelope, keys, policy, signed, writer};
    use crate::host::disk::MemoryDisk;
    use crate::host::tasks::TokioTasks;
    use crate::seal::{OpeningKey, seal_bytes, sha256};
    use crate::wire::manifest::{Part, SealedManifest};

    struct Nobody;

    impl Observer for Nobody {
        fn tell(&self, _: Event<'_>) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_bell_rings_for_what_is_sealed_to_a_key_that_is_not_at_hand() {
        let home = home_on(&MemoryDisk::new());
        keep_copy(&home, &policy());
        let envelope = envelope(2, "iachr", "ohchr-honduras", b"");
        let manifest = SealedManifest::of(&envelope, Part::Payload, sha256(b"words"));
        let elsewhere = OpeningKey::from_seed(&[6; 32]).recipient();
        let payload = seal_bytes(&[elsewhere], &manifest.signed_by(&keys("iachr")[0]), b"words").unwrap();
        let (payload_bytes, payload_digest) = (payload.len() as u64, sha256(&payload));
        let envelope = crate::model::envelope::Envelope { payload_bytes, payload_digest, ..envelope };
        let mut writer = writer(&home).unwrap();
        writer.keep(vec![delivery_of(2, signed(&envelope), &payload)], NOW, true).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let rang = dir.path().join("rang");
        let command = format!("echo $RESGUARDO_SEALED > {}", rang.display());
        let plan = Plan { command, output_to_stderr: true };
        let opener = Some(Opener::new(vec![OpeningKey::from_seed(&[5; 32])]));
        let tasks = Arc::new(TokioTasks::on(Handle::current()));
        let commands = Commands::new((home, writer.inbox().clone(), opener), plan, tasks).unwrap();
        commands.add_no_more();
        commands.run(&Nobody, &CancellationToken::new()).await.unwrap();
        assert_eq!(std::fs::read_to_string(rang).unwrap(), "yes\n");
        assert!(writer.inbox().due().unwrap().is_empty());
    }
}
