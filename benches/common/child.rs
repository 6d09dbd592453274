//! Processes beside the benchmark: started, waited for until they listen, ended with it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// What a process prints when it is ready, before its address.
pub(crate) const READY: &str = "listening on ";

/// A process that listens. It is killed when this is dropped.
pub(crate) struct Child {
    process: std::process::Child,
    /// Where it listens.
    pub(crate) address: String,
    /// Kept open: what it prints later must go somewhere.
    _stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a process and waits until it says where it listens; what it says on stderr goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let said = File::create(log).with_context(|| log.display().to_string())?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let mut stdout = BufReader::new(process.stdout.take().context("stdout is piped")?);
        let mut line = String::new();
        while stdout.read_line(&mut line)? > 0 {
            if let Some(address) = line.trim_end().strip_prefix(READY) {
                return Ok(Self { process, address: address.to_owned(), _stdout: stdout });
            }
            line.clear();
        }
        let status = process.wait()?;
        bail!("{command:?} ended with {status} before it listened:\n{}", fs::read_to_string(log)?);
    }

    /// Asks it with SIGTERM to stop, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        let process = Pid::from_child(&self.process);
        kill_process(process, Signal::TERM)?;
        Ok(self.process.wait()?)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
