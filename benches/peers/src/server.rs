//! Servers of others: each started with a configuration and a folder of its own, waited for until it takes connections, asked
//! what it and its children have used, and ended with this. No service of the system is touched.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::common::hub::{DevSet, SENDER, Usage};
use crate::common::stopwatch::Stopwatch;

/// How long a server may take until it listens, in seconds.
const START_MAX_S: f64 = 60.0;
/// How often it is looked whether it listens, or has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take to end before it is killed, in seconds.
const STOP_MAX_S: f64 = 10.0;

/// TLS files of the development authority: the hub's for every server, an office's for every client.
#[derive(Clone)]
pub(crate) struct TlsFiles {
    pub(crate) authority: PathBuf,
    pub(crate) server: [PathBuf; 2],
    pub(crate) client: [PathBuf; 2],
}

impl TlsFiles {
    pub(crate) fn of(dev: &DevSet) -> Self {
        let pair = |home: PathBuf| ["cert.pem", "key.pem"].map(|file| home.join("tls").join(file));
        Self {
            authority: dev.hub_home().join("tls/ca.pem"),
            server: pair(dev.hub_home()),
            client: pair(dev.office_home(SENDER)),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    process: Child,
    /// Processes that it needs beside it.
    beside: Vec<Child>,
    pub(crate) port: u16,
    /// What it wrote to its outputs.
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// A server that is not yet started.
pub(crate) struct Starting {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    beside: Vec<Child>,
}

impl Starting {
    /// Makes a folder on the disk that is measured, and finds a port that is free.
    pub(crate) fn new(folder: &Path, name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(folder)?;
        Ok(Self { folder, port: free_port()?, beside: Vec::new() })
    }

    /// Starts what the server needs beside it.
    pub(crate) fn beside(&mut self, command: &mut Command) -> Result<()> {
        let log = self.folder.path().join("beside.log");
        self.beside.push(spawn(command, &log)?);
        Ok(())
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) async fn start(self, command: &mut Command, watch: Stopwatch) -> Result<Server> {
        let log = self.folder.path().join("log");
        let process = spawn(command, &log)?;
        let mut server = Server { process, beside: self.beside, port: self.port, log, _folder: self.folder };
        let from_s = watch.seconds();
        while TcpStream::connect(("127.0.0.1", server.port)).await.is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!("{command:?} ended with {status} before it listened:\n{}", server.said());
            }
            let waited_s = watch.seconds() - from_s;
            ensure!(waited_s < START_MAX_S, "{command:?} does not listen:\n{}", server.said());
            sleep(LOOK).await;
        }
        Ok(server)
    }
}

impl Server {
    /// Its process's id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote to its outputs.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it, its children and what it needs beside it have used, together.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let parents = parents()?;
        let mut tree: Vec<u32> = self.beside.iter().map(Child::id).chain([self.id()]).collect();
        let mut at = 0;
        while let Some(parent) = tree.get(at).copied() {
            tree.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child));
            at += 1;
        }
        let mut all = Usage { cpu_s: 0.0, resident_mib: 0.0, peak_mib: 0.0 };
        for (at, id) in tree.iter().enumerate() {
            match Usage::of(&id.to_string()) {
                Ok(Usage { cpu_s, resident_mib, peak_mib }) => {
                    all.cpu_s += cpu_s;
                    all.resident_mib += resident_mib;
                    all.peak_mib += peak_mib;
                }
                // A child may have ended since; the server may not.
                Err(error) if at <= self.beside.len() => return Err(error.context("a server has ended")),
                Err(_) => {}
            }
        }
        Ok(all)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self, watch: Stopwatch) -> Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let from_s = watch.seconds();
        while self.process.try_wait()?.is_none() && watch.seconds() - from_s < STOP_MAX_S {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in std::iter::once(&mut self.process).chain(&mut self.beside) {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Gives the parent of each process.
fn parents() -> Result<HashMap<u32, u32>> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended since.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(1));
        parents.insert(id, parent.and_then(|it| it.parse().ok()).context("a parent in /proc/PID/stat")?);
    }
    Ok(parents)
}

fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let said = File::create(log).with_context(|| log.display().to_string())?;
    command
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
        .with_context(|| format!("{command:?}: is it installed? scripts/bench-peers does it"))
}

/// Finds a port that nobody has now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Gives what a program says of its version, in a line.
pub(crate) fn version(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .next()
        .map(|line| line.trim().to_owned())
        .with_context(|| format!("{command:?} says nothing"))
}
