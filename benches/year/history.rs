//! One alert, by the real program: published, received and read by six offices, acted on by one; and what an auditor is given of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use resguardo::evidence::Evidence;
use serde_json::Value;

use crate::common::hub::{DevSet, PROGRAM, SENDER};

/// Who asks for evidence.
pub(crate) const AUDITOR: &str = "auditor-ohchr";
/// The alert.
const ALERT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/alerts/death-threat.xml");
/// How often a checkpoint over all of it is asked for, and how many times at most.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASKED_MAX: u32 = 60;

/// The program, for a home.
pub(crate) fn command(dev: &DevSet, home: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("--json").arg("--home").arg(dev.office_home(home)).args(arguments);
    command.env_remove("RESGUARDO_HOME");
    command
}

/// Runs it to its good end; gives its objects.
pub(crate) fn run(dev: &DevSet, home: &str, arguments: &[&str]) -> Result<Vec<Value>> {
    run_ending(dev, home, arguments, &[0])
}

/// Runs it to an end with one of these codes; gives its objects.
pub(crate) fn run_ending(dev: &DevSet, home: &str, arguments: &[&str], codes: &[i32]) -> Result<Vec<Value>> {
    let output = command(dev, home, arguments).output()?;
    let told = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    ensure!(
        output.status.code().is_some_and(|code| codes.contains(&code)),
        "{arguments:?} of {home} ended with {}:\n{}",
        output.status,
        told.concat()
    );
    told[0].lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Publishes the alert to some offices; gives its id.
pub(crate) fn publish(dev: &DevSet, to: &[String]) -> Result<String> {
    let to = to.join(",");
    let told = run(dev, SENDER, &["publish", "alert", ALERT, "--to", &to, "--unconfirmed-ok"])?;
    let published = told.iter().find(|it| it["object"] == "published").context("nothing was published")?;
    Ok(published["message_id"].as_str().context("no id")?.to_owned())
}

/// Has the alert received and read by the offices, and acted on by the first; gives the evidence of it.
pub(crate) fn of_an_alert(dev: &DevSet, offices: &[String], folder: &Path) -> Result<Evidence> {
    let id = publish(dev, offices)?;
    for office in offices {
        run(dev, office, &["subscribe", "--count", "1"])?;
    }
    for office in offices {
        run(dev, office, &["ack", &id, "--stage", "read"])?;
    }
    run(dev, &offices[0], &["ack", &id, "--stage", "acted", "--action", "contacted-person"])?;
    let file = folder.join("alert.evidence");
    for _ in 0..ASKED_MAX {
        let evidence = given(dev, &id, &file)?;
        if let Some(evidence) = evidence.filter(|it| it.entries.len() == 2 + 2 * offices.len()) {
            return Ok(evidence);
        }
        sleep(ASK_EVERY);
    }
    anyhow::bail!("no checkpoint over the history of an alert within {ASKED_MAX} s")
}

/// What the auditor is given by now; `None`: no checkpoint covers all of it yet.
fn given(dev: &DevSet, id: &str, file: &PathBuf) -> Result<Option<Evidence>> {
    if file.exists() {
        std::fs::remove_file(file)?;
    }
    let path = file.to_str().context("a path of text")?;
    let asked = command(dev, AUDITOR, &["audit", "message", id, "--evidence", path]).output()?;
    if !file.exists() {
        let said = String::from_utf8_lossy(&asked.stderr);
        ensure!(said.contains("checkpoint"), "no evidence is given: {said}");
        return Ok(None);
    }
    Ok(Some(Evidence::parse(&Bytes::from(std::fs::read(file)?))?))
}
