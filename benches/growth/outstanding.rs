//! How long an office that was away takes to catch up, by how much it is owed: one message to a million.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;

use crate::common::callers::{Callers, Mode};
use crate::common::hub::{DevSet, SENDER};
use crate::common::messages::{Audience, Flights};
use crate::common::source::Source;
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;
use crate::say;
use crate::size::{CALLERS, CONNECTIONS, ratio};

/// Callers that hand in a few messages hand in some more before they are told that it is enough.
const ROOM_BESIDE: u64 = 10_000;

/// What one number gave.
pub(crate) struct Measured {
    owed: u64,
    caught_up_s: f64,
    /// The hub's memory before and after.
    before_mib: f64,
    after_mib: f64,
}

/// Measures each number, one after the other at one hub.
pub(crate) async fn measure(counts: &[u64], dev: &DevSet, watch: Stopwatch) -> Result<Vec<Measured>> {
    let room = counts.iter().map(|count| count + ROOM_BESIDE).sum::<u64>();
    let flights = Arc::new(Flights::new(watch, usize::try_from(room)?));
    let hub = dev.start_hub()?;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(hub.connect(&dev.office_home(SENDER)).await?);
    }
    let mut directory = DirectoryServiceClient::new(channels[0].clone());
    let all = directory.describe_directory(DescribeDirectoryRequest::default()).await?.into_inner();
    let audience = Audience::of(&all, dev)?;
    let (away, present) = audience.offices.split_last().context("no office")?;
    let away = std::slice::from_ref(away);
    let mut subscribers = Subscribers::open(dev, &hub, present, &flights).await?;
    let mut measured = Vec::new();
    for &count in counts {
        let from = flights.count();
        let at_once = u32::try_from(count).unwrap_or(CALLERS).min(CALLERS);
        let used = channels.iter().take(usize::try_from(at_once)?).cloned().collect();
        let mut callers = Callers::new(used, Arc::clone(&flights), Source::Written(audience.clone()), from);
        callers.run(Mode::Stream, at_once, flights.reach(from + count)).await?;
        subscribers.drain(flights.count()).await?;
        let owed = flights.count() - from;
        let (before_mib, began_s) = (hub.usage()?.resident_mib, watch.seconds());
        let mut returned = Subscribers::open(dev, &hub, away, &flights).await?;
        returned.drain(owed).await?;
        let caught_up_s = watch.seconds() - began_s;
        returned.end().await?;
        dev.check_nothing_outstanding(&hub).await?;
        let after_mib = hub.usage()?.resident_mib;
        let one = Measured { owed, caught_up_s, before_mib, after_mib };
        say(&table(std::slice::from_ref(&one)))?;
        measured.push(one);
    }
    subscribers.end().await?;
    hub.stop()?;
    Ok(measured)
}

/// Makes the table, in Markdown.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| messages outstanding when an office comes back | until it has acknowledged all, s | messages/s | memory of the hub \
         before, after, MiB |\n|---:|---:|---:|---:|\n",
    );
    for Measured { owed, caught_up_s, before_mib, after_mib } in measured {
        let per_s = ratio(*owed, *caught_up_s);
        let _ =
            writeln!(text, "| {owed} | {caught_up_s:.3} | {per_s:.0} | {before_mib:.0}, {after_mib:.0} |");
    }
    text
}
