//! What a person is asked in the terminal: yes, or the passphrase of a home's keys, which may come from a file or a command, too.
//!
//! Owns the questions; a signal ends each. Never keeps a passphrase, never takes one from the command line or the environment, where others see it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::context::Context;
use super::exit::Failure;
use super::screen::Tone;

/// Bytes of a passphrase at most.
const BYTES_MAX: u64 = 4096;
/// Room for a line, so that none is copied while it is typed.
const LINE_BYTES: usize = 8192;
/// How often it is looked whether a signal came while a line is waited for.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Where a passphrase comes from.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Passphrase {
    /// Take the passphrase of the home's keys from the first line of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_command")]
    passphrase_file: Option<PathBuf>,
    /// Take it from the first line that this command prints.
    #[arg(long, value_name = "COMMAND")]
    passphrase_command: Option<String>,
}

impl Passphrase {
    /// Gets the passphrase that unwraps.
    ///
    /// # Errors
    /// Usage: it cannot be had.
    pub(super) fn given(&self, context: &Context) -> Result<Zeroizing<String>, Failure> {
        self.given_for(context, "Passphrase of this home's keys:")
    }

    /// Gets the passphrase that a person is asked for in these words.
    ///
    /// # Errors
    /// As [`Self::given`].
    pub(super) fn given_for(&self, context: &Context, question: &str) -> Result<Zeroizing<String>, Failure> {
        match self.unasked(context)? {
            Some(passphrase) => Ok(passphrase),
            None => typed(context, question),
        }
    }

    /// Gets the passphrase that unwraps, if it can be had; a person may go on without it.
    ///
    /// # Errors
    /// Usage: it was named and cannot be had.
    pub(super) fn offered(&self, context: &Context) -> Result<Option<Zeroizing<String>>, Failure> {
        if let Some(passphrase) = self.unasked(context)? {
            return Ok(Some(passphrase));
        }
        if context.screen.is_json() || !io::stdin().is_terminal() {
            return Ok(None);
        }
        let line = hidden_line(
            context,
            "Passphrase of this home's keys (Enter: go on, and what is sealed stays so):",
        )?;
        let line = line.trim_end_matches(['\r', '\n']);
        Ok((!line.is_empty()).then(|| Zeroizing::new(line.to_owned())))
    }

    /// Gets a new passphrase; a person types it twice.
    ///
    /// # Errors
    /// Usage: it cannot be had, or the two are not the same.
    pub(super) fn chosen(&self, context: &Context) -> Result<Zeroizing<String>, Failure> {
        if let Some(passphrase) = self.unasked(context)? {
            return Ok(passphrase);
        }
        let one = typed(context, "Choose a passphrase for this home's keys:")?;
        let two = typed(context, "Once more:")?;
        if one == two { Ok(one) } else { Err(Failure::usage("the two are not the same: nothing was made")) }
    }

    fn unasked(&self, context: &Context) -> Result<Option<Zeroizing<String>>, Failure> {
        let said = if let Some(path) = &self.passphrase_file {
            let read = context.disk.read(path, BYTES_MAX);
            read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
        } else if let Some(command) = &self.passphrase_command {
            let mut shell = Command::new("sh");
            let ran = shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
            if !ran.status.success() {
                return Err(Failure::usage(format!("the passphrase's command ended with {}", ran.status)));
            }
            ran.stdout
        } else {
            return Ok(None);
        };
        let said = Zeroizing::new(said);
        let text =
            std::str::from_utf8(&said).map_err(|_| Failure::usage("the passphrase is not UTF-8 text"))?;
        first_line(text).map(Some)
    }
}

/// Gets a passphrase that somebody chooses: from a file, or typed twice.
///
/// # Errors
/// Usage: it cannot be had, or the two are not the same.
pub(super) fn chosen_for(
    context: &Context,
    name: &str,
    file: Option<&Path>,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        let read = context.disk.read(path, BYTES_MAX);
        let said =
            Zeroizing::new(read.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?);
        return first_line(&String::from_utf8_lossy(&said));
    }
    let one = typed(context, &format!("{name}, choose a passphrase of your own:"))?;
    let two = typed(context, "Once more:")?;
    if one == two { Ok(one) } else { Err(Failure::usage("the two are not the same: nothing was made")) }
}

fn first_line(text: &str) -> Result<Zeroizing<String>, Failure> {
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(Failure::usage("the passphrase is empty")),
    }
}

/// Asks a person something that is answered with yes.
///
/// # Errors
/// Usage: nobody is here to answer; a signal.
pub(super) fn asked(context: &Context, question: &str, instead: &str) -> Result<bool, Failure> {
    if context.screen.is_json() || !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("nobody is here to answer: {instead}")));
    }
    context.screen.aside(Tone::Warning, question);
    Ok(line_of(context)?.trim().eq_ignore_ascii_case("yes"))
}

/// Asks a person, whose typing is not shown.
fn typed(context: &Context, question: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody is here to type the passphrase: name --passphrase-file or --passphrase-command",
        ));
    }
    let line = hidden_line(context, question)?;
    first_line(line.trim_end_matches(['\r', '\n']))
}

fn hidden_line(context: &Context, question: &str) -> Result<Zeroizing<String>, Failure> {
    context.screen.aside(Tone::Warning, question);
    let hidden = Hidden::begin()?;
    let line = line_of(context)?;
    drop(hidden);
    Ok(line)
}

/// Reads a line of the terminal; a signal ends the wait for it.
fn line_of(context: &Context) -> Result<Zeroizing<String>, Failure> {
    let stdin = io::stdin();
    loop {
        if context.stop.token.is_cancelled() {
            return Err(Failure::new(context.stop.exit(), "ended by a signal; nothing was done"));
        }
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut waiting, Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => {}
            ready => {
                ready.map_err(io::Error::from)?;
                break;
            }
        }
    }
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES));
    stdin.lock().read_line(&mut line)?;
    Ok(line)
}

/// The terminal while what is typed is not shown. Dropped, it shows it again.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Result<Self, Failure> {
        let stdin = io::stdin();
        let shown = tcgetattr(&stdin).map_err(io::Error::from)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // These would end or stop the program and leave the terminal as it is now; Ctrl-C does not.
        hidden.special_codes[SpecialCodeIndex::VQUIT] = 0;
        hidden.special_codes[SpecialCodeIndex::VSUSP] = 0;
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
        Ok(Self(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
