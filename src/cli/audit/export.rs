//! `audit export`: all entries of the journal from one to another, as far as this home may see them, in one file that a stranger
//! checks.
//!
//! Owns the file while it is made. It is written as it comes, never held whole, under another name; checked as `verify` does it;
//! and has its name only then. So nothing is left of one whose line broke, or that would not hold. At a crash it is there whole, or
//! not at all; what was written under the other name may be left, and the next one goes over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::FRAME_BYTES_MAX;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::packet::Seldom;
use crate::cli::screen::Tone;
use crate::cli::since::{Place, Since};
use crate::cli::status::bytes as told_bytes;
use crate::cli::verify::exported;
use crate::desk::home::Home;
use crate::evidence::export::{EXPORT_MAGIC, ExportError, Exported, Frame, Head, tidied};
use crate::evidence::{EVIDENCE_BYTES_MAX, Entry};
use crate::host::disk::{Disk, DiskFile, OpenMode, folder_of};
use crate::wire::proto;
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::status::CallError;
use crate::wire::trust::Trust;

/// `audit export`
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write. It must not be there.
    file: PathBuf,
    /// Where to begin: an entry of the journal, a time of the hub's (2026-01-01), or how long ago (30d).
    #[arg(long, value_name = "INDEX|TIME|SPAN", default_value = "0")]
    from: Since,
    /// Where to end, that one left out. Without it: as far as enough witnesses have signed.
    #[arg(long, value_name = "INDEX|TIME|SPAN")]
    to: Option<Since>,
}

impl Export {
    /// Does it.
    ///
    /// # Errors
    /// Usage; those of the way to the hub; integrity where what the hub gave does not hold; a fault of the disk.
    pub(super) async fn run(&self, context: &Context, home: &Home) -> Result<Exit, Failure> {
        if std::fs::symlink_metadata(&self.file).is_ok() {
            let words = format!("{} is there: name another file", self.file.display());
            return Err(Failure::usage(words));
        }
        let trust = home.trust().map_err(|error| Failure::usage(error.to_string()))?;
        let asked = self.asked(context)?;
        let channel = context.connect(home).await?;
        let mut client = LogServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        let mut parts = client.export_entries(asked).await.map_err(CallError::from)?.into_inner();
        let mut draft = Draft::begin(context, &self.file, trust)?;
        let seldom = Seldom::new();
        while let Some(part) = parts.message().await? {
            for frame in part.frames {
                draft.take(frame)?;
            }
            draft.flush()?;
            if seldom.is_time(context.clock.monotonic_us()) {
                context.screen.draw(&draft.far());
            }
        }
        context.screen.undraw();
        let (exported, written) = draft.end(context, &self.file)?;
        self.tell(context, &exported, written)?;
        Ok(Exit::Done)
    }

    fn asked(&self, context: &Context) -> Result<proto::ExportEntriesRequest, Failure> {
        let mut asked = proto::ExportEntriesRequest::default();
        match self.from.place(context)? {
            Place::Index(index) => asked.from_index = index.0,
            Place::Time(time) => asked.from_unix_us = Some(time.0),
        }
        match self.to.as_ref().map(|to| to.place(context)).transpose()? {
            Some(Place::Index(index)) => asked.until_index = Some(index.0),
            Some(Place::Time(time)) => asked.until_unix_us = Some(time.0),
            None => {}
        }
        Ok(asked)
    }

    fn tell(&self, context: &Context, exported: &Exported, written: u64) -> Result<(), Failure> {
        let (from, until, hidden) = (exported.from.0, exported.until.0, exported.statistics.hidden);
        let witnessed = exported.is_witnessed();
        context.screen.object(&json!({
            "object": "export_written", "path": self.file.to_string_lossy(), "bytes": written, "from_index": from,
            "until_index": until, "shown": exported.statistics.shown_count(), "hidden": hidden,
            "witnessed": witnessed, "size": exported.journal.tree.size,
        }))?;
        let shown =
            if hidden == 0 { "all shown".to_owned() } else { format!("{hidden} by their hash alone") };
        context.screen.line(&format!(
            "Entries {from} to {} of the journal, {shown}, are in {}, {}. It has nothing of any content.",
            until - 1,
            self.file.display(),
            told_bytes(written)
        ))?;
        if !witnessed {
            let words = "Too few witnesses bear witness to it yet: it holds, and whoever runs the hub could still show \
                         others another history. Ask again in ten minutes.";
            context.screen.aside(Tone::Warning, words);
        } else if self.to.is_none() {
            let words = "Entries after that are not in it: enough witnesses have not signed them yet.";
            context.screen.aside(Tone::Faint, words);
        }
        Ok(())
    }
}

/// A file that has no name yet.
struct Draft {
    temporary: Temporary,
    file: Arc<dyn DiskFile>,
    trust: Trust,
    /// The head and the directory, until both are whole: the lines of the notes are looked through by them.
    head: Option<Head>,
    directory: Vec<Entry>,
    directory_bytes: usize,
    begun: bool,
    /// Not on the disk yet.
    pending: Vec<u8>,
    written: u64,
    entries: u64,
}

/// A name that is taken away again, unless the file gets its own.
struct Temporary {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    kept: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // It was never renamed, so nobody counts on it.
            let _ = self.disk.remove(&self.path);
        }
    }
}

impl Draft {
    fn begin(context: &Context, path: &Path, trust: Trust) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let path = PathBuf::from(temporary);
        let file = context.disk.open(&path, OpenMode::Replace).map_err(|error| fault(&path, &error))?;
        let temporary = Temporary { disk: context.disk.clone(), path, kept: false };
        Ok(Self {
            temporary,
            file,
            trust,
            head: None,
            directory: Vec::new(),
            directory_bytes: 0,
            begun: false,
            pending: EXPORT_MAGIC.to_vec(),
            written: 0,
            entries: 0,
        })
    }

    /// Takes what the hub gave: what it has no place for is found when the file is checked.
    fn take(&mut self, frame: proto::ExportFrame) -> Result<(), Failure> {
        let wrong = |found: &str| not_held(&format!("frame {}: {found}", self.entries));
        let frame = Frame::read(frame).map_err(|error| wrong(&error))?;
        match frame {
            Frame::Head(head) if self.head.is_none() && !self.begun => self.head = Some(head),
            Frame::Directory(entry) if !self.begun => {
                self.directory_bytes += entry.statement.len();
                if self.directory_bytes > EVIDENCE_BYTES_MAX {
                    return Err(wrong("the directory is larger than any is"));
                }
                self.directory.push(entry);
            }
            frame => {
                if !self.begun {
                    self.start()?;
                }
                self.entries += 1;
                self.pending.extend(frame.to_bytes());
            }
        }
        Ok(())
    }

    /// Writes the head and the directory.
    fn start(&mut self) -> Result<(), Failure> {
        let head = self.head.take().ok_or_else(|| not_held("there is no head"))?;
        let head = tidied(head, &self.directory, self.trust).map_err(|error| not_held(&error.to_string()))?;
        self.pending.extend(Frame::Head(head).to_bytes());
        for entry in std::mem::take(&mut self.directory) {
            self.pending.extend(Frame::Directory(entry).to_bytes());
        }
        self.begun = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let written = self.file.write_all_at(&self.pending, self.written);
        written.map_err(|error| fault(&self.temporary.path, &error))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn far(&self) -> String {
        format!("{} entries, {}", self.entries, told_bytes(self.written))
    }

    /// Makes it durable, checks it as it lies on the disk, and gives it its name.
    fn end(mut self, context: &Context, path: &Path) -> Result<(Exported, u64), Failure> {
        if !self.begun {
            self.start()?;
        }
        self.flush()?;
        let temporary = self.temporary.path.clone();
        self.file.sync_data().map_err(|error| fault(&temporary, &error))?;
        let exported = exported::checked(context, &temporary, self.trust).map_err(|error| match error {
            ExportError::Read(_) if context.stop.token.is_cancelled() => {
                Failure::new(context.stop.exit(), "ended by a signal").and("No file was written")
            }
            ExportError::Read(error) => fault(&temporary, &error),
            error => not_held(&error.to_string()),
        })?;
        let named = context.disk.rename(&temporary, path);
        named.map_err(|error| fault(path, &error))?;
        self.temporary.kept = true;
        context.disk.sync_dir(folder_of(path)).map_err(|error| fault(path, &error))?;
        Ok((exported, self.written))
    }
}

fn fault(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Fault, format!("{}: {error}", path.display()))
}

fn not_held(error: &str) -> Failure {
    Failure::new(Exit::Integrity, format!("what the hub gave proves nothing: {error}"))
        .and("No file was written. Tell the registrars and the auditors")
}
