//! `demo`: the main job, shown on this machine with real processes: a hub, seven offices, an alert, a kill, an audit.
//!
//! Owns the story and its stage, a throw-away folder. Every step is a command of this program, run as a process of its
//! own, as a person or a service would run it. Leaves nothing behind, unless it is asked to.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::cap;
use crate::host::random::uuid_v7;

/// The alert that is sent when no other is named.
const ALERT: &[u8] = include_bytes!("../../examples/alerts/death-threat.xml");
/// The office that publishes it.
const SENDER: &str = "ohchr-honduras";
/// Headquarters.
const HEADQUARTERS: &str = "iachr";
/// The office that is offline at first.
const LATE: &str = "ohchr-mexico";
/// The offices that are there from the beginning.
const PRESENT: [&str; 5] =
    [HEADQUARTERS, "ohchr-central-america", "ohchr-colombia", "ohchr-guatemala", "ohchr-south-america"];
/// Who looks at the end.
const AUDITOR: &str = "auditor-iachr";
/// What offices do about it.
const ACTIONS: [(&str, &str); 2] = [(HEADQUARTERS, "asked-state"), ("ohchr-guatemala", "contacted-person")];
/// The longest that any one wait may take before the demo gives up.
const WAIT_US_MAX: u64 = 40_000_000;
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Shows the main job on this machine: a hub, seven offices, an alert, a kill, an audit.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  resguardo demo --alert examples/alerts/death-threat.xml --keep")]
pub struct Demo {
    /// A CAP 1.2 alert to send instead of the example.
    #[arg(long, value_name = "FILE")]
    alert: Option<PathBuf>,
    /// Leave the hub and the offices running, and print commands to try.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Plays it.
    ///
    /// # Errors
    /// Usage: an alert that is none; else what went wrong, in which step.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        if let Some(file) = &self.alert {
            check(file)?;
        }
        let played = self.play(context);
        if context.stop.token.is_cancelled() {
            return Ok(context.stop.exit());
        }
        played.map(|()| Exit::Done).map_err(|error| Failure::new(Exit::Fault, format!("demo: {error:#}")))
    }

    fn play(&self, context: &Context) -> anyhow::Result<()> {
        let mut stage = Stage::set(context)?;
        let alert = stage.dir.join("alert.xml");
        match &self.alert {
            Some(file) => drop(fs::copy(file, &alert).with_context(|| file.display().to_string())?),
            None => fs::write(&alert, ALERT)?,
        }
        stage.open()?;
        let (id, index) = stage.publish(&alert)?;
        stage.kill_hub(&id, index)?;
        stage.catch_up(&id)?;
        stage.answer(&id)?;
        stage.audit()?;
        if self.keep { stage.leave(&id) } else { stage.strike() }
    }
}

/// Checks an alert before anything is started for it.
fn check(file: &Path) -> Result<(), Failure> {
    let bytes =
        fs::read(file).map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    cap::import(&bytes).map(drop).map_err(|error| Failure::usage(format!("{}, {error}", file.display())))
}

/// The throw-away folder and what runs in it. Dropped, everything ends and the folder is gone.
struct Stage<'a> {
    context: &'a Context,
    program: PathBuf,
    dir: PathBuf,
    hub: Option<Child>,
    offices: Vec<Child>,
    step: u32,
    kept: bool,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for child in self.hub.iter_mut().chain(&mut self.offices) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl<'a> Stage<'a> {
    fn set(context: &'a Context) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own file")?;
        let id = uuid_v7(context.clock.as_ref(), context.random.as_ref());
        let dir = std::env::temp_dir().join(format!("resguardo-demo-{id}"));
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self { context, program, dir, hub: None, offices: Vec::new(), step: 0, kept: false })
    }

    /// Makes the set, founds the hub, starts it and the offices that are there from the beginning.
    fn open(&mut self) -> anyhow::Result<()> {
        self.tell("A hub and seven offices on this machine, with certificates made for this run")?;
        // Taken and given back: the hub takes it a moment later, and again after its restart.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (set, listen) = (self.dir.display().to_string(), format!("127.0.0.1:{port}"));
        self.ask("", &["certs", "dev", "--dir", &set, "--listen", &listen])?;
        self.ask("hub", &["hub", "init"])?;
        self.start_hub()?;
        self.say(&format!("the hub listens on {listen}; its journal is on disk, mutual TLS 1.3 in between"))?;
        for office in PRESENT {
            let child = self.start(office, &["subscribe"])?;
            self.offices.push(child);
        }
        self.say(&format!("five offices subscribe; {LATE} is offline"))
    }

    fn publish(&mut self, alert: &Path) -> anyhow::Result<(String, u64)> {
        self.tell(&format!("{SENDER} publishes an alert"))?;
        let file = alert.display().to_string();
        let published = self.ask(SENDER, &["publish", "alert", &file, "--allow-public"])?;
        let one = published.iter().find(|it| it["object"] == "published");
        let one = one.context("the hub's answer to the alert")?;
        let id = one["message_id"].as_str().context("the alert's id")?.to_owned();
        let index = one["index"].as_u64().context("the alert's index")?;
        self.say(&format!("confirmed: {id} is entry {index} of the journal, on the hub's disk"))?;
        Ok((id, index))
    }

    fn kill_hub(&mut self, id: &str, index: u64) -> anyhow::Result<()> {
        self.tell("The hub is killed in the middle (SIGKILL), and started again")?;
        if let Some(mut hub) = self.hub.take() {
            hub.kill()?;
            hub.wait()?;
        }
        self.start_hub()?;
        self.wait("five offices to have the alert", |stage| {
            Ok(stage.stated(id, "received")?.len() == PRESENT.len())
        })?;
        let still = self.deliveries(id)?.iter().all(|row| row["index"] == index);
        ensure!(still, "the alert is no longer entry {index}");
        self.say(&format!("it is still entry {index}; the five offices came back by themselves, and have it"))
    }

    fn catch_up(&mut self, id: &str) -> anyhow::Result<()> {
        self.tell(&format!("{LATE} comes online"))?;
        let child = self.start(LATE, &["subscribe"])?;
        self.offices.push(child);
        self.wait("the late office to have the alert", |stage| {
            Ok(stage.stated(id, "received")?.iter().any(|office| office == LATE))
        })?;
        self.say("it was owed the alert all the while, and has it now")
    }

    fn answer(&mut self, id: &str) -> anyhow::Result<()> {
        self.tell("People read it, and act")?;
        for office in PRESENT.iter().chain([&LATE]) {
            self.ask(office, &["ack", id, "--stage", "read"])?;
        }
        for (office, action) in ACTIONS {
            self.ask(office, &["ack", id, "--stage", "acted", "--action", action])?;
            self.say(&format!("{office}: {action}"))?;
        }
        Ok(())
    }

    /// Prints what the auditor sees.
    fn audit(&mut self) -> anyhow::Result<()> {
        self.tell("The audit, as an auditor sees it, who never sees a payload")?;
        self.context.screen.line("")?;
        let mut command = self.command(AUDITOR, &["audit", "deliveries"]);
        if self.context.screen.is_json() {
            command.arg("--json");
        }
        // It prints by itself: it sees how wide the terminal is.
        let ended = command.status()?;
        ensure!(ended.success(), "audit deliveries ended with {ended}");
        Ok(())
    }

    /// Ends everything in order and checks what is left.
    fn strike(&mut self) -> anyhow::Result<()> {
        self.tell("Everything stops in order, and the journal is checked")?;
        for child in &mut self.offices {
            terminate(child)?;
        }
        for child in &mut self.offices {
            child.wait()?;
        }
        if let Some(mut hub) = self.hub.take() {
            terminate(&hub)?;
            let ended = hub.wait()?;
            ensure!(ended.success(), "the hub ended with {ended}: {}", self.log("hub"));
        }
        let verified = self.ask("hub", &["hub", "verify"])?;
        let entries = verified.iter().find(|it| it["object"] == "verified").map(|it| it["entries"].clone());
        let entries = entries.context("the result of the check")?;
        self.say(&format!("{entries} entries, every one whole, and the ledger agrees with them"))?;
        Ok(self
            .context
            .screen
            .line("\nNothing is left of it. `demo --keep` leaves it running to try more.")?)
    }

    /// Leaves everything running and says how to go on.
    fn leave(&mut self, id: &str) -> anyhow::Result<()> {
        self.kept = true;
        let (dir, program) = (&self.dir, quoted(&self.program));
        let home = |name: &str| quoted(&dir.join(name));
        let pids: Vec<_> = self.hub.iter().chain(&self.offices).map(|child| child.id().to_string()).collect();
        let lines = [
            "\nIt is left running. To try:".to_owned(),
            format!("  {program} inbox --home {}", home(HEADQUARTERS)),
            format!("  {program} show {id} --home {}", home(HEADQUARTERS)),
            format!("  {program} publish alert {} --allow-public --home {}", home("alert.xml"), home(LATE)),
            format!("  {program} audit message {id} --home {}", home(AUDITOR)),
            format!("  {program} audit entries --home {}", home(AUDITOR)),
            "To end it:".to_owned(),
            format!("  kill {} && rm -r {}", pids.join(" "), quoted(dir)),
        ];
        Ok(self.context.screen.line(&lines.join("\n"))?)
    }

    /// The offices that stated a stage of the alert.
    fn stated(&self, id: &str, stage: &str) -> anyhow::Result<Vec<String>> {
        let rows = self.deliveries(id)?;
        let stated = |row: &&Value| {
            row["stages"].as_array().is_some_and(|stages| stages.iter().any(|it| it["stage"] == stage))
        };
        Ok(rows.iter().filter(stated).filter_map(|row| Some(row["office"].as_str()?.to_owned())).collect())
    }

    fn deliveries(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        let rows = self.ask(AUDITOR, &["audit", "deliveries"])?;
        Ok(rows.into_iter().filter(|row| row["message_id"] == id && row["object"] == "delivery").collect())
    }

    fn start_hub(&mut self) -> anyhow::Result<()> {
        let log = self.dir.join("hub.out");
        self.hub = Some(self.start("hub", &["hub", "run"])?);
        self.wait("the hub to listen", |stage| {
            if let Some(ended) = stage.hub.as_mut().and_then(|hub| hub.try_wait().transpose()) {
                bail!("the hub ended with {}: {}", ended?, stage.log("hub"));
            }
            Ok(fs::read_to_string(&log)?.contains("listening"))
        })
    }

    /// Starts a command that goes on; what it prints is kept in the folder.
    fn start(&self, home: &str, words: &[&str]) -> anyhow::Result<Child> {
        let file = |end| File::create(self.dir.join(format!("{home}.{end}")));
        let mut command = self.command(home, words);
        Ok(command.arg("--json").stdout(file("out")?).stderr(file("err")?).spawn()?)
    }

    /// Runs a command to its end and gives the objects that it printed.
    fn ask(&self, home: &str, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        let output = self.command(home, words).arg("--json").output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`resguardo {}` ended with {}: {}", words.join(" "), output.status, said.trim());
        }
        let lines = String::from_utf8(output.stdout)?;
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn command(&self, home: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env_remove("RESGUARDO_HOME").stdin(Stdio::null());
        if !home.is_empty() {
            command.arg("--home").arg(self.dir.join(home));
        }
        command
    }

    fn log(&self, home: &str) -> String {
        fs::read_to_string(self.dir.join(format!("{home}.err"))).unwrap_or_default()
    }

    fn wait(
        &mut self,
        what: &str,
        mut there: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let clock = &self.context.clock;
        let until = clock.monotonic_us() + WAIT_US_MAX;
        while !there(self)? {
            ensure!(!self.context.stop.token.is_cancelled(), "ended while waiting for {what}");
            ensure!(clock.monotonic_us() < until, "waited in vain for {what}");
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn tell(&mut self, what: &str) -> anyhow::Result<()> {
        self.step += 1;
        Ok(self.context.screen.line(&format!("\n{}. {what}", self.step))?)
    }

    fn say(&self, what: &str) -> anyhow::Result<()> {
        Ok(self.context.screen.line(&format!("   {what}"))?)
    }
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn terminate(child: &Child) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process of this demo's")?;
    Ok(kill_process(pid, Signal::TERM)?)
}
