//! The hub as it really is: its own process, TLS, ledger, journal on disk, from a fresh home each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use resguardo::desk::keys;
use resguardo::desk::opener::Opener;
use resguardo::host::clock::SystemClock;
use resguardo::host::disk::OsDisk;
use resguardo::seal::SigningKey;
use resguardo::wire::client::{self, ConnectLimits};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::proto::ListOutstandingRequest;
use resguardo::wire::proto::audit_service_client::AuditServiceClient;
use resguardo::wire::tls::Credentials;
use serde_json::Value;
use tonic::transport::Channel;

use crate::common::child::Child;

/// The program whose hub is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_resguardo");
/// The office whose callers publish.
pub(crate) const SENDER: &str = "ohchr-honduras";
/// Who checks at the end.
const AUDITOR_HOME: &str = "auditor-ohchr";
/// The hub's configuration: bounds on one office that this load would meet are out of its way, all others stand.
const CONFIG: &str = "name = \"dev\"\nlisten = \"127.0.0.1:0\"\n[limits]\nconnections_max = 2000\nstreams_per_connection_max = 10000\n\
    deliveries_in_flight_max = 65536\npublishes_per_s = 10000000\npublishes_burst = 10000000\n\
    [files]\ndisk_reserve_bytes = 67108864\n";
/// Ticks a second in which Linux counts a process's time for other programs: the same on every architecture.
const TICKS_PER_S: f64 = 100.0;

/// A dev set: the hub's home and those of its callers.
pub(crate) struct DevSet {
    dir: PathBuf,
}

impl DevSet {
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let dir = folder.join("certs-dev");
        run(Command::new(PROGRAM).args(["certs", "dev", "--dir"]).arg(&dir))?;
        fs::write(dir.join("hub/hub.toml"), CONFIG)?;
        Ok(Self { dir })
    }

    pub(crate) fn hub_home(&self) -> PathBuf {
        self.dir.join("hub")
    }

    pub(crate) fn office_home(&self, office: &str) -> PathBuf {
        self.dir.join(office)
    }

    /// What an office's desk signs messages with.
    pub(crate) fn attended(&self, office: &str) -> Result<Arc<SigningKey>> {
        Ok(Arc::new(keys::unlock(&OsDisk, &self.office_home(office), None)?.attended))
    }

    /// What an office's desk signs with what a machine states.
    pub(crate) fn unattended(&self, office: &str) -> Result<Arc<SigningKey>> {
        Ok(Arc::new(keys::unattended(&OsDisk, &self.office_home(office))?))
    }

    /// Founds a new hub, in place of any before, and starts it.
    pub(crate) fn start_hub(&self) -> Result<Hub> {
        self.found_hub()?;
        self.run_hub()
    }

    /// What opens what is sealed to an office.
    pub(crate) fn opener(&self, office: &str) -> Result<Opener> {
        Ok(Opener::new(keys::unlock(&OsDisk, &self.office_home(office), None)?.opening))
    }

    /// Founds a new hub, in place of any before.
    pub(crate) fn found_hub(&self) -> Result<()> {
        let home = self.hub_home();
        for stored in ["journal", "ledger", "files", "logs"] {
            let stored = home.join(stored);
            if stored.exists() {
                fs::remove_dir_all(&stored)?;
            }
        }
        run(&mut self.hub_command(&["init"]))?;
        if self.without_logs().exists() {
            for log in ["journal", "directory"] {
                let folder = home.join("logs").join(log);
                fs::create_dir_all(&folder)?;
                fs::write(folder.join("rounds"), "")?;
            }
        }
        Ok(())
    }

    /// Starts what stands in for the hub: a program that serves with the hub's TLS files.
    pub(crate) fn stand_in(&self, command: &mut Command) -> Result<Hub> {
        let log = self.dir.join("stand-in.log");
        Ok(Hub { child: Child::start(command, &log)?, log })
    }

    /// Starts the hub that was founded; waits until it listens.
    pub(crate) fn run_hub(&self) -> Result<Hub> {
        let log = self.dir.join("hub.log");
        let child = Child::start(&mut self.hub_command(&["run", "--log", "json"]), &log)?;
        Ok(Hub { child, log })
    }

    /// Leads an office's home to its hub by an address.
    pub(crate) fn lead(&self, office: &str, address: &str) -> Result<()> {
        let path = self.office_home(office).join("desk.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let line = |line: &str| {
            if line.starts_with("hub = ") { format!("hub = \"{address}\"\n") } else { format!("{line}\n") }
        };
        Ok(fs::write(&path, text.lines().map(line).collect::<String>())?)
    }

    /// Gives the size of the newest round of witnesses of the hub's journal that has not enough of them yet, or has: 0 for none.
    pub(crate) fn newest_round(&self) -> Result<u64> {
        let mut newest = 0;
        for folder in ["open", "witnessed"] {
            let folder = self.hub_home().join("logs/journal/rounds").join(folder);
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                // A file that is being written has another name.
                let size = entry?.file_name().to_str().and_then(|it| it.parse().ok());
                newest = newest.max(size.unwrap_or(0));
            }
        }
        Ok(newest)
    }

    /// Lets the hubs that are founded from now on keep their logs, or keeps them from it: where the folders of their rounds belong
    /// stand files. Such a hub has its key and signs whatever else it signs, looks again each minute, and says what is wrong.
    pub(crate) fn keep_logs(&self, kept: bool) -> Result<()> {
        let without = self.without_logs();
        if !kept {
            fs::write(&without, "")?;
        } else if without.exists() {
            fs::remove_file(&without)?;
        }
        Ok(())
    }

    /// A file that says that the next hubs keep no logs.
    fn without_logs(&self) -> PathBuf {
        self.dir.join("without-logs")
    }

    /// Entries that the newest checkpoint of the hub's journal covers; none before the first.
    pub(crate) fn logged_entries(&self) -> Result<u64> {
        let path = self.hub_home().join("logs/journal/checkpoint");
        let note = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            read => read.with_context(|| path.display().to_string())?,
        };
        Ok(note.lines().nth(1).with_context(|| format!("{} is no checkpoint", path.display()))?.parse()?)
    }

    /// Checks the hub, which must not run; gives what the check counted.
    pub(crate) fn verify_hub(&self) -> Result<Value> {
        let mut command = self.hub_command(&["verify"]);
        let said = run(command.arg("--json"))?;
        let objects = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut verified = objects.filter(|object| object["object"] == "verified");
        verified.next().with_context(|| format!("the check did not tell what it found:\n{said}"))
    }

    fn hub_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(self.hub_home()).arg("hub").args(words);
        command
    }

    /// Fails unless the auditor finds every message acknowledged by every office that it was owed to.
    pub(crate) async fn check_nothing_outstanding(&self, hub: &Hub) -> Result<()> {
        let outstanding = self.outstanding(hub).await?;
        ensure!(outstanding == 0, "the audit finds {outstanding} deliveries outstanding; none expected");
        Ok(())
    }

    /// How many deliveries the auditor finds outstanding.
    pub(crate) async fn outstanding(&self, hub: &Hub) -> Result<usize> {
        let channel = hub.connect(&self.office_home(AUDITOR_HOME)).await?;
        let request = ListOutstandingRequest::default();
        let mut rows = AuditServiceClient::new(channel).list_outstanding(request).await?.into_inner();
        let mut outstanding = 0;
        while let Some(frame) = rows.message().await? {
            outstanding += frame.deliveries.len();
        }
        Ok(outstanding)
    }
}

/// A running hub.
pub(crate) struct Hub {
    child: Child,
    log: PathBuf,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor seconds, of the program and of the kernel for it.
    pub(crate) cpu_s: f64,
    /// Memory now, in MiB.
    pub(crate) resident_mib: f64,
    /// The most memory that it had at once, in MiB.
    pub(crate) peak_mib: f64,
}

impl Hub {
    /// Its process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.child.address
    }

    pub(crate) async fn connect(&self, home: &Path) -> Result<Channel> {
        connect(&self.child.address, home, ConnectLimits::default()).await
    }

    /// Makes a connection that moves files.
    pub(crate) async fn connect_for_files(&self, home: &Path) -> Result<Channel> {
        connect(&self.child.address, home, ConnectLimits::for_files()).await
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) -> Result<()> {
        let log = self.log;
        let status = self.child.stop()?;
        ensure!(status.success(), "the hub ended with {status}:\n{}", fs::read_to_string(log)?);
        Ok(())
    }

    /// The first line of its log that begins so, with its fields.
    pub(crate) fn logged(&self, begins: &str) -> Result<Value> {
        let log = fs::read_to_string(&self.log)?;
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = lines.find(|line| line["message"].as_str().is_some_and(|it| it.starts_with(begins)));
        found.with_context(|| format!("no line {begins:?} in the hub's log:\n{log}"))
    }

    /// Nanoseconds of a processor that one of its threads has used, by the thread's name.
    pub(crate) fn thread_ns(&self, name: &str) -> Result<u64> {
        for thread in fs::read_dir(self.threads()).context("the hub has ended")? {
            let thread = thread?.path();
            if fs::read_to_string(thread.join("comm"))?.trim_end() == name {
                let used = fs::read_to_string(thread.join("schedstat"))?;
                let ns = used.split(' ').next().context("a field of schedstat")?;
                return Ok(ns.parse()?);
            }
        }
        anyhow::bail!("the hub has no thread {name}")
    }

    /// Nanoseconds of a processor that all its threads have used.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let mut ns = 0;
        for thread in fs::read_dir(self.threads()).context("the hub has ended")? {
            let used = fs::read_to_string(thread?.path().join("schedstat"))?;
            ns += used.split(' ').next().context("a field of schedstat")?.parse::<u64>()?;
        }
        Ok(ns)
    }

    fn threads(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join("task")
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(&self.child.id().to_string()).context("the hub has ended")
    }
}

impl Usage {
    /// Reads what a process has used, by its id, or `self` for this one.
    pub(crate) fn of(process: &str) -> Result<Self> {
        let proc = Path::new("/proc").join(process);
        let status = fs::read_to_string(proc.join("status"))?;
        let stat = fs::read_to_string(proc.join("stat"))?;
        // Fields are counted from after the program's name, which stands in parentheses and may hold spaces.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks =
            |at: usize| -> Result<f64> { Ok(fields.get(at).context("a field of /proc/PID/stat")?.parse()?) };
        let mib = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: f64 =
                line.context("a line of /proc/PID/status")?.trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1024.0)
        };
        let cpu_s = (ticks(11)? + ticks(12)?) / TICKS_PER_S;
        Ok(Self { cpu_s, resident_mib: mib("VmRSS:")?, peak_mib: mib("VmHWM:")? })
    }
}

/// Reads the TLS files of a home.
pub(crate) fn credentials(home: &Path) -> Result<Credentials> {
    let tls = home.join("tls");
    Ok(Credentials {
        authorities: PemFile::certificates(&tls.join("ca.pem"))?,
        certificate: PemFile::certificates(&tls.join("cert.pem"))?,
        key: PemFile::key(&tls.join("key.pem"))?,
    })
}

/// Makes a connection of its own, as the holder of a home.
pub(crate) async fn connect(address: &str, home: &Path, limits: ConnectLimits) -> Result<Channel> {
    let clock = Arc::new(SystemClock::new());
    Ok(client::connect(address, "localhost", &credentials(home)?, limits, clock).await?)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
