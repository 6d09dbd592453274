//! `witness`: cosigns what the hub's logs come to, for a body outside the offices; `audit log`: who has cosigned.
//!
//! Owns the rhythm of an outside witness. Whether a checkpoint follows, the desk's side says.

use std::io;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::office::told;
use super::screen::{Tone, cell, table, toned};
use super::wait::disputed;
use crate::desk::heard;
use crate::desk::home::Home;
use crate::desk::included::{self, LATE_US};
use crate::desk::members::Members;
use crate::desk::session::pause_ms;
use crate::desk::witness::{self, Seen, WitnessError};
use crate::model::envelope::MessageId;
use crate::model::id::{Index, UnixMicros};
use crate::wire::log::{self, Log};
use crate::wire::open_key::OpenKey;
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::proto::{GetCheckpointRequest, Newest};
use crate::wire::status::CallError;

/// Between two looks.
const EVERY: Duration = Duration::from_mins(3);

/// Bears witness that the hub's logs only grow.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo witness --request --home univ
  resguardo witness --home univ

The registrars name a witness with `resguardo policy witness`, and its home has a certificate of
urn:resguardo:witness:<name> (resguardo office request --transport-only).")]
pub struct Witness {
    /// Make the key of this home, and write its public half for the registrars.
    #[arg(long, conflicts_with = "once")]
    request: bool,
    /// Look once, and end.
    #[arg(long)]
    once: bool,
}

impl Witness {
    /// Does it.
    ///
    /// # Errors
    /// [`Exit::Integrity`] where the hub was found out.
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        if self.request {
            return request(context);
        }
        let home = context.home()?;
        let mut line = None;
        if self.once {
            let looked = look(context, &home, &mut line);
            return context.unless_stopped("Nothing was cosigned by then.", looked).await;
        }
        let mut tries = 0;
        loop {
            let looked = tokio::select! {
                looked = look(context, &home, &mut line) => looked,
                () = context.stop.token.cancelled() => return Ok(Exit::Done),
            };
            let pause = match looked {
                Ok(_) => {
                    tries = 0;
                    EVERY
                }
                Err(failure) if failure.exit == Exit::Unreachable => {
                    context
                        .screen
                        .aside(Tone::Warning, &format!("{}; trying again until it works", failure.message));
                    tries += 1;
                    Duration::from_millis(pause_ms(context.random.as_ref(), tries))
                }
                Err(failure) => return Err(failure),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = context.stop.token.cancelled() => return Ok(Exit::Done),
            }
        }
    }
}

fn request(context: &Context) -> Result<Exit, Failure> {
    let Some(home) = &context.home else {
        return Err(Failure::usage("whose home? Name it with --home DIR or RESGUARDO_HOME; it may be new"));
    };
    let made = OpenKey::Witness.make(context.disk.as_ref(), home, context.random.as_ref());
    let id = made.map_err(|error| Failure::new(Exit::Fault, error.to_string()))?.id();
    let path = OpenKey::Witness.public_path(home);
    let screen = &context.screen;
    screen.line(&format!("{}: carry it to a registrar.", path.display()))?;
    screen.line(&format!("Read its id to them over another line:\n\n  {id}\n"))?;
    screen.object(&json!({
        "object": "witness_key", "public": path.display().to_string(), "key": id.to_string(),
    }))?;
    Ok(Exit::Done)
}

/// Looks once, on the line that the last look has left.
async fn look(context: &Context, home: &Home, line: &mut Option<Channel>) -> Result<Exit, Failure> {
    let channel = match line.take() {
        Some(channel) => channel,
        None => context.connect(home).await?,
    };
    let members = Members::fetch(channel.clone(), home, context.clock.now()).await?;
    for seen in witness::look(home, channel.clone(), members.policy(), context.clock.now()).await? {
        let what = if seen.cosigned { "cosigned" } else { "as it was" };
        context.screen.line(&format!("the {}, {} entries: {what}", seen.log.name(), seen.head.size))?;
        context.screen.object(&object(&seen))?;
    }
    *line = Some(channel);
    Ok(Exit::Done)
}

/// What was seen of a log, for programs.
pub(super) fn object(seen: &Seen) -> Value {
    json!({
        "object": "log_seen", "log": seen.log.name(), "size": seen.head.size, "root": seen.head.root.to_string(),
        "cosigned": seen.cosigned, "witnessed": seen.witnessed,
    })
}

/// Whether a message of a home is in the history that enough offices have cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witnessed {
    /// It is.
    Yes,
    /// It was accepted a moment ago.
    Soon,
    /// It should be by now, and is not known to be.
    NotYet,
}

impl Witnessed {
    /// Says it.
    pub(super) fn words(self) -> String {
        match self {
            Self::Yes => "by enough offices".into(),
            Self::Soon => toned(Tone::Faint, "not yet, it came a moment ago"),
            Self::NotYet => toned(Tone::Warning, "not yet witnessed; it stops nothing"),
        }
    }
}

/// Tells whether a message of a home, accepted at a time, is in the history that enough offices have cosigned.
///
/// # Errors
/// A fault of the disk.
pub(super) fn of(
    home: &Home,
    (id, index): (MessageId, Index),
    accepted: UnixMicros,
    now: UnixMicros,
) -> Result<Witnessed, Failure> {
    if included::holds(home, id, index)? {
        return Ok(Witnessed::Yes);
    }
    let late = now.0.saturating_sub(accepted.0) > LATE_US;
    Ok(if late { Witnessed::NotYet } else { Witnessed::Soon })
}

/// `audit log`
///
/// # Errors
/// Those of the way to the hub; [`Exit::Integrity`] for what the hub did not sign.
pub(super) async fn show(context: &Context) -> Result<Exit, Failure> {
    let (channel, members) = told(context).await?;
    for log in Log::ALL {
        let screen = &context.screen;
        let Some(newest) = checkpoint(&channel, &members, log, Newest::Signed).await? else {
            screen.line(&format!("The {} is not signed yet.", log.name()))?;
            continue;
        };
        let head = *newest.checkpoint().tree();
        screen.line(&format!("The {}: {} entries, root {}", log.name(), head.size, head.root))?;
        let round = checkpoint(&channel, &members, log, Newest::Witnessed).await?;
        let round = match round {
            Some(round) => Some(round),
            None => checkpoint(&channel, &members, log, Newest::ToCosign).await?,
        };
        let Some(round) = round else { continue };
        let size = round.checkpoint().tree().size;
        let quorum =
            log::quorum(members.policy()).map_err(|error| Failure::new(Exit::Fault, error.to_string()))?;
        let tally = quorum.tally(&round).map_err(|error| Failure::new(Exit::Integrity, error.to_string()))?;
        let mut rows = table(&["Office", "Institution", "Cosigned", "By"]);
        for it in &tally.cosigned {
            let at = screen.time(UnixMicros(it.at.seconds() * 1_000_000));
            rows.add_row([
                cell(Tone::Plain, &it.office),
                cell(Tone::Plain, &it.institution),
                cell(Tone::Plain, &at),
                cell(Tone::Plain, it.witness.as_str()),
            ]);
        }
        let enough = if tally.is_enough() { "enough" } else { "not enough yet" };
        screen.line(&format!(
            "{} of at least {} offices bear witness to its first {size} entries, {enough}.",
            tally.cosigned.len(),
            tally.offices_needed
        ))?;
        screen.table(&rows)?;
        let cosigned = tally.cosigned.iter().map(|it| {
            json!({
                "office": &*it.office, "institution": &*it.institution, "witness": it.witness.as_str(),
                "at_unix_s": it.at.seconds(),
            })
        });
        let cosigned: Vec<_> = cosigned.collect();
        screen.object(&json!({
            "object": "log", "log": log.name(), "size": head.size, "root": head.root.to_string(),
            "round": size, "cosigned": cosigned, "needed": tally.offices_needed, "witnessed": tally.is_enough(),
        }))?;
    }
    Ok(Exit::Done)
}

async fn checkpoint(
    channel: &Channel,
    members: &Members,
    log: Log,
    newest: Newest,
) -> Result<Option<crate::proof::SignedCheckpoint>, Failure> {
    let asked = GetCheckpointRequest { log: log.to_wire(), newest: newest as i32, known_size: 0 };
    let mut client = LogServiceClient::new(channel.clone());
    let given = client.get_checkpoint(asked).await.map_err(CallError::from)?.into_inner();
    if given.note.is_empty() {
        return Ok(None);
    }
    Ok(Some(witness::open(members.policy(), log, &given.note)?))
}

/// Says in red what was found out about the hub, whatever else is asked. It stops nothing.
pub(super) fn alarm(context: &Context, home: &Home) {
    if let Err(error) = witness::check(home) {
        context.screen.aside(Tone::Bad, &error.to_string());
        // Whoever reads objects may have gone; that is told elsewhere.
        let _: io::Result<()> = context.screen.object(&json!({
            "object": "alarm", "alarm": "logs-changed", "detail": error.to_string(),
        }));
    }
    for desk in heard::disputed_by(home).into_iter().flatten() {
        context.screen.aside(Tone::Bad, &disputed(&desk));
        let _: io::Result<()> = context.screen.object(&json!({
            "object": "alarm", "alarm": "logs-disputed", "detail": disputed(&desk), "desk": desk,
        }));
    }
}

impl From<WitnessError> for Failure {
    fn from(error: WitnessError) -> Self {
        match error {
            WitnessError::Call(error) => error.into(),
            WitnessError::Keys(error) => error.into(),
            WitnessError::Store(error) => error.into(),
            WitnessError::NotSigned { .. } | WitnessError::Found { .. } => {
                Self::new(Exit::Integrity, error.to_string())
            }
            WitnessError::Disk { .. } | WitnessError::Key(_) | WitnessError::Clock => {
                Self::new(Exit::Fault, error.to_string())
            }
        }
    }
}
