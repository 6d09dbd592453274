//! `policy list|deadlines`: what is asked of offices, and by when.
//!
//! Owns the questions. What a fact means is policy's to say; only an operator changes it.

use std::fmt::Display;

use clap::builder::ValueParser;
use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::office::{amend, told};
use super::publish::By;
use super::screen::{Tone, cell, table};
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{MessageClass, Priority};
use crate::model::policy::{Fact, Policy};

/// What is asked of offices.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Lists deadlines by class and priority.
    #[command(after_help = "Example:\n  resguardo policy list")]
    List,
    /// Says by when messages of a class and priority are to be received, read and acted on. For operators.
    #[command(after_help = "\
Examples:
  resguardo policy deadlines --class alert --priority urgent --read-by 10min
  resguardo policy deadlines --class packet --priority normal --read-by 30d

What is not named stays as it was. Messages accepted before keep their deadlines.")]
    Deadlines(DeadlinesCommand),
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
            Self::Deadlines(command) => amend(context, |policy| command.facts(policy)).await,
        }
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
    Ok(Exit::Done)
}
