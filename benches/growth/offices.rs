//! What offices and their sessions cost: six to a thousand of them at one hub, each with a connection, a subscription and signed
//! receipts. One alert at a time to all of them, in as many messages as have room for their names.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use resguardo::wire::proto::{DescribeDirectoryRequest, DescribeDirectoryResponse};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::common::hub::{DevSet, SENDER};
use crate::common::latency::{Latency, Quantiles};
use crate::common::messages::{Audience, Author, Flights};
use crate::common::stopwatch::Stopwatch;
use crate::common::subscriber::{Receipts, Subscriber};
use crate::enrolled::Enrolled;
use crate::say;
use crate::size::ratio;

/// Recipients of one message, as many as the hub takes.
const RECIPIENTS_MAX: usize = 200;
/// Alerts before those that count.
const WARM_UP: u64 = 3;

/// What one number of offices gave.
pub(crate) struct Measured {
    offices: usize,
    /// Messages that an alert takes.
    messages: usize,
    /// Until all were connected and subscribed, one after the other.
    connected_s: f64,
    /// The hub's memory before the first connects, with all of them, and after the alerts.
    empty_mib: f64,
    connected_mib: f64,
    after_mib: f64,
    /// From handing in until an office has it, over all offices; and the longest of all.
    had: Quantiles,
    last_ms: f64,
    /// Of the hub's processor, with all that belongs to a delivery: its part of the message, its receipt.
    cpu_us_per_delivery: f64,
}

/// Measures each number of offices, ascending, at one hub.
pub(crate) async fn measure(
    counts: &[usize],
    alerts: u64,
    dev: &DevSet,
    watch: Stopwatch,
) -> Result<Vec<Measured>> {
    let hub = dev.start_hub()?;
    let channel = hub.connect(&dev.office_home(SENDER)).await?;
    let mut directory = DirectoryServiceClient::new(channel.clone());
    let mut client = ExchangeServiceClient::new(channel);
    let all = whole(&mut directory).await?;
    let mut enrolled = Enrolled::begin(dev, &Audience::of(&all, dev)?.offices)?;
    let mut measured = Vec::new();
    for &count in counts {
        ensure!(count >= enrolled.offices.len(), "{count} offices; ascending, and 6 at least, expected");
        enrolled.enrol(&hub, count).await?;
        let audience = Audience::all(&whole(&mut directory).await?, dev)?;
        ensure!(audience.offices.len() == count, "{} offices of {count}", audience.offices.len());
        let parts = audience.in_parts(RECIPIENTS_MAX);
        let mut authors: Vec<_> = parts.iter().zip(1..).map(|(part, seed)| Author::new(part, seed)).collect();

        let rooms = usize::try_from(WARM_UP + alerts)? * parts.len();
        let flights = Arc::new(Flights::new(watch, rooms));
        let (empty, began_s, stop) = (hub.usage()?, watch.seconds(), CancellationToken::new());
        let (mut sessions, mut recorded) = (JoinSet::new(), Vec::new());
        for office in &enrolled.offices {
            let receipts = Receipts::Signed(Arc::clone(&office.unattended));
            let channel = office.connect(&hub).await?;
            let session = Subscriber::open(channel, &office.name, Arc::clone(&flights), receipts).await?;
            recorded.push(session.recorded());
            sessions.spawn(session.run(stop.clone()));
        }
        let (connected_s, connected) = (watch.seconds() - began_s, hub.usage()?);

        let mut from_ns = 0;
        for alert in 0..WARM_UP + alerts {
            if alert == WARM_UP {
                flights.count_times();
                from_ns = hub.cpu_ns()?;
            }
            let numbers: Vec<_> = authors.iter().map(|_| flights.take()).collect();
            let written = authors.iter_mut().zip(&numbers).map(|(author, number)| author.write(*number));
            let requests: Vec<_> = written.collect();
            for (request, number) in requests.into_iter().zip(numbers) {
                flights.begin(number)?;
                client.publish(request).await?;
            }
            all_recorded(&mut recorded, alert + 1, &mut sessions).await?;
        }
        let cpu_ns = hub.cpu_ns()? - from_ns;
        stop.cancel();
        let mut had = Latency::new();
        while let Some(ended) = sessions.join_next().await {
            had.add(&ended??)?;
        }
        let deliveries = alerts * count as u64;
        ensure!(had.count() == deliveries, "{} deliveries of {deliveries} came", had.count());
        dev.check_nothing_outstanding(&hub).await?;
        let one = Measured {
            offices: count,
            messages: parts.len(),
            connected_s,
            empty_mib: empty.resident_mib,
            connected_mib: connected.resident_mib,
            after_mib: hub.usage()?.resident_mib,
            had: had.quantiles(),
            last_ms: had.longest_ms(),
            cpu_us_per_delivery: ratio(cpu_ns, 1e3 * ratio(deliveries, 1.0)),
        };
        say(&table(std::slice::from_ref(&one)))?;
        measured.push(one);
    }
    hub.stop()?;
    Ok(measured)
}

/// Fetches the directory, which comes in several answers where it is long.
async fn whole(directory: &mut DirectoryServiceClient<Channel>) -> Result<DescribeDirectoryResponse> {
    let mut all = directory.describe_directory(DescribeDirectoryRequest::default()).await?.into_inner();
    while (all.entries.len() as u64) < all.version {
        let after_version = all.entries.len() as u64;
        let more = directory.describe_directory(DescribeDirectoryRequest { after_version }).await?;
        all.entries.extend(more.into_inner().entries);
    }
    Ok(all)
}

/// Waits until the hub has recorded of every session that it has so many alerts.
async fn all_recorded(
    recorded: &mut [watch::Receiver<u64>],
    count: u64,
    sessions: &mut JoinSet<Result<Latency>>,
) -> Result<()> {
    for one in recorded {
        if one.wait_for(|recorded| *recorded >= count).await.is_err() {
            let failed = sessions.join_next().await.context("a session ended")?;
            failed?.context("a session failed")?;
        }
    }
    Ok(())
}

/// Makes the table, in Markdown: a column for each number of offices.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = String::from("| offices, each with a session |");
    for it in measured {
        let _ = write!(text, " {} |", it.offices);
    }
    let _ = write!(text, "\n|---|{}", "---:|".repeat(measured.len()));
    let mut row = |name: &str, digits: usize, value: &dyn Fn(&Measured) -> f64| {
        let _ = write!(text, "\n| {name} |");
        for it in measured {
            let _ = write!(text, " {:.digits$} |", value(it));
        }
    };
    row("messages that an alert to all takes", 0, &|it| ratio(it.messages as u64, 1.0));
    row("connected and subscribed one after the other, ms each", 2, &|it| {
        it.connected_s * 1e3 / ratio(it.offices as u64, 1.0)
    });
    row("memory of the hub before, MiB", 0, &|it| it.empty_mib);
    row("with all connected, MiB", 0, &|it| it.connected_mib);
    row("KiB a session", 0, &|it| (it.connected_mib - it.empty_mib) * 1024.0 / ratio(it.offices as u64, 1.0));
    row("after the alerts, MiB", 0, &|it| it.after_mib);
    row("an office has an alert, p50 ms", 2, &|it| it.had.p50_ms);
    row("p99 ms", 2, &|it| it.had.p99_ms);
    row("the last of all has it, the longest of all alerts, ms", 2, &|it| it.last_ms);
    row("hub CPU µs a delivery, with its receipt", 0, &|it| it.cpu_us_per_delivery);
    text
}
