//! The hub as a process: started, watched, killed by its own id.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::PROGRAM;
use super::wait::{until, within};

/// Another build of the program, for tests in which speed counts: they set it before they start a hub.
pub(crate) static OTHER_BUILD: OnceLock<PathBuf> = OnceLock::new();

/// A hub that listens. Dropped, it is killed.
pub(crate) struct HubProcess {
    child: Child,
    /// Held open, so that the hub never writes into a closed pipe.
    _output: Lines<BufReader<ChildStdout>>,
    port: u16,
    log: Log,
}

/// A hub that ended instead of listening.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it said on its standard error.
    pub(crate) log: String,
}

impl Ended {
    /// Tells whether it said something like this.
    pub(crate) fn said(&self, words: &str) -> bool {
        self.log.contains(words)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; it said:\n{}", self.status, self.log)
    }
}

/// What one run of the hub says, at the end of a file that all runs share.
struct Log {
    path: PathBuf,
    from: usize,
}

impl Log {
    fn read(&self) -> String {
        let bytes = fs::read(&self.path).expect("the hub's log is there");
        String::from_utf8_lossy(&bytes[self.from..]).into_owned()
    }
}

impl HubProcess {
    /// Starts a hub and waits until it says that it listens.
    pub(crate) async fn start(home: &Path, log: &Path) -> Result<Self, Ended> {
        Self::start_in(&[], home, log).await
    }

    /// Starts a hub with this in its environment, and waits until it says that it listens.
    pub(crate) async fn start_in(
        environment: &[(String, String)],
        home: &Path,
        log: &Path,
    ) -> Result<Self, Ended> {
        let mut command = hub_run(home);
        command.envs(environment.iter().cloned());
        Self::start_as(log, command).await
    }

    /// Starts a hub that cannot make a file larger than so many blocks of 512 bytes.
    pub(crate) async fn start_cramped(home: &Path, log: &Path, blocks: u32) -> Result<Self, Ended> {
        // Without the trap the system would kill the hub instead of failing its write.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" hub run --home \"$1\"");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(PROGRAM).arg(home);
        Self::start_as(log, command).await
    }

    async fn start_as(log: &Path, command: Command) -> Result<Self, Ended> {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let from = usize::try_from(file.metadata().expect("the log is a file").len()).expect("a short log");
        let mut child = spawn(command, file);
        let log = Log { path: log.to_owned(), from };
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = within("the hub listens", lines.next_line()).await.expect("its output is text")
        {
            if let Some(port) = port_in(&line) {
                return Ok(Self { child, _output: lines, port, log });
            }
        }
        let status = within("the hub ends", child.wait()).await.expect("its end can be awaited");
        Err(Ended { status, log: log.read() })
    }

    /// Starts a hub and kills it after a time, wherever in its start it is.
    pub(crate) async fn start_and_kill(home: &Path, log: &Path, after: Duration) {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        let mut child = spawn(hub_run(home), file);
        tokio::time::sleep(after).await;
        within("the hub is killed", child.kill()).await.expect("it can be killed");
    }

    /// Its number with the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The port that it says it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What this run has said on its standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.read()
    }

    /// Waits until it says something like one of these.
    pub(crate) async fn says(&self, any: &[&str]) {
        until(&format!("the hub says one of {any:?}"), async || {
            let log = self.log().to_lowercase();
            any.iter().any(|words| log.contains(words)).then_some(())
        })
        .await;
    }

    /// Bytes of memory that it holds, from `/proc`.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let id = self.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("Linux tells of processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kilobytes = line.trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().expect("a number of kB") * 1024
    }

    /// Ends it with SIGKILL.
    pub(crate) async fn kill(mut self) {
        within("the hub is killed", self.child.kill()).await.expect("it can be killed");
    }

    /// Asks it with SIGTERM to stop and waits for the end.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.terminate().await;
        within("the hub stops", self.child.wait()).await.expect("its end can be awaited")
    }

    /// Asks it with SIGTERM to stop.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("it runs");
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().await;
        assert!(sent.expect("a shell").success(), "SIGTERM could not be sent");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its end can be awaited").is_some()
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = within("the hub ends", self.child.wait()).await.expect("its end can be awaited");
        Ended { status, log: self.log.read() }
    }
}

fn hub_run(home: &Path) -> Command {
    let mut command = Command::new(OTHER_BUILD.get().map_or(Path::new(PROGRAM), PathBuf::as_path));
    command.args(["hub", "run", "--home"]).arg(home);
    command
}

fn spawn(mut command: Command, log: File) -> Child {
    command.env_remove("RESGUARDO_HOME").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.kill_on_drop(true).spawn().expect("the program can be started")
}

fn port_in(line: &str) -> Option<u16> {
    line.strip_prefix("listening on 127.0.0.1:")?.trim().parse().ok()
}
