//! What an export takes for each of its entries: signed messages and receipts go through the hub, the auditor exports all of them, and
//! somebody checks the file; both by the program, as it is used.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use crate::common::callers::{Callers, Mode};
use crate::common::hub::{DevSet, Hub, SENDER};
use crate::common::messages::{Audience, Flights};
use crate::common::source::Source;
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;
use crate::history::{run, run_ending};

/// The seed before those of the messages' ids.
const SEED: u64 = 40;
/// Who exports: the other auditor has seen another hub's logs by then, and would say so.
pub(crate) const AUDITOR: &str = "auditor-iachr";
/// How a check of what holds ends: witnessed, and not yet.
const HOLDS: [i32; 2] = [0, 7];
/// Longer than from one checkpoint to the next.
const CHECKPOINT: Duration = Duration::from_secs(8);

/// An export.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exported {
    pub(crate) messages: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// Seconds of `audit export`, in which it is checked once, too.
    pub(crate) written_s: f64,
    /// Seconds of `verify`.
    pub(crate) verified_s: f64,
}

/// Has so many messages sent and received, one after the other, so that each has a receipt of its own from each of six offices; exports
/// and checks all entries of the journal.
pub(crate) async fn measure(
    (dev, hub): (&DevSet, &Hub),
    audience: Audience,
    messages: u64,
    watch: Stopwatch,
) -> Result<Exported> {
    let flights = Arc::new(Flights::new(watch, usize::try_from(messages)? + 1));
    let mut subscribers = Subscribers::open(dev, hub, &audience.offices, &flights).await?;
    let channel = hub.connect(&dev.office_home(SENDER)).await?;
    let mut callers = Callers::new(vec![channel], Arc::clone(&flights), Source::Written(audience), SEED);
    callers.run(Mode::Calls, 1, flights.reach(messages)).await?;
    subscribers.drain(flights.count()).await?;
    subscribers.end().await?;
    let mut covered = 0;
    while covered != dev.logged_entries()? {
        covered = dev.logged_entries()?;
        sleep(CHECKPOINT).await;
    }

    let file = dev.office_home(AUDITOR).join("all.export");
    let path = file.to_str().context("a path of text")?;
    let until = covered.to_string();
    let began_s = watch.seconds();
    run(dev, AUDITOR, &["audit", "export", path, "--to", &until])?;
    let written_s = watch.seconds() - began_s;
    let trust = dev.office_home(AUDITOR).join("trust.toml");
    let trust = trust.to_str().context("a path of text")?;
    let began_s = watch.seconds();
    let told = run_ending(dev, AUDITOR, &["verify", path, "--trust", trust], &HOLDS)?;
    let verified_s = watch.seconds() - began_s;
    let object = told.first().context("the check said nothing")?;
    ensure!(object["entries"] == covered && object["hidden"] == 0, "not all {covered} entries: {object}");
    let bytes = file.metadata()?.len();
    Ok(Exported { messages: flights.count(), entries: covered, bytes, written_s, verified_s })
}
