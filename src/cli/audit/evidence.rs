//! `audit message --evidence`: a file that proves one message's history to whoever has the trust file and nothing else.
//!
//! Owns what goes into it: what the hub shows this home, and officers' notes only where they are asked for. A file that would not
//! hold is not written. At a crash it is there whole, or not at all.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use serde_json::json;
use tonic::transport::Channel;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::Tone;
use crate::desk::home::Home;
use crate::desk::opener::Reader;
use crate::evidence::{self, Entry, Evidence, EvidenceError, Note};
use crate::model::id::Index;
use crate::seal::FileKey;
use crate::wire::proto;
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::status::CallError;

/// Where evidence goes.
#[derive(Debug, Args)]
pub(super) struct ToEvidence {
    /// Write what proves it to this file, for a stranger to check with `resguardo verify`. It must not be there.
    #[arg(long = "evidence", value_name = "FILE", conflicts_with = "watch")]
    to: Option<PathBuf>,
    /// Put the officers' notes into it that this office can read: names of people, and what they said.
    #[arg(long, requires = "to")]
    officers: bool,
}

impl ToEvidence {
    /// Looks at what was asked before the hub is.
    ///
    /// # Errors
    /// Usage.
    pub(super) fn check(&self, home: &Home) -> Result<(), Failure> {
        let Some(to) = &self.to else { return Ok(()) };
        if std::fs::symlink_metadata(to).is_ok() {
            return Err(Failure::usage(format!("{} is there: name another file", to.display())));
        }
        if self.officers && home.desk().is_err() {
            return Err(Failure::usage("officers' notes are sealed to offices: an auditor has none to show"));
        }
        Ok(())
    }

    /// Writes the file, where one was asked for.
    ///
    /// # Errors
    /// Those of the way to the hub; integrity where what the hub gave does not hold; a fault of the disk.
    pub(super) async fn write(
        &self,
        (context, home): (&Context, &Home),
        channel: &Channel,
        told: &proto::DescribeMessageResponse,
        reader: Option<&Reader>,
    ) -> Result<(), Failure> {
        let Some(to) = &self.to else { return Ok(()) };
        let trust = home.trust().map_err(|error| Failure::usage(error.to_string()))?;
        let mut given = given(channel, told).await?;
        if self.officers {
            given.notes = notes(&given, told, reader);
        }
        let (notes, entries) = (given.notes.len(), given.entries.len());
        let (bytes, proved) = evidence::make(given, trust).map_err(|error| not_held(&error))?;
        let written = context.disk.write_atomically(to, &bytes);
        written.map_err(|error| Failure::new(Exit::Fault, format!("{}: {error}", to.display())))?;
        let witnessed = proved.is_witnessed();
        context.screen.object(&json!({
            "object": "evidence_written", "path": to.to_string_lossy(), "bytes": bytes.len(), "entries": entries,
            "officers": notes, "witnessed": witnessed, "size": proved.journal.tree.size,
        }))?;
        context.screen.line(&format!(
            "Evidence in {} entries, {} bytes, is in {}. It has nothing of the content.",
            entries,
            bytes.len(),
            to.display()
        ))?;
        if notes > 0 {
            let words = format!(
                "It has {notes} notes of officers: who has the file learns their names and what they said, and can show that \
                 the office vouched for it. They cannot be taken back."
            );
            context.screen.aside(Tone::Warning, &words);
        }
        if !witnessed {
            let words = "Too few witnesses bear witness to it yet: it holds, and whoever runs the hub could still show \
                         others another history. Ask again in ten minutes.";
            context.screen.aside(Tone::Warning, words);
        }
        Ok(())
    }
}

/// Asks the hub for all of it.
async fn given(channel: &Channel, told: &proto::DescribeMessageResponse) -> Result<Evidence, Failure> {
    let message = told.message.clone().unwrap_or_default();
    let sender_office = message.sender.split(':').nth(3).unwrap_or_default().to_owned();
    let asked = proto::ProveMessageRequest { message_id: message.message_id, sender_office };
    let mut client = LogServiceClient::new(channel.clone());
    let mut parts = client.prove_message(asked).await.map_err(CallError::from)?.into_inner();
    let mut given = Evidence {
        journal_checkpoint: Bytes::new(),
        directory_checkpoint: None,
        directory: Vec::new(),
        entries: Vec::new(),
        notes: Vec::new(),
    };
    let mut bytes = 0;
    while let Some(part) = parts.message().await? {
        bytes += prost::Message::encoded_len(&part);
        if bytes > evidence::EVIDENCE_BYTES_MAX {
            return Err(not_held(&EvidenceError::Bytes { found: bytes }));
        }
        if !part.journal_checkpoint.is_empty() {
            given.journal_checkpoint = part.journal_checkpoint;
            given.directory_checkpoint = Some(part.directory_checkpoint).filter(|note| !note.is_empty());
        }
        for (from, into) in [(part.directory, &mut given.directory), (part.entries, &mut given.entries)] {
            for entry in from {
                into.push(Entry::read(entry).map_err(|error| not_held(&error))?);
            }
        }
    }
    Ok(given)
}

/// The notes that this office can read, of the receipts that are given.
fn notes(given: &Evidence, told: &proto::DescribeMessageResponse, reader: Option<&Reader>) -> Vec<Note> {
    let Some(Ok(opener)) = reader.map(Reader::opener) else { return Vec::new() };
    let keys = opener.keys();
    let mut notes = BTreeMap::new();
    for row in told.receipts.iter().filter(|row| !row.note.is_empty()) {
        let index = Index(row.stage.as_ref().map_or(0, |stage| stage.receipt_index));
        let key = FileKey::of(&row.note[..], &keys);
        let is_given = given.entries.iter().any(|it| it.index == index);
        if let (Ok(key), true) = (key, is_given) {
            notes.insert(index, Note { receipt: index, sealed: row.note.clone(), file_key: *key.as_bytes() });
        }
    }
    notes.into_values().collect()
}

fn not_held(error: &EvidenceError) -> Failure {
    Failure::new(Exit::Integrity, format!("what the hub gave proves nothing: {error}"))
        .and("No file was written. Tell the registrars and the auditors")
}
