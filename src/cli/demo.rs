//! `demo`: the main job, shown on this machine with real processes: a hub, seven offices, an alert, a kill, an audit.
//!
//! Owns the story and its stage, a throw-away folder. Every step is a command of this program, run as a process of its
//! own, as a person or a service would run it. Leaves nothing behind, unless it is asked to.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::host::clock::Clock;

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
    ["iachr", "ohchr-central-america", "ohchr-colombia", "ohchr-guatemala", "ohchr-south-america"];
/// The stream of urgent alerts.
const STREAM: &str = "monitoring-protection";
/// The longest that any one step may take before the demo gives up.
const STEP_US_MAX: u64 = 30_000_000;
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Shows the main job on this machine: a hub, seven offices, an alert, a kill, an audit.
#[derive(Debug, Args)]
pub struct Demo {
    /// A CAP 1.2 alert to send instead of the example.
    #[arg(long, value_name = "FILE")]
    alert: Option<PathBuf>,
    /// Leave hub and offices running, and print commands to try.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Plays it.
    ///
    /// # Errors
    /// What went wrong, in which step.
    pub fn run(&self, out: &mut dyn Write, clock: &dyn Clock) -> anyhow::Result<()> {
        let mut stage = Stage::set(clock, self.keep)?;
        let alert = stage.dir.join("alert.xml");
        match &self.alert {
            Some(file) => fs::copy(file, &alert).map(|_| ()).with_context(|| format!("{}", file.display()))?,
            None => fs::write(&alert, ALERT)?,
        }
        writeln!(out, "Resguardo: one alert, seven offices, one hub, on this machine.\n")?;
        stage.play(out, &alert)?;
        if self.keep { stage.leave(out) } else { stage.strike(out) }
    }
}

/// The throw-away folder and what runs in it.
struct Stage<'a> {
    dir: PathBuf,
    program: PathBuf,
    clock: &'a dyn Clock,
    hub: Option<Child>,
    offices: Vec<Child>,
    keep: bool,
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if self.keep {
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
