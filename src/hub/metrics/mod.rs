//! What the hub counts and measures, for Prometheus.
//!
//! Owns the meters and the names of all metrics (Prometheus' rules: base units, `_total`). What the status says is taken
//! from the same look. Never has a message's id or content among its labels. At a crash the counts begin at 0 again.

mod serve;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tonic::Status;

pub(super) use self::serve::serve;
use super::alarms::Alarm;
use super::{Hub, operator};
use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::model::envelope::CapStatus;
use crate::model::receipt::Stage;
use crate::wire::proto::{DescribeHubResponse, OfficeBacklog};

/// Upper ends of the classes for what takes a sync and a place in a queue, in seconds.
const CONFIRM_S: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// The same for what waits for an office: from a good line to an office that was away over a long weekend.
const RECEIVED_S: [f64; 13] =
    [0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0, 345_600.0];

type Label = [(&'static str, &'static str); 1];
type Labelled = Family<Label, Counter>;

/// The meters; a clone counts on the same.
#[derive(Clone)]
pub(super) struct Meters {
    registry: Arc<Registry>,
    accepted: Labelled,
    repeated: Counter,
    receipts: Labelled,
    refusals: Labelled,
    strangers: Labelled,
    deliveries: Counter,
    confirm: Histogram,
    received: Histogram,
    sync: Histogram,
}

impl Meters {
    /// Begins at 0.
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("resguardo");
        let (accepted, receipts) = (Labelled::default(), Labelled::default());
        let (refusals, strangers) = (Labelled::default(), Labelled::default());
        let (repeated, deliveries) = (Counter::default(), Counter::default());
        let [confirm, sync] = [CONFIRM_S; 2].map(Histogram::new);
        let received = Histogram::new(RECEIVED_S);
        let r = &mut registry;
        r.register(
            "messages_accepted",
            "Accepted messages, by their status; only Actual ones are real",
            accepted.clone(),
        );
        r.register("messages_repeated", "Messages handed in that had been accepted before", repeated.clone());
        r.register("receipts_recorded", "Recorded statements of offices, by stage", receipts.clone());
        r.register("refusals", "Refusals of enrolled callers, by reason", refusals.clone());
        r.register(
            "strangers_refused",
            "Connections and calls of who is not enrolled, by reason",
            strangers.clone(),
        );
        r.register("deliveries", "Messages and notices sent down, repetitions too", deliveries.clone());
        let (help, unit) = ("From the door to the answer of a publish", Unit::Seconds);
        r.register_with_unit("publish_confirm", help, unit, confirm.clone());
        let (help, unit) = ("From a message's acceptance to an office's first `received`", Unit::Seconds);
        r.register_with_unit("delivery_received", help, unit, received.clone());
        let (help, unit) = ("Writing and syncing one batch to the journal", Unit::Seconds);
        r.register_with_unit("journal_sync", help, unit, sync.clone());
        let registry = Arc::new(registry);
        Self {
            registry,
            accepted,
            repeated,
            receipts,
            refusals,
            strangers,
            deliveries,
            confirm,
            received,
            sync,
        }
    }

    /// How much there was so far: accepted messages, receipts, deliveries.
    pub(super) fn totals(&self) -> [u64; 3] {
        let accepted =
            CapStatus::ALL.iter().map(|it| self.accepted.get_or_create(&[("status", it.name())]).get());
        let receipts = Stage::ALL.iter().map(|it| self.receipts.get_or_create(&[("stage", it.name())]).get());
        [accepted.sum(), receipts.sum(), self.deliveries.get()]
    }

    /// A refusal of somebody enrolled.
    pub(super) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&[("reason", reason)]).inc();
    }

    /// A refusal of somebody who is not enrolled.
    pub(super) fn stranger(&self, reason: &'static str) {
        self.strangers.get_or_create(&[("reason", reason)]).inc();
    }

    /// Things that were sent down.
    pub(super) fn sent(&self, count: u32) {
        self.deliveries.inc_by(count.into());
    }

    /// Publishes that were answered together, after so many microseconds.
    pub(super) fn confirmed(&self, publishes: usize, after_us: u64) {
        (0..publishes).for_each(|_| self.confirm.observe(seconds(after_us)));
    }

    /// A batch that is on the disk, after so many microseconds.
    pub(super) fn synced(&self, after_us: u64) {
        self.sync.observe(seconds(after_us));
    }

    /// What the ledger decided of a batch.
    pub(super) fn decided(&self, entries: &[Decoded], outcomes: &[Outcome], received_after_us: &[u64]) {
        for (entry, outcome) in entries.iter().zip(outcomes) {
            match (&entry.statement, outcome) {
                (Statement::Publish { .. }, Outcome::Accepted { duplicate: true, .. }) => {
                    self.repeated.inc();
                }
                (Statement::Publish { envelope, .. }, Outcome::Accepted { .. }) => {
                    self.accepted.get_or_create(&[("status", envelope.status.name())]).inc();
                }
                (Statement::Receipt(receipt), Outcome::Recorded { .. }) => {
                    self.receipts.get_or_create(&[("stage", receipt.stage.name())]).inc();
                }
                (_, Outcome::Refused(refusal)) => self.refused(refusal.reason.name()),
                _ => {}
            }
        }
        for after_us in received_after_us {
            self.received.observe(seconds(*after_us));
        }
    }

    /// Everything as text, in the form of OpenMetrics.
    ///
    /// # Errors
    /// A status when the hub stops or its ledger fails.
    async fn page(&self, hub: &Arc<Hub>) -> Result<String, Status> {
        let mut gauges = Registry::with_prefix("resguardo");
        gauges.register_collector(Box::new(Look(operator::describe(hub).await?)));
        let mut page = String::new();
        text::encode_registry(&mut page, &self.registry)
            .and_then(|()| text::encode(&mut page, &gauges))
            .expect("a string takes everything");
        Ok(page)
    }
}

/// Microseconds as seconds: exact to the microsecond for 285 years.
#[expect(clippy::cast_precision_loss, reason = "a time of more than 285 years is of no use here")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// The gauges: how the hub was when it was looked at.
#[derive(Debug)]
struct Look(DescribeHubResponse);

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let it = &self.0;
        let disk = it.disk.unwrap_or_default();
        let version = vec![(vec![("version", it.version.as_str())], 1.0)];
        put(&mut encoder, "build_info", "The program's version", None, version)?;
        let (seconds_unit, bytes_unit) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let at = "When this run began, since 1970";
        put(&mut encoder, "start_time", at, seconds_unit, one(seconds(it.started_unix_us)))?;
        put(&mut encoder, "journal_entries", "Entries of the journal", None, one(whole(it.entries)))?;
        let free: Vec<_> = disk.free_bytes.map(|free| (Vec::new(), whole(free))).into_iter().collect();
        put(&mut encoder, "disk_free", "Free on the journal's disk", bytes_unit, free)?;
        let reserve = "With less than this free, publishing is refused";
        put(&mut encoder, "disk_reserve", reserve, bytes_unit, one(whole(disk.reserve_bytes)))?;
        put(
            &mut encoder,
            "journal_size",
            "The journal's segments",
            bytes_unit,
            one(whole(disk.journal_bytes)),
        )?;
        put(&mut encoder, "ledger_size", "The ledger's store", bytes_unit, one(whole(disk.ledger_bytes)))?;
        put(&mut encoder, "connections", "Open connections", None, one(whole(it.connections)))?;
        let ends = vec![(vec![("holder", "hub")], seconds(it.certificate_not_after_unix_us))];
        let connected = it
            .connected
            .iter()
            .map(|one| (vec![("holder", one.identity.as_str())], seconds(one.certificate_not_after_unix_us)));
        // Of several connections of one identity that with the certificate that ends first.
        let mut ends: Vec<_> = ends.into_iter().chain(connected).collect();
        ends.sort_by(|a: &(Labels<'_>, f64), b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        ends.dedup_by(|later, first| later.0 == first.0);
        let help = "End of the certificate of the hub and of who is connected, since 1970";
        put(&mut encoder, "certificate_expiry_timestamp", help, seconds_unit, ends)?;
        let next = it.revocations_next_update_unix_us.map(|at| (Vec::new(), seconds(at)));
        let help = "When a newer revocation list is due, since 1970";
        put(
            &mut encoder,
            "revocations_next_update_timestamp",
            help,
            seconds_unit,
            next.into_iter().collect(),
        )?;
        self.offices(&mut encoder)?;
        let in_force = |alarm: &Alarm| it.alarms.iter().any(|one| one.name == alarm.name());
        let alarms = Alarm::ALL
            .iter()
            .map(|alarm| (vec![("alarm", alarm.name())], if in_force(alarm) { 1.0 } else { 0.0 }));
        put(&mut encoder, "alarm", "1 while an alarm is in force", None, alarms.collect())
    }
}

impl Look {
    fn offices(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let offices = || self.0.offices.iter().filter(|office| !office.removed);
        let counts = |office: &OfficeBacklog| {
            [
                ("urgent", office.outstanding_urgent),
                ("other", office.outstanding_other),
                ("drill", office.outstanding_drills),
                ("notice", office.outstanding_notices),
            ]
        };
        let outstanding = offices().flat_map(|office| {
            counts(office)
                .map(|(kind, count)| (vec![("office", office.office.as_str()), ("kind", kind)], whole(count)))
        });
        let help = "What an office has not acknowledged as received; what is not real is of kind drill";
        put(encoder, "outstanding", help, None, outstanding.collect())?;
        let unread =
            offices().map(|office| (vec![("office", office.office.as_str())], whole(office.unread_urgent)));
        let help = "Real, urgent messages, received or not, that nobody at an office has read";
        put(encoder, "unread_urgent", help, None, unread.collect())?;
        let overdue = offices().flat_map(|office| {
            [("real", office.overdue), ("drill", office.overdue_drills)]
                .map(|(kind, count)| (vec![("office", office.office.as_str()), ("kind", kind)], whole(count)))
        });
        let help =
            "What an office missed about messages and has not done since; what is not real is of kind drill";
        put(encoder, "overdue", help, None, overdue.collect())?;
        let oldest = offices().filter_map(|office| {
            let at = office.oldest_unread_urgent.as_ref()?.accepted_unix_us;
            Some((vec![("office", office.office.as_str())], seconds(at)))
        });
        let help = "Acceptance of the oldest of these, since 1970; absent where there is none";
        put(encoder, "oldest_unread_urgent_timestamp", help, Some(&Unit::Seconds), oldest.collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and sizes are exact up to 2^53")]
fn whole(number: u64) -> f64 {
    number as f64
}

fn one<'a>(value: f64) -> Vec<(Labels<'a>, f64)> {
    vec![(Vec::new(), value)]
}

fn put(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: Vec<(Labels<'_>, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in values {
        if labels.is_empty() {
            metric.encode_gauge(&value)?;
        } else {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}
