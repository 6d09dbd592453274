//! The development set: `certs dev` writes homes that are ready to use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::stage::PROGRAM;
use crate::stage::authority::Papers;
use crate::stage::client::knock_at;
use crate::stage::founding::OFFICES;
use crate::stage::process::HubProcess;
use crate::stage::wait::within;

async fn program(arguments: &[&str], last: &Path) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg(last).env_remove("RESGUARDO_HOME").kill_on_drop(true);
    within("the program ends", command.output()).await.expect("the program runs")
}

fn papers(home: &Path) -> Papers {
    let read = |name: &str| fs::read_to_string(home.join("tls").join(name)).expect(name);
    Papers { certificate: read("cert.pem"), key: read("key.pem"), authority: read("ca.pem") }
}

#[tokio::test]
async fn dev_set_is_ready_to_use_by_the_hub_the_offices_and_the_auditors() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let made = program(&["certs", "dev", "--dir"], &set).await;
    assert!(made.status.success(), "{made:?}");
    let hub = set.join("hub");
    let config = fs::read_to_string(hub.join("hub.toml")).unwrap();
    let anywhere: Vec<_> = config
        .lines()
        .map(|line| if line.trim_start().starts_with("listen") { "listen = \"127.0.0.1:0\"" } else { line })
        .collect();
    fs::write(hub.join("hub.toml"), anywhere.join("\n")).unwrap();
    let founded = program(&["hub", "init", "--home"], &hub).await;
    assert!(founded.status.success(), "{founded:?}");
    let process = HubProcess::start(&hub, &folder.path().join("log")).await.unwrap();
    let address = format!("127.0.0.1:{}", process.port());
    let offices = OFFICES.iter().map(|(office, _)| (*office).to_owned());
    let auditors = ["auditor-iachr", "auditor-ohchr"].map(str::to_owned);
    for home in offices.chain(auditors) {
        let home = set.join(home);
        let channel = knock_at(&address, &papers(&home)).await.unwrap();
        let desk = crate::stage::client::Desk { identity: String::new(), channel };
        assert!(!desk.directory().await.unwrap().entries.is_empty());
        let permissions = fs::metadata(home.join("tls/key.pem")).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o077, 0, "{} can be read by others", home.display());
        assert!(home.join("desk.toml").is_file());
    }
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn dev_set_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    assert!(program(&["certs", "dev", "--dir"], &set).await.status.success());
    let key = set.join("iachr/tls/key.pem");
    let before = fs::read(&key).unwrap();
    let again = program(&["certs", "dev", "--dir"], &set).await;
    assert!(!again.status.success() && !again.stderr.is_empty(), "{again:?}");
    assert_eq!(fs::read(&key).unwrap(), before);
}

#[test]
fn git_ignores_the_dev_set_but_for_its_readme_and_its_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    for line in ["/certs-dev/*", "!/certs-dev/README.md", "!/certs-dev/offices.toml"] {
        assert!(ignored.lines().any(|found| found == line), "no line {line} in .gitignore");
    }
    for kept in ["certs-dev/README.md", "certs-dev/offices.toml"] {
        assert!(root.join(kept).is_file(), "{kept} is not there");
    }
}
