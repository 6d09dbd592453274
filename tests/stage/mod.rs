//! A stage for end-to-end tests: a hub in its own process, with certificates, homes and a port of its own, and the
//! offices that talk to it over real sockets.
//!
//! Owns the temporary folder and the process; both are gone at the end, also when a test panics. Never looks into the
//! hub: what it knows, it knows from the wire, from the process's output and from files that the test itself breaks.

#![expect(dead_code, reason = "each test binary uses its own part of the stage")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use resguardo::seal::key_file::{self, Plain, SecretKey};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod chance;
pub(crate) mod client;
pub(crate) mod draft;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) mod failing_disk;
pub(crate) mod files;
pub(crate) mod founding;
pub(crate) mod host;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) mod preload;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod sign;
pub(crate) mod statement;
pub(crate) mod subscription;
pub(crate) mod told;
pub(crate) mod traffic;
pub(crate) mod transfer;
pub(crate) mod wait;

use authority::Authority;
use client::{Auditor, Desk};
use founding::Founding;
use process::{Ended, HubProcess};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_resguardo");

/// Bytes of the hub's log that a failed test shows.
const LAST_WORDS_BYTES: usize = 6_000;
/// Times that a hub is started anew on another port because somebody else took the one that was free.
const PORT_TRIES: usize = 20;

/// How a stage differs from the usual one.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Lines of `[limits]` in `hub.toml`.
    pub(crate) limits: String,
    /// Lines of `[files]` in `hub.toml`.
    pub(crate) files: String,
    /// Segments as large as they usually are: on a stage they are small, so that tests come to the next one.
    pub(crate) usual_segments: bool,
    /// Who is who; by default the seven founding offices.
    pub(crate) founding: Founding,
}

impl Setup {
    /// A stage on which offices publish as fast as they can.
    pub(crate) fn fast() -> Self {
        Self::limits("publishes_per_s = 1000000\npublishes_burst = 1000000")
    }

    /// The usual stage with these lines in `[limits]`.
    pub(crate) fn limits(limits: &str) -> Self {
        Self { limits: limits.to_owned(), ..Self::default() }
    }
}

/// A hub and its surroundings.
pub(crate) struct Stage {
    /// Who signs the certificates.
    pub(crate) authority: Authority,
    setup: Setup,
    folder: TempDir,
    port: u16,
    /// What stands in the environment of the program, beside the usual.
    pub(crate) environment: Vec<(String, String)>,
    /// The hub, while it runs.
    pub(crate) hub: Option<HubProcess>,
}

impl Stage {
    /// A running hub with these lines in `[files]`.
    pub(crate) async fn open_with_files(files: &str) -> Self {
        Self::open_with(Setup { files: files.to_owned(), ..Setup::default() }).await
    }

    /// A running hub of the usual kind.
    pub(crate) async fn open() -> Self {
        Self::open_with(Setup::default()).await
    }

    /// A running hub.
    pub(crate) async fn open_with(setup: Setup) -> Self {
        let mut stage = Self::prepare(setup).await;
        for tries in 1.. {
            match stage.try_start().await {
                Ok(()) => break,
                Err(ended) if tries < PORT_TRIES && ended.said("in use") => stage.move_port(),
                Err(ended) => panic!("the hub did not start: {ended}"),
            }
        }
        stage
    }

    /// A hub's home, founded, without the hub.
    pub(crate) async fn prepare(setup: Setup) -> Self {
        let folder =
            tempfile::Builder::new().prefix("resguardo-stage-").tempdir().expect("a temporary folder");
        let (authority, port, environment) = (Authority::new("stage"), free_port(), Vec::new());
        let stage = Self { authority, setup, folder, port, environment, hub: None };
        let home = stage.home();
        stage.authority.hub().write(&home.join("tls"));
        fs::write(home.join("founding"), stage.setup.founding.signed()).expect("the founding is written");
        fs::create_dir(home.join("keys")).expect("a folder for the hub's key");
        let key = key_file::plain(&SecretKey::Signing(founding::hub_key()), Plain::Unattended);
        fs::write(home.join("keys/hub"), key.expect("a key").as_bytes()).expect("the hub's key is written");
        stage.write_config();
        let founded = stage.program(&["hub", "init"]).await;
        assert!(founded.status.success(), "hub init failed: {founded:?}");
        stage
    }

    /// The hub's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    /// A folder for whatever the test keeps beside the hub.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the hub listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The running hub.
    pub(crate) fn hub(&self) -> &HubProcess {
        self.hub.as_ref().expect("the hub runs")
    }

    /// Writes other lines of `[limits]`, for the next start.
    pub(crate) fn set_limits(&mut self, limits: &str) {
        limits.clone_into(&mut self.setup.limits);
        self.write_config();
    }

    /// Starts the hub, on the port of before.
    pub(crate) async fn start(&mut self) {
        if let Err(ended) = self.try_start().await {
            panic!("the hub did not start: {ended}");
        }
    }

    /// Starts the hub, or says how it ended instead.
    pub(crate) async fn try_start(&mut self) -> Result<(), Ended> {
        assert!(self.hub.is_none(), "the hub runs already");
        let log = self.folder.path().join("hub.log");
        let hub = HubProcess::start_in(&self.environment, &self.home(), &log).await?;
        assert_eq!(hub.port(), self.port, "the hub listens where it was told to");
        self.hub = Some(hub);
        Ok(())
    }

    /// Starts the hub so that it cannot make a file larger than so many blocks of 512 bytes.
    pub(crate) async fn start_cramped(&mut self, blocks: u32) {
        assert!(self.hub.is_none(), "the hub runs already");
        let log = self.folder.path().join("hub.log");
        let started = HubProcess::start_cramped(&self.home(), &log, blocks).await;
        self.hub = Some(started.unwrap_or_else(|ended| panic!("the hub did not start: {ended}")));
    }

    /// Starts the hub and kills it after a time, wherever in its start it is.
    pub(crate) async fn start_and_kill(&self, after: Duration) {
        assert!(self.hub.is_none(), "the hub runs already");
        HubProcess::start_and_kill(&self.home(), &self.folder.path().join("hub.log"), after).await;
    }

    /// Kills the hub with SIGKILL and waits for its end.
    pub(crate) async fn kill(&mut self) {
        self.hub.take().expect("the hub runs").kill().await;
    }

    /// Asks the hub with SIGTERM to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.hub.take().expect("the hub runs").stop().await
    }

    /// Stops the hub in order and starts it again.
    pub(crate) async fn restart(&mut self) {
        let status = self.stop().await;
        assert!(status.success(), "an ordered stop ends well, not with {status}");
        self.start().await;
    }

    /// Runs a command of the program on the hub's home to its end.
    pub(crate) async fn program(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--home").arg(self.home()).env_remove("RESGUARDO_HOME");
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = wait::within(&format!("{arguments:?} ends"), command.output()).await;
        ended.expect("the program runs")
    }

    /// The first desk of an office.
    pub(crate) async fn desk(&self, office: &str) -> Desk {
        self.desk_named(office, "desk-1").await
    }

    /// A desk of an office.
    pub(crate) async fn desk_named(&self, office: &str, desk: &str) -> Desk {
        Desk::connect(self, &format!("urn:resguardo:office:{office}:{desk}")).await
    }

    /// An auditor.
    pub(crate) async fn auditor(&self, name: &str) -> Auditor {
        Auditor::connect(self, &format!("urn:resguardo:auditor:{name}")).await
    }

    /// Whether any file of the hub's home holds some bytes.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        holds(&self.home(), bytes)
    }

    fn write_config(&self) {
        let Setup { limits, files, usual_segments, .. } = &self.setup;
        let segments = if *usual_segments { "" } else { "segment_bytes = 1048576\n" };
        // A machine that tests may have less free than a hub in use keeps.
        let reserve =
            if files.contains("disk_reserve_bytes") { "" } else { "disk_reserve_bytes = 67108864\n" };
        let text = format!(
            "name = \"stage\"\nlisten = \"127.0.0.1:{}\"\n\n[limits]\n{limits}\n\n[files]\n{reserve}{files}\n\n\
            [journal]\n{segments}",
            self.port
        );
        fs::write(self.home().join("hub.toml"), text).expect("hub.toml written");
    }

    fn move_port(&mut self) {
        self.port = free_port();
        self.write_config();
    }
}

/// Shows what the hub said to whoever looks for the reason of a failure.
impl Drop for Stage {
    #[expect(clippy::print_stderr, reason = "the last words of the hub belong to a failed test's output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = fs::read(self.folder.path().join("hub.log")).unwrap_or_default();
            let end = &said[said.len().saturating_sub(LAST_WORDS_BYTES)..];
            eprintln!("the hub's last words:\n{}", String::from_utf8_lossy(end));
        }
    }
}

fn holds(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).expect("the folder is there").any(|entry| {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // One that has just gone holds nothing.
        fs::read(&path).is_ok_and(|file| file.windows(bytes.len()).any(|window| window == bytes))
    })
}

/// A port below those that systems give to outgoing connections, so that nobody takes it while the hub is down.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 12_000 + u16::try_from(chance::random_u64() % 20_000).expect("below 20,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
