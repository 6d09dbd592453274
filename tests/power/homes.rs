//! A hub and offices' homes in one folder, each of which stands for a machine of its own, and the program run on them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::stage::{PROGRAM, free_port};

/// Homes, and the hub if it runs. Dropped, what runs is killed.
pub(crate) struct Homes {
    folder: TempDir,
    hub: Option<Child>,
    /// What stands in the environment of every program.
    pub(crate) environment: Vec<(String, String)>,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) objects: Vec<Value>,
    pub(crate) err: String,
}

impl Ran {
    /// Objects of a kind.
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |it| it["object"] == kind)
    }
}

/// A program that runs and prints objects.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Homes {
    /// Homes for trying, with a founded hub that does not run.
    pub(crate) fn founded() -> Self {
        let folder = tempfile::Builder::new().prefix("resguardo-power-").tempdir().expect("a folder");
        let homes = Self { folder, hub: None, environment: Vec::new() };
        let (set, listen) = (homes.folder.path().join("set"), format!("127.0.0.1:{}", free_port()));
        let mut made = Command::new(PROGRAM);
        made.args(["certs", "dev", "--listen", &listen, "--dir"]).arg(set);
        ran(&mut made);
        let founded = homes.run("hub", &["hub", "init"]);
        assert_eq!(founded.code, Some(0), "{founded:?}");
        homes
    }

    /// The home of this name.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("set").join(name)
    }

    /// A place beside the homes.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, home: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--json").arg("--home").arg(self.home(home)).args(arguments);
        command.env_remove("RESGUARDO_HOME").env("LANG", "C").envs(self.environment.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, home: &str, arguments: &[&str]) -> Ran {
        ran(&mut self.command(home, arguments))
    }

    /// Runs a command to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn well(&self, home: &str, arguments: &[&str]) -> Ran {
        let ran = self.run(home, arguments);
        assert_eq!(ran.code, Some(0), "{home}: {arguments:?}: {ran:?}");
        ran
    }

    /// Starts a program that prints objects for as long as it runs.
    pub(crate) fn start(&self, home: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(home, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        Running { child, lines }
    }

    /// Starts the hub, which must come up.
    #[track_caller]
    pub(crate) fn start_hub(&mut self) {
        let said = fs::File::create(self.beside("hub.log")).expect("a log");
        let mut command = self.command("hub", &["hub", "run"]);
        let mut child = command.stdout(Stdio::piped()).stderr(said).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        self.hub = Some(child);
        assert!(line.contains("listening"), "the hub does not come back: {}", self.hub_said());
    }

    /// What the hub said on its standard error in this run.
    pub(crate) fn hub_said(&self) -> String {
        fs::read_to_string(self.beside("hub.log")).unwrap_or_default()
    }

    /// Ends the hub at once.
    pub(crate) fn kill_hub(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            hub.kill().expect("it can be killed");
            hub.wait().expect("its end can be awaited");
        }
    }

    /// The names in a folder of a home that end so.
    pub(crate) fn names(&self, folder: &str, ending: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home(folder)) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("it can be listed").file_name().into_string());
        let names = names.map(|name| name.expect("a name in ASCII"));
        names.filter(|name| name.ends_with(ending)).collect()
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        self.kill_hub();
    }
}

impl Running {
    /// Reads objects until one is of this kind.
    pub(crate) fn object(&mut self, kind: &str) -> Value {
        loop {
            let line = self.lines.next().expect("it prints on").expect("its output is text");
            let object: Value = serde_json::from_str(&line).expect("an object");
            if object["object"] == kind {
                return object;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let objects = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code(), objects, err }
}

/// The text of a member.
#[track_caller]
pub(crate) fn member<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}"))
}

/// Writes an alert, an exercise, and gives its path.
pub(crate) fn alert(dir: &Path, identifier: &str) -> String {
    let path = dir.join(format!("{identifier}.xml"));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\
         <identifier>{identifier}</identifier><sender>test@resguardo.example</sender>\
         <sent>2026-03-02T09:14:00-06:00</sent><status>Exercise</status><msgType>Alert</msgType>\
         <scope>Restricted</scope><restriction>Offices only</restriction><info><language>es</language>\
         <category>Security</category><event>Amenaza</event><urgency>Immediate</urgency>\
         <severity>Severe</severity><certainty>Likely</certainty><headline>Titular {identifier}</headline>\
         </info></alert>"
    );
    fs::write(&path, text).expect("the alert is written");
    path.to_str().expect("a name in ASCII").to_owned()
}
