//! A hub and homes in a throw-away folder, and the program run on them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::line::Line;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_resguardo");

/// A founded set of homes. What runs on it is killed when it is dropped.
pub(crate) struct Stage {
    dir: TempDir,
    hub: Option<Child>,
    /// More arguments of `hub run`, and what `RUST_LOG` is.
    pub(crate) logs: (Vec<&'static str>, &'static str),
    /// Where a service manager listens.
    pub(crate) notify: Option<PathBuf>,
    /// What stands in the environment of all programs, beside the usual.
    pub(crate) environment: Vec<(String, String)>,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

/// How long a line is waited for: only what hangs takes longer.
const LINE: Duration = Duration::from_mins(10);

impl Stage {
    /// Makes homes, founds the hub and starts it.
    pub(crate) fn set() -> Self {
        let mut stage = Self::without_hub();
        stage.start_hub();
        stage
    }

    /// As [`Stage::set`], with certificates that end after so many days.
    pub(crate) fn ending_in(days: &str) -> Self {
        let mut stage = Self::without_hub_ending_in(days);
        stage.start_hub();
        stage
    }

    /// As [`Stage::ending_in`], and nobody listens.
    pub(crate) fn without_hub_ending_in(days: &str) -> Self {
        Self::made(&["--days", days])
    }

    /// Makes homes and founds the hub; nobody listens.
    pub(crate) fn without_hub() -> Self {
        Self::made(&[])
    }

    /// A copy of all its homes while nobody listens, for something else to happen there.
    pub(crate) fn copied(&self) -> Self {
        assert!(self.hub.is_none(), "a hub that runs changes what is copied");
        let dir = tempfile::tempdir().unwrap();
        let (logs, environment) = (self.logs.clone(), self.environment.clone());
        let copy = Self { dir, hub: None, logs, notify: None, environment };
        let copied = run(Command::new("cp").arg("-a").arg(self.path("")).arg(copy.dir.path()));
        assert_eq!(copied.code, 0, "{copied:?}");
        let address = self.hub_address().to_string();
        copy.rewrite("hub/hub.toml", &address, "127.0.0.1:1");
        for home in copy.desks() {
            copy.rewrite(&format!("{home}/desk.toml"), &address, "127.0.0.1:1");
        }
        copy
    }

    /// The homes of desks, auditors and operators.
    fn desks(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("")).unwrap();
        let names = names.map(|home| home.unwrap().file_name().into_string().unwrap());
        names.filter(|name| self.path(name).join("desk.toml").exists()).collect()
    }

    fn made(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stage =
            Self { dir, hub: None, logs: (Vec::new(), "info"), notify: None, environment: Vec::new() };
        let made = run(Command::new(PROGRAM)
            .args(["certs", "dev", "--listen", "127.0.0.1:1", "--dir"])
            .arg(stage.path(""))
            .args(arguments));
        assert_eq!(made.code, 0, "{made:?}");
        let founded = run(Command::new(PROGRAM).args(["hub", "init", "--home"]).arg(stage.path("hub")));
        assert_eq!(founded.code, 0, "{founded:?}");
        stage
    }

    /// Starts the hub, on a free port the first time and on the same one later, and waits until it listens.
    pub(crate) fn start_hub(&mut self) {
        self.rewrite("hub/hub.toml", "127.0.0.1:1\"", "127.0.0.1:0\"");
        let mut command = Command::new(PROGRAM);
        command.args(["hub", "run", "--home"]).arg(self.path("hub")).stdout(Stdio::piped());
        command.args(&self.logs.0).env("RUST_LOG", self.logs.1).envs(self.environment.iter().cloned());
        if let Some(path) = &self.notify {
            command.env("NOTIFY_SOCKET", path);
        }
        let log = fs::File::create(self.path("hub.log")).unwrap();
        let mut child = command.stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| {
            panic!("{line:?}: {}", fs::read_to_string(self.path("hub.log")).unwrap_or_default())
        });
        self.rewrite("hub/hub.toml", "listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
        for home in self.desks() {
            self.rewrite(&format!("{home}/desk.toml"), "127.0.0.1:1\"", &format!("{address}\""));
        }
        self.hub = Some(child);
    }

    /// Where the hub listens, once it has.
    pub(crate) fn hub_address(&self) -> SocketAddr {
        let config = fs::read_to_string(self.path("hub/hub.toml")).unwrap();
        let listen = config.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
        listen.trim_end_matches('"').parse().unwrap()
    }

    /// Leads these homes to the hub by a line of the test's.
    pub(crate) fn by_line(&self, homes: &[&str]) -> Line {
        let line = Line::to(self.hub_address());
        self.lead(homes, &line);
        line
    }

    /// Leads these homes to the hub by a line that is there.
    pub(crate) fn lead(&self, homes: &[&str], line: &Line) {
        let (hub, line) = (self.hub_address().to_string(), line.address().to_string());
        for home in homes {
            self.rewrite(&format!("{home}/desk.toml"), &hub, &line);
        }
    }

    /// The hub's process.
    pub(crate) fn hub_id(&self) -> u32 {
        self.hub.as_ref().expect("it runs").id()
    }

    /// Ends the hub at once.
    pub(crate) fn kill_hub(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            hub.kill().unwrap();
            hub.wait().unwrap();
        }
    }

    /// Sends the hub a signal by its name.
    pub(crate) fn signal_hub(&self, name: &str) {
        signal(self.hub.as_ref().expect("it runs"), name);
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("set").join(name)
    }

    /// Changes a file of the set.
    pub(crate) fn rewrite(&self, name: &str, from: &str, to: &str) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// The program, for a home.
    pub(crate) fn command(&self, home: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(self.path(home)).args(arguments).env_remove("RESGUARDO_HOME");
        command.env("LANG", "es_HN.UTF-8").env_remove("LC_ALL").env_remove("LANGUAGE").stdin(Stdio::null());
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, home: &str, arguments: &[&str]) -> Ran {
        run(&mut self.command(home, arguments))
    }

    /// Runs the program to its end, which must be a good one.
    pub(crate) fn well(&self, home: &str, arguments: &[&str]) -> String {
        let ran = self.run(home, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs the program to its good end and reads its objects.
    pub(crate) fn objects(&self, home: &str, arguments: &[&str]) -> Vec<Value> {
        let arguments = [&["--json"], arguments].concat();
        objects(&self.well(home, &arguments))
    }

    /// Starts the program.
    pub(crate) fn start(&self, home: &str, arguments: &[&str]) -> Running {
        Running::of(&mut self.command(home, arguments))
    }

    /// Has one registrar write an amendment, the other sign it, and the operator hand it in.
    pub(crate) fn amend(&self, arguments: &[&str]) {
        let path = self.path("amendment");
        // Nothing is written over: not even what was handed in before.
        let _ = fs::remove_file(&path);
        let path = path.to_str().unwrap();
        self.well("registrar-iachr", &[arguments, &["--to", path]].concat());
        self.well("registrar-ohchr", &["registrar", "sign", path, "--yes"]);
        self.well("operator-dev", &["hub", "directory", "add", path]);
        for registrar in ["registrar-iachr", "registrar-ohchr"] {
            self.well(registrar, &["registrar", "update", path]);
        }
    }

    /// Writes an alert with this identifier and gives its path.
    pub(crate) fn alert(&self, identifier: &str) -> String {
        self.file(identifier, &super::alerts::alert(identifier, ""))
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(&format!("{name}.xml"));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The names in a folder of a home that end so.
    pub(crate) fn names(&self, folder: &str, ending: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(ending)).collect();
        names.sort();
        names
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_hub();
    }
}

impl Running {
    /// Starts it.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Reads the next line.
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(LINE).expect("the program prints a line")
    }

    /// Reads objects until one is of this kind.
    pub(crate) fn object(&mut self, kind: &str) -> Value {
        self.objects_until(&[kind]).pop().expect("it was waited for")
    }

    /// Reads objects until there was one of each kind.
    pub(crate) fn objects_until(&mut self, kinds: &[&str]) -> Vec<Value> {
        let mut read: Vec<Value> = Vec::new();
        let missing = |read: &[Value]| kinds.iter().any(|kind| read.iter().all(|it| it["object"] != *kind));
        while missing(&read) {
            let line = self.lines.recv_timeout(LINE);
            let line = line.unwrap_or_else(|_| panic!("of {kinds:?} not all came: {read:?}"));
            read.push(serde_json::from_str(&line).unwrap());
        }
        read
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

/// Reads lines beside the test, so that it can give up waiting for one.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = sync_channel(1_024);
    let read = move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(read).unwrap();
    lines
}

/// Looks again and again, for a minute at most.
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if look() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain until {what}");
}

/// Reads one object a line.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no object: {line}")))
        .collect()
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The example alert of the repository.
pub(crate) fn example() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/alerts/death-threat.xml")
        .to_str()
        .unwrap()
        .to_owned()
}
