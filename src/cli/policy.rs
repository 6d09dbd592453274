//! `policy list|deadlines|obligation|end|retention|witness|quorum`: what is asked of offices and by when, how long the hub keeps
//! what, and who bears witness to its journal.
//!
//! Owns the questions. What a fact means is policy's to say; two registrars sign it.

use std::fmt::Display;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::office::told;
use super::publish::By;
use super::registrar::{Draft, verifying_key};
use super::screen::{Tone, cell, table};
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{MessageClass, Priority};
use crate::model::erasure::RETENTION_DAYS_MAX;
use crate::model::fact::QUORUM_MAX;
use crate::model::identity::Name;
use crate::model::obligation::{Duty, Obligation, Who};
use crate::model::policy::{Fact, Policy};
use crate::wire::restored::{self, RESTORED_BYTES_MAX};

/// What is asked of offices.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Lists deadlines by class and priority, obligations, retention and witnesses.
    #[command(after_help = "Example:\n  resguardo policy list")]
    List,
    /// Says by when messages of a class and priority are to be received, read and acted on. For registrars.
    #[command(after_help = "\
Examples:
  resguardo policy deadlines --class alert --priority urgent --read-by 10min --to sooner
  resguardo policy deadlines --class packet --priority normal --read-by 30d --to later

What is not named stays as it was. Messages accepted before keep their deadlines.")]
    Deadlines(DeadlinesCommand),
    /// Says what offices owe without a message yet. For registrars.
    #[command(after_help = "\
Examples:
  resguardo policy obligation monthly-analysis --institution ohchr --class packet --stream studies --monthly 5 --to monthly
  resguardo policy obligation training-report --office ohchr-mexico,ohchr-honduras --class statement \\
      --stream promotion --follow-up 60d --to report

Only real messages count. It replaces what was said under its name before.")]
    Obligation(ObligationCommand),
    /// Says how long the hub keeps payloads and files. For registrars.
    #[command(after_help = "\
Example:
  resguardo policy retention --days 1095 --to three-years

Entries, acknowledgements and the audit stay for ever. What is over when this is said is erased within minutes.")]
    Retention {
        /// Days from the hub's acceptance: 1 to 36,500.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(RETENTION_DAYS_MAX)))]
        days: u32,
        #[command(flatten)]
        draft: Draft,
    },
    /// Names a witness, who is to sign what the hub's journal comes to. For registrars.
    #[command(after_help = "\
Example:
  resguardo policy witness univ-sao-paulo --institution iachr --key univ.key --to witness

It replaces the key of a witness of that name.")]
    Witness(WitnessCommand),
    /// Names the key by which the hub signs its logs, in the place of its present one. For registrars.
    #[command(after_help = "\
Example:
  resguardo policy hub-key hub.public --to new-hub-key

The hub's operator makes it with `resguardo office request` and reads its id out.")]
    HubKey {
        /// The public half, `keys/hub.public` of the hub's home.
        key: PathBuf,
        #[command(flatten)]
        draft: Draft,
    },
    /// Says that the hub was restored from a backup, so that its journal may go on from there. For registrars.
    #[command(after_help = "\
Example:
  resguardo policy restored restored.toml --to after-the-fire

The hub's operator has the file from `resguardo hub restore`, and reads its root out.")]
    Restored {
        /// The file, `restored.toml` of the restored home.
        file: PathBuf,
        #[command(flatten)]
        draft: Draft,
    },
    /// Says how many witnesses must have signed, of both institutions in any case. For registrars.
    #[command(after_help = "Example:\n  resguardo policy quorum --witnesses 3 --to three")]
    Quorum {
        /// How many: 2 to 64. More than half as many as there are offices where nothing was said.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..=i64::from(QUORUM_MAX)))]
        witnesses: u32,
        #[command(flatten)]
        draft: Draft,
    },
    /// Ends an obligation. For registrars.
    #[command(after_help = "Example:\n  resguardo policy end monthly-analysis --to no-more")]
    End {
        /// Its name.
        obligation: Name,
        #[command(flatten)]
        draft: Draft,
    },
}

/// `policy obligation`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("who").required(true), group = ArgGroup::new("duty").required(true))]
pub struct ObligationCommand {
    /// Its name.
    obligation: Name,
    /// All offices of this institution owe it.
    #[arg(long, value_name = "INSTITUTION", group = "who")]
    institution: Option<Name>,
    /// These offices owe it.
    #[arg(long, value_name = "OFFICE", value_delimiter = ',', group = "who")]
    office: Vec<Name>,
    /// The class of the messages that it is about.
    #[arg(long, value_name = "CLASS", value_parser = word(MessageClass::ALL))]
    class: MessageClass,
    /// Their stream.
    #[arg(long, value_name = "STREAM")]
    stream: Name,
    /// They owe such a message in each calendar month of UTC, with so many days of grace.
    #[arg(long, value_name = "DAYS", group = "duty")]
    monthly: Option<u32>,
    /// They owe an answer to each such message that they receive, on its thread, or `acted`, within this time.
    #[arg(long, value_name = "DURATION", group = "duty")]
    follow_up: Option<Within>,
    #[command(flatten)]
    draft: Draft,
}

/// `policy witness`
#[derive(Debug, Args)]
pub struct WitnessCommand {
    /// Its name.
    name: Name,
    /// The institution that it bears witness for.
    #[arg(long, value_name = "INSTITUTION")]
    institution: Name,
    /// A file with its key as text, `resguardo-verify1…`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    draft: Draft,
}

/// `policy deadlines`
#[derive(Debug, Args)]
pub struct DeadlinesCommand {
    /// The class.
    #[arg(long, value_name = "CLASS", value_parser = word(MessageClass::ALL))]
    class: MessageClass,
    /// The priority.
    #[arg(long, value_name = "PRIORITY", value_parser = word(Priority::ALL))]
    priority: Priority,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    draft: Draft,
}

/// Reads one of some words.
pub(super) fn word<T: Copy + Display + Send + Sync + 'static>(all: &'static [T]) -> ValueParser {
    ValueParser::new(move |text: &str| {
        all.iter().copied().find(|word| word.to_string() == text).ok_or_else(|| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            format!("one of {} expected", all.join(", "))
        })
    })
}

impl PolicyCommand {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::List => list(context, told(context).await?.1.policy()),
            Self::Deadlines(command) => command.draft.write(context, |policy| command.facts(policy)),
            Self::Obligation(command) => {
                command.draft.write(context, |_| Ok(vec![Fact::Obligation(command.obligation()?)]))
            }
            Self::Retention { days, draft } => {
                draft.write(context, |_| Ok(vec![Fact::Retention { days: *days }]))
            }
            Self::HubKey { key, draft } => {
                draft.write(context, |_| Ok(vec![Fact::HubKey { key: verifying_key(context, key)? }]))
            }
            Self::Restored { file, draft } => draft.write(context, |_| {
                let wrong = |error: String| Failure::usage(format!("{}: {error}", file.display()));
                let text =
                    context.disk.read(file, RESTORED_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
                let fact = restored::read(&String::from_utf8_lossy(&text));
                Ok(vec![fact.map_err(|error| wrong(error.to_string()))?])
            }),
            Self::Witness(command) => command.draft.write(context, |_| Ok(vec![command.fact(context)?])),
            Self::Quorum { witnesses, draft } => {
                draft.write(context, |_| Ok(vec![Fact::Quorum { witnesses: *witnesses }]))
            }
            Self::End { obligation, draft } => {
                draft.write(context, |_| Ok(vec![Fact::ObligationEnded(obligation.clone())]))
            }
        }
    }
}

impl ObligationCommand {
    fn obligation(&self) -> Result<Obligation, Failure> {
        let who = match &self.institution {
            Some(institution) => Who::Institution(institution.clone()),
            None => Who::Offices(self.office.iter().cloned().collect()),
        };
        let duty = match (self.monthly, self.follow_up) {
            (Some(grace_days), _) => Duty::Monthly { grace_days },
            (None, Some(within)) => Duty::FollowUp { within },
            (None, None) => return Err(Failure::usage("what is owed? Say --monthly or --follow-up")),
        };
        let (name, stream) = (self.obligation.clone(), self.stream.clone());
        Ok(Obligation { name, who, class: self.class, stream, duty })
    }
}

impl WitnessCommand {
    fn fact(&self, context: &Context) -> Result<Fact, Failure> {
        let key = verifying_key(context, &self.key)?;
        let (name, institution) = (self.name.clone(), self.institution.clone());
        Ok(Fact::Witness { name, institution, key })
    }
}

impl DeadlinesCommand {
    fn facts(&self, policy: &Policy) -> Result<Vec<Fact>, Failure> {
        let (class, priority) = (self.class, self.priority);
        let said = policy.deadlines().get(&(class, priority)).copied().unwrap_or_default();
        Ok(vec![Fact::Deadlines { class, priority, deadlines: self.by.over(said)? }])
    }
}

fn list(context: &Context, policy: &Policy) -> Result<Exit, Failure> {
    let mut rows = table(&["Class", "Priority", "Received by", "Read by", "Acted by"]);
    let words = |within: Option<Within>| {
        within.map_or_else(|| cell(Tone::Faint, "-"), |within| cell(Tone::Plain, &within.to_string()))
    };
    for ((class, priority), deadlines) in policy.deadlines() {
        let Deadlines { receive, read, act } = *deadlines;
        let seconds = |within: Option<Within>| within.map(Within::seconds);
        context.screen.object(&json!({
            "object": "deadlines",
            "class": class.name(),
            "priority": priority.name(),
            "receive_by_s": seconds(receive),
            "read_by_s": seconds(read),
            "act_by_s": seconds(act),
        }))?;
        let names = [class.name(), priority.name()].map(|name| cell(Tone::Plain, name));
        rows.add_row(names.into_iter().chain([receive, read, act].map(words)));
    }
    context.screen.table(&rows)?;
    let mut rows = table(&["Obligation", "Owed by", "Owed"]);
    for (_, it) in policy.obligations().iter() {
        let (institution, offices) = match &it.who {
            Who::Institution(institution) => (Some(institution.as_str()), Vec::new()),
            Who::Offices(offices) => (None, offices.iter().map(Name::as_str).collect()),
        };
        let (grace_days, within) = match it.duty {
            Duty::Monthly { grace_days } => (Some(grace_days), None),
            Duty::FollowUp { within } => (None, Some(within)),
        };
        context.screen.object(&json!({
            "object": "obliged",
            "obligation": it.name.as_str(),
            "institution": institution,
            "offices": offices,
            "class": it.class.name(),
            "stream": it.stream.as_str(),
            "monthly_grace_days": grace_days,
            "follow_up_s": within.map(Within::seconds),
        }))?;
        let (class, stream) = (it.class, &it.stream);
        let owed = match it.duty {
            Duty::Monthly { grace_days } => {
                format!("a {class} to {stream} each month, {grace_days} days of grace")
            }
            Duty::FollowUp { within } => format!("an answer to each {class} on {stream}, within {within}"),
        };
        rows.add_row(vec![
            cell(Tone::Plain, it.name.as_str()),
            cell(Tone::Plain, &institution.map_or_else(|| offices.join(", "), str::to_owned)),
            cell(Tone::Plain, &owed),
        ]);
    }
    context.screen.table(&rows)?;
    let days = policy.retention_days();
    context.screen.object(&json!({ "object": "retention", "payload_days": days }))?;
    context.screen.line(&format!("Payloads and files are kept for {days} days, entries for ever."))?;
    witnesses(context, policy)
}

fn witnesses(context: &Context, policy: &Policy) -> Result<Exit, Failure> {
    for (name, witness) in policy.witnesses() {
        let (institution, key) = (&witness.institution, witness.key.id());
        context.screen.line(&format!("Witness {name} of {institution}, key {key}"))?;
        context.screen.object(&json!({
            "object": "witness", "name": name.as_str(), "institution": institution.as_str(), "key": key.to_string(),
        }))?;
    }
    let quorum = policy.quorum();
    context.screen.line(&format!("{quorum} witnesses are to sign, of both institutions in any case."))?;
    context.screen.object(&json!({ "object": "quorum", "witnesses": quorum }))?;
    Ok(Exit::Done)
}
