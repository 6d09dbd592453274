//! `--wait`: until every recipient has a message, or has read it.
//!
//! Owns asking the hub again and again, with growing pauses. Never counts a person's stage that its office is not seen to have
//! signed; that a desk has a message it takes from the hub.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use clap::builder::{PossibleValuesParser, TypedValueParser as _, ValueParser};
use jiff::SignedDuration;
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen::{Tone, after, harmless, toned, utc};
use crate::desk::heard;
use crate::desk::home::Home;
use crate::desk::members::Members;
use crate::desk::outbox::Outgoing;
use crate::desk::reseal::name_of;
use crate::desk::stated::{Shown, Subject};
use crate::model::envelope::Envelope;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::receipt::{Action, Stage};
use crate::wire::proto;
use crate::wire::proto::audit_service_client::AuditServiceClient;
use crate::wire::status::CallError;

/// The first pause between two questions; each is half as long again, up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LAST: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitStage {
    /// A desk of each recipient has it.
    Received,
    /// A person of each recipient has read it.
    Read,
}

/// Reads the stage.
pub(super) fn stage_parser() -> ValueParser {
    let names = PossibleValuesParser::new(["received", "read"]);
    names.map(|name| if name == "read" { WaitStage::Read } else { WaitStage::Received }).into()
}

/// Reads a duration above zero.
pub(super) fn duration_parser(text: &str) -> Result<SignedDuration, String> {
    let duration = text.parse::<SignedDuration>();
    let duration = duration.map_err(|_| "a duration expected, e.g. 90s, 30m, 2h".to_owned())?;
    if duration.is_positive() { Ok(duration) } else { Err("a duration above zero expected".into()) }
}

impl WaitStage {
    /// Who has acted has read, and who has read has received.
    fn is_reached_by(self, stage: Stage) -> bool {
        match self {
            Self::Received => matches!(stage, Stage::Received | Stage::Read | Stage::Acted),
            Self::Read => matches!(stage, Stage::Read | Stage::Acted),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Read => "read",
        }
    }
}

/// Waits, and tells of each stage as it comes.
///
/// # Errors
/// Refused, a fault; a line that is cut for a while is none.
pub(super) async fn until(
    context: &Context,
    channel: Channel,
    outgoing: &Outgoing,
    stage: WaitStage,
    timeout: Option<SignedDuration>,
) -> Result<Exit, Failure> {
    let envelope = &outgoing.envelope;
    let subject = Subject { message_id: envelope.message_id, digest: Some(name_of(outgoing).digest) };
    let mut watch = Watch {
        context,
        envelope,
        subject,
        stage,
        told: BTreeSet::new(),
        doubted: BTreeSet::new(),
        reached: BTreeSet::new(),
        cut: false,
    };
    let watching = watch.watch(channel);
    match timeout.map(Duration::try_from) {
        Some(Ok(timeout)) => {
            if let Ok(ended) = tokio::time::timeout(timeout, watching).await {
                return ended.map(|()| Exit::Done);
            }
        }
        _ => return watching.await.map(|()| Exit::Done),
    }
    let missing: Vec<_> = envelope.offices().filter(|office| !watch.reached.contains(*office)).collect();
    let names = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Failure::new(
        Exit::InVain,
        format!(
            "the time is over, and not {} at: {names}. The message stands; only the waiting has ended",
            stage.name()
        ),
    ))
}

struct Watch<'a> {
    context: &'a Context,
    envelope: &'a Envelope,
    subject: Subject,
    stage: WaitStage,
    /// What was told already: office and number of the stage.
    told: BTreeSet<(Name, i32)>,
    /// What the hub said, and nobody is seen to have signed.
    doubted: BTreeSet<(Name, i32)>,
    reached: BTreeSet<Name>,
    cut: bool,
}

impl Watch<'_> {
    async fn watch(&mut self, channel: Channel) -> Result<(), Failure> {
        let mut client = AuditServiceClient::new(channel.clone());
        let mut pause = PAUSE_FIRST;
        loop {
            let request = proto::DescribeMessageRequest {
                message_id: Bytes::copy_from_slice(self.envelope.message_id.as_bytes()),
                sender_office: self.envelope.sender.office.to_string(),
            };
            match client.describe_message(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    let shown = shown(self.context, &channel, self.subject, &answer.receipts).await?;
                    self.take(answer, &shown)?;
                    if self.reached.len() >= self.envelope.recipients.len() {
                        return Ok(());
                    }
                }
                Err(status) => self.bear(status)?,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE_LAST);
        }
    }

    /// A hub that is away for a while comes back; all else ends the waiting.
    fn bear(&mut self, status: tonic::Status) -> Result<(), Failure> {
        let passes = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Internal);
        let error = CallError::from(status);
        let failure = Failure::from(error);
        if !passes && failure.exit != Exit::Unreachable {
            return Err(failure);
        }
        if !std::mem::replace(&mut self.cut, true) {
            let words = format!("{}; going on to wait", harmless(&failure.message));
            self.context.screen.aside(Tone::Warning, &words);
        }
        Ok(())
    }

    fn take(&mut self, answer: proto::DescribeMessageResponse, shown: &Shown) -> Result<(), Failure> {
        self.cut = false;
        let accepted = UnixMicros(answer.message.map_or(0, |message| message.accepted_unix_us));
        for row in answer.deliveries {
            let Ok(office) = row.office.parse::<Name>() else { continue };
            if !self.envelope.offices().any(|it| *it == office) {
                continue;
            }
            for stage in row.stages {
                let Some(known) = Stage::from_number(stage.stage) else { continue };
                let Some(stage) = shown.stage(&office, &stage) else {
                    self.doubt(&office, known);
                    continue;
                };
                if self.stage.is_reached_by(known) {
                    self.reached.insert(office.clone());
                }
                if self.told.insert((office.clone(), stage.stage)) {
                    self.tell(&office, known, &stage, accepted)?;
                }
            }
        }
        Ok(())
    }

    fn doubt(&mut self, office: &Name, stage: Stage) {
        if self.doubted.insert((office.clone(), stage as i32)) {
            self.context.screen.aside(Tone::Bad, &unsigned(office, stage));
        }
    }

    fn tell(
        &self,
        office: &Name,
        known: Stage,
        stage: &proto::StageRow,
        accepted: UnixMicros,
    ) -> Result<(), Failure> {
        let recorded = UnixMicros(stage.recorded_unix_us);
        let action = Action::from_number(stage.action);
        self.context.screen.object(&json!({
            "object": "stage",
            "message_id": self.envelope.message_id.to_string(),
            "office": office.to_string(),
            "desk": stage.desk,
            "stage": known.name(),
            "receipt_index": stage.receipt_index,
            "recorded_at": utc(recorded),
            "at": utc(UnixMicros(stage.at_unix_us)),
            "action": action.map(Action::name),
            "reason": stage.reason,
        }))?;
        let bad = matches!(known, Stage::Declined | Stage::Unreadable);
        let word = toned(if bad { Tone::Bad } else { Tone::Good }, &format!("{known:<10}"));
        let why = [action.map(Action::name).unwrap_or_default(), &harmless(&stage.reason)].join(" ");
        let line = format!(
            "{word} {office} after {}, on {} ({} of {} {}) {}",
            after(accepted, recorded),
            self.context.screen.time(recorded),
            self.reached.len(),
            self.envelope.recipients.len(),
            self.stage.name(),
            why.trim(),
        );
        Ok(self.context.screen.line(line.trim_end())?)
    }
}

/// Holds what a history shows to the signatures of those who are said to have stated it, by the newest directory.
///
/// # Errors
/// No home.
pub(super) async fn shown(
    context: &Context,
    channel: &Channel,
    subject: Subject,
    rows: &[proto::ReceiptRow],
) -> Result<Shown, Failure> {
    if rows.iter().all(|row| row.receipt.is_empty()) {
        return Ok(Shown::default());
    }
    let home = context.home()?;
    let copied = Members::copied(&home).ok().flatten();
    let known = copied.map(|members| (Shown::of(members.policy(), subject, rows), members));
    if let Some((known, members)) = known.as_ref().filter(|(known, _)| !known.is_behind()) {
        hear(context, &home, channel, (known, members)).await;
        return Ok(known.clone());
    }
    match Members::fetch(channel.clone(), &home, context.clock.now()).await {
        Ok(members) => {
            let shown = Shown::of(members.policy(), subject, rows);
            hear(context, &home, channel, (&shown, &members)).await;
            Ok(shown)
        }
        Err(error) => {
            context
                .screen
                .aside(Tone::Bad, &format!("what is signed cannot be held to the directory: {error}"));
            Ok(known.map(|(known, _)| known).unwrap_or_default())
        }
    }
}

/// Holds what those who signed had seen of the hub's journal to what this home has seen. It stops nothing.
async fn hear(context: &Context, home: &Home, channel: &Channel, (shown, members): (&Shown, &Members)) {
    let now = context.clock.now();
    let heard = Box::pin(heard::hold(home, channel, members.policy(), now, shown.receipts())).await;
    if let Err(error) = heard {
        context.screen.aside(Tone::Bad, &error.to_string());
    }
    for desk in heard::disputed_by(home).into_iter().flatten() {
        context.screen.aside(Tone::Bad, &disputed(&desk));
    }
}

/// Says that a desk disputes the hub's logs.
pub(super) fn disputed(desk: &str) -> String {
    let desk = desk.strip_prefix("urn:resguardo:office:").unwrap_or(desk);
    format!(
        "{desk} SAYS THAT THE HUB'S LOG IS NOT WHAT IT WAS. Telephone that office and both registrars. Alerts go on"
    )
}

/// Says that the hub tells of a person's stage that nobody is seen to have signed.
pub(super) fn unsigned(office: &Name, stage: Stage) -> String {
    format!(
        "the hub says that {office} stated {stage}, and shows no receipt that {office} signed: it does not count; \
         telephone {office}"
    )
}
