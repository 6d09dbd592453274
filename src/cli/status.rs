//! `hub status|clock-ok`: how the hub is, for its operator, and the operator's word that its clock is right.
//!
//! Owns how it is shown. What is wrong is the hub's to say: its alarms stand first.

use serde_json::{Value, json};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::objects::utc_or_null;
use super::screen::{Tone, after, cell, harmless, table, toned, utc};
use crate::model::envelope::MessageId;
use crate::model::expiry::{Nearness, days_left};
use crate::model::id::UnixMicros;
use crate::wire::proto::operator_service_client::OperatorServiceClient;
use crate::wire::proto::{
    ConfirmClockRequest, Connected, DescribeHubRequest, DescribeHubResponse, OfficeBacklog, UnreadUrgent,
};

/// Bytes of an answer at most: a thousand connections and four thousand offices.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Asks the hub and shows what it says.
///
/// # Errors
/// Refused, for anybody but an operator; unreachable.
pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let client = OperatorServiceClient::new(context.connect(&home).await?);
    let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
    let told = client.describe_hub(DescribeHubRequest {}).await?.into_inner();
    context.screen.object(&object(&told))?;
    Shown { context, told: &told, now: UnixMicros(told.now_unix_us) }.print()?;
    Ok(Exit::Done)
}

/// Says that the hub's clock is right.
///
/// # Errors
/// Refused, for anybody but an operator; unreachable.
pub(super) async fn clock_ok(context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let mut client = OperatorServiceClient::new(context.connect(&home).await?);
    let told = client.confirm_clock(ConfirmClockRequest {}).await?.into_inner();
    let now = UnixMicros(told.now_unix_us);
    let words = if told.was_suspended { "it goes on" } else { "it was not waiting, and nothing was changed" };
    context.screen.line(&format!("The hub's clock shows {}: {words}.", context.screen.time(now)))?;
    context
        .screen
        .object(&json!({ "object": "clock", "was_suspended": told.was_suspended, "now": utc(now) }))?;
    Ok(Exit::Done)
}

struct Shown<'a> {
    context: &'a Context,
    told: &'a DescribeHubResponse,
    now: UnixMicros,
}

impl Shown<'_> {
    fn print(&self) -> Result<(), Failure> {
        let (told, screen) = (self.told, &self.context.screen);
        for alarm in &told.alarms {
            let (name, detail) = (harmless(&alarm.name), harmless(&alarm.detail));
            let since = after(UnixMicros(alarm.since_unix_us), self.now);
            screen.line(&toned(Tone::Bad, &format!("ALARM {name}, for {since}: {detail}")))?;
        }
        if told.alarms.is_empty() {
            screen.line(&toned(Tone::Good, "no alarm is in force"))?;
        }
        let disk = told.disk.unwrap_or_default();
        let free = disk.free_bytes.map_or_else(|| "unknown".into(), bytes);
        let until = |at: u64| {
            let (at, days) = (UnixMicros(at), days_left(UnixMicros(at), self.now));
            toned(tone_of_end(at, self.now), &format!("{} ({days} days)", screen.time(at)))
        };
        let (started, up) = (screen.time(UnixMicros(told.started_unix_us)), told.uptime_s * 1_000_000);
        let up = after(UnixMicros(0), UnixMicros(up));
        let list = told.revocations_next_update_unix_us.map_or_else(|| "none".into(), until);
        for line in [
            format!(
                "hub          {}, version {}, epoch {}",
                harmless(&told.name),
                harmless(&told.version),
                told.epoch
            ),
            format!("up           {up}, since {started}"),
            format!("disk         {free} free, reserve {}", bytes(disk.reserve_bytes)),
            format!(
                "             journal {}, ledger {}",
                bytes(disk.journal_bytes),
                bytes(disk.ledger_bytes)
            ),
            format!("entries      {}", told.entries),
            format!("certificate  until {}", until(told.certificate_not_after_unix_us)),
            format!("revocations  next list due {list}"),
            format!("unread       {}", self.oldest_unread()),
            format!("connections  {}", told.connections),
        ] {
            screen.line(&line)?;
        }
        self.connected()?;
        self.offices()
    }

    fn oldest_unread(&self) -> String {
        let Some((office, oldest)) = oldest_unread(self.told) else {
            return "every urgent message has been read".into();
        };
        let age = after(UnixMicros(oldest.accepted_unix_us), self.now);
        let (office, from) = (harmless(&office.office), harmless(&oldest.sender_office));
        let words = format!("oldest urgent {} from {from}, at {office} for {age}", id(oldest));
        toned(Tone::Urgent, &words)
    }

    fn connected(&self) -> Result<(), Failure> {
        if self.told.connected.is_empty() {
            return Ok(());
        }
        let mut rows = table(&["Connected", "From", "For", "Certificate"]);
        for one in &self.told.connected {
            let ends = UnixMicros(one.certificate_not_after_unix_us);
            rows.add_row(vec![
                cell(Tone::Plain, &one.identity),
                cell(Tone::Plain, &one.peer),
                cell(Tone::Plain, &after(UnixMicros(one.since_unix_us), self.now)),
                cell(tone_of_end(ends, self.now), &format!("{} days", days_left(ends, self.now))),
            ]);
        }
        self.context.screen.line("")?;
        Ok(self.context.screen.table(&rows)?)
    }

    fn offices(&self) -> Result<(), Failure> {
        let mut rows = table(&[
            "Office",
            "Urgent",
            "Other",
            "Notices",
            "Urgent unread",
            "Oldest",
            "Overdue",
            "Not real",
        ]);
        for office in &self.told.offices {
            let removed = if office.removed { " (removed)" } else { "" };
            let oldest = office.oldest_unread_urgent.as_ref();
            let oldest =
                oldest.map(|it| after(UnixMicros(it.accepted_unix_us), self.now)).unwrap_or_default();
            let urgent = |count| if count > 0 { Tone::Urgent } else { Tone::Plain };
            rows.add_row(vec![
                cell(Tone::Plain, &format!("{}{removed}", office.office)),
                cell(urgent(office.outstanding_urgent), &office.outstanding_urgent.to_string()),
                cell(Tone::Plain, &office.outstanding_other.to_string()),
                cell(Tone::Plain, &office.outstanding_notices.to_string()),
                cell(urgent(office.unread_urgent), &office.unread_urgent.to_string()),
                cell(Tone::Plain, &oldest),
                cell(urgent(office.overdue), &office.overdue.to_string()),
                cell(Tone::Faint, &office.outstanding_drills.to_string()),
            ]);
        }
        self.context.screen.line("\nOutstanding: not yet acknowledged as received.")?;
        Ok(self.context.screen.table(&rows)?)
    }
}

fn tone_of_end(ends: UnixMicros, now: UnixMicros) -> Tone {
    match Nearness::of(ends, now) {
        None => Tone::Plain,
        Some(Nearness::Month | Nearness::Fortnight) => Tone::Warning,
        Some(Nearness::Week | Nearness::Day | Nearness::Over) => Tone::Bad,
    }
}

/// The oldest urgent message that nobody at some office has read, and that office.
fn oldest_unread(told: &DescribeHubResponse) -> Option<(&OfficeBacklog, &UnreadUrgent)> {
    let unread = told.offices.iter().filter(|office| !office.removed);
    let unread = unread.filter_map(|office| Some((office, office.oldest_unread_urgent.as_ref()?)));
    unread.min_by_key(|(_, oldest)| oldest.index)
}

fn id(unread: &UnreadUrgent) -> String {
    MessageId::from_slice(&unread.message_id).map_or_else(|| "?".into(), |id| id.to_string())
}

/// Bytes as people read them: `3.2 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let Some(power) = (1..=units.len()).rev().find(|power| bytes >> (10 * power) > 0) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[power - 1])
}

fn object(told: &DescribeHubResponse) -> Value {
    let disk = told.disk.unwrap_or_default();
    let now = UnixMicros(told.now_unix_us);
    let ends = UnixMicros(told.certificate_not_after_unix_us);
    let oldest = oldest_unread(told).map(|(office, oldest)| {
        let mut object = unread_object(oldest, now);
        object["office"] = office.office.clone().into();
        object
    });
    json!({
        "object": "hub",
        "name": told.name,
        "version": told.version,
        "epoch": told.epoch,
        "started_at": utc(UnixMicros(told.started_unix_us)),
        "uptime_s": told.uptime_s,
        "now": utc(now),
        "entries": told.entries,
        "free_bytes": disk.free_bytes,
        "reserve_bytes": disk.reserve_bytes,
        "journal_bytes": disk.journal_bytes,
        "ledger_bytes": disk.ledger_bytes,
        "not_after": utc(ends),
        "days_left": days_left(ends, now),
        "revocations_next_update": utc_or_null(told.revocations_next_update_unix_us.map(UnixMicros)),
        "connections": told.connections,
        "connected": told.connected.iter().map(|one| connected_object(one, now)).collect::<Vec<_>>(),
        "oldest_unread_urgent": oldest,
        "offices": told.offices.iter().map(|office| office_object(office, now)).collect::<Vec<_>>(),
        "alarms": told.alarms.iter().map(|alarm| json!({
            "alarm": alarm.name, "since": utc(UnixMicros(alarm.since_unix_us)), "message": alarm.detail,
        })).collect::<Vec<_>>(),
    })
}

fn connected_object(one: &Connected, now: UnixMicros) -> Value {
    let ends = UnixMicros(one.certificate_not_after_unix_us);
    json!({
        "identity": one.identity,
        "peer": one.peer,
        "since": utc(UnixMicros(one.since_unix_us)),
        "not_after": utc(ends),
        "days_left": days_left(ends, now),
    })
}

fn office_object(office: &OfficeBacklog, now: UnixMicros) -> Value {
    json!({
        "office": office.office,
        "removed": office.removed,
        "outstanding_urgent": office.outstanding_urgent,
        "outstanding_other": office.outstanding_other,
        "outstanding_drills": office.outstanding_drills,
        "outstanding_notices": office.outstanding_notices,
        "unread_urgent": office.unread_urgent,
        "overdue": office.overdue,
        "overdue_drills": office.overdue_drills,
        "oldest_unread_urgent": office.oldest_unread_urgent.as_ref().map(|oldest| unread_object(oldest, now)),
    })
}

fn unread_object(oldest: &UnreadUrgent, now: UnixMicros) -> Value {
    json!({
        "message_id": id(oldest),
        "index": oldest.index,
        "sender_office": oldest.sender_office,
        "accepted_at": utc(UnixMicros(oldest.accepted_unix_us)),
        "age_s": now.0.saturating_sub(oldest.accepted_unix_us) / 1_000_000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit_that_fits() {
        for (count, said) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (64 * 1_024 * 1_024, "64.0 MiB"),
            (3_500_000_000, "3.2 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), said);
        }
    }
}
