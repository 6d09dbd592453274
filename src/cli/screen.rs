//! What a command prints, and how: for people tables, colours and local times, for programs one object a line.
//!
//! Owns the two outputs. Never prints others' text as it is: what could act on a terminal is made visible.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Color, Effects, Style};
use comfy_table::{Cell, Color as CellColor, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cap::{acts_or_hides, visible};
use crate::model::envelope::{CapStatus, Priority};
use crate::model::id::UnixMicros;
use crate::wire::fingerprint::Fingerprint;

/// Columns of a line of progress: those of the narrowest terminal, but one.
const DRAWN_WIDTH: usize = 79;

const DRILL: Style =
    colour(AnsiColor::Black).bg_color(Some(Color::Ansi(AnsiColor::Yellow))).effects(Effects::BOLD);
const URGENT: Style = colour(AnsiColor::Red).effects(Effects::BOLD);
const GOOD: Style = colour(AnsiColor::Green);
const BAD: Style = colour(AnsiColor::Red).effects(Effects::BOLD);
const WARNING: Style = colour(AnsiColor::Yellow);
const FAINT: Style = Style::new().effects(Effects::DIMMED);

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// Standard output and standard error, or what stands for them.
///
/// Colours are always written: the outputs handed in strip them where there is no terminal.
pub struct Screen {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    json: bool,
    zone: TimeZone,
    /// Whether a line of progress is seen to move.
    live: bool,
    /// Whether one stands there now.
    drawn: AtomicBool,
}

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// All is well.
    Good,
    /// Look at it.
    Warning,
    /// Something is wrong.
    Bad,
    /// At once.
    Urgent,
    /// Not real.
    Drill,
    /// Beside the matter.
    Faint,
}

impl Screen {
    /// Prints to these.
    pub fn new(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        json: bool,
        zone: TimeZone,
    ) -> Self {
        Self {
            out: Mutex::new(Box::new(out)),
            err: Mutex::new(Box::new(err)),
            json,
            zone,
            live: false,
            drawn: AtomicBool::new(false),
        }
    }

    /// Says whether standard error is a terminal, on which a line of progress is seen to move.
    #[must_use]
    pub fn live(self, live: bool) -> Self {
        Self { live, ..self }
    }

    /// Draws a line of progress in the place of the one before.
    pub(super) fn draw(&self, line: &str) {
        if self.live && !self.json {
            self.drawn.store(true, Ordering::Relaxed);
            self.on_err(&format!("\r{line:<DRAWN_WIDTH$.DRAWN_WIDTH$}"));
        }
    }

    /// Takes the line of progress away.
    pub(super) fn undraw(&self) {
        if self.drawn.swap(false, Ordering::Relaxed) {
            self.on_err(&format!("\r{:DRAWN_WIDTH$}\r", ""));
        }
    }

    fn on_err(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // Where even this cannot be printed, nothing can be said.
        let _ = err.write_all(text.as_bytes());
        let _ = err.flush();
    }

    /// Whether programs read the output.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line for people, where people read.
    ///
    /// # Errors
    /// Any of the output.
    pub fn line(&self, line: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        self.undraw();
        let mut out = self.out();
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// Prints one object, where programs read.
    ///
    /// # Errors
    /// Any of the output.
    pub fn object(&self, object: &Value) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut out = self.out();
        writeln!(out, "{}", object_line(object))?;
        out.flush()
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// Any of the output.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = self.out();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Prints a line beside the output, for people.
    pub(super) fn aside(&self, tone: Tone, line: &str) {
        self.undraw();
        self.on_err(&format!("{}\n", toned(tone, line)));
    }

    /// Prints a table, where people read.
    ///
    /// # Errors
    /// Any of the output.
    pub fn table(&self, table: &Table) -> io::Result<()> {
        self.line(&table.to_string())
    }

    /// A time as people read it: local, with its offset.
    pub fn time(&self, time: UnixMicros) -> String {
        match timestamp(time) {
            Some(time) => time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            None => format!("{} us", time.0),
        }
    }

    /// The moment of a date and time of the reader's zone; `None` for one that it does not have.
    pub(super) fn moment(&self, local: DateTime) -> Option<Timestamp> {
        Some(local.to_zoned(self.zone.clone()).ok()?.timestamp())
    }

    fn out(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An output for what is done to its end whether or not anybody reads on: the exit code says how it went.
pub(super) struct Heedless<W>(pub(super) W);

impl<W: Write> Write for Heedless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// A fingerprint as people read it out: two lines, each half of a line of a narrow terminal, under each other.
pub(super) fn read_out(label: &str, fingerprint: Fingerprint) -> String {
    let groups = fingerprint.grouped();
    let (first, second) = groups.split_at(groups.len() / 2);
    format!(
        "{label}{}\n{:width$}{}",
        first.trim_end(),
        "",
        second.trim_start(),
        width = label.chars().count()
    )
}

/// A time as programs read it: RFC 3339, UTC, microseconds.
pub(super) fn utc(time: UnixMicros) -> Value {
    timestamp(time).map_or(Value::Null, |time| time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into())
}

/// A time as people in several places read it: UTC, to the second.
pub(super) fn utc_second(time: UnixMicros) -> String {
    timestamp(time)
        .map_or_else(|| format!("{} us", time.0), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn timestamp(time: UnixMicros) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(time.0).ok()?).ok()
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How long after one time another was, as people read it: `3 s`, `12 min`, `2 h 5 min`, `3 d 2 h`.
pub(super) fn after(from: UnixMicros, to: UnixMicros) -> String {
    let ms = to.0.saturating_sub(from.0) / 1_000;
    let s = ms / 1_000;
    match s {
        0 => format!("{ms} ms"),
        1..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h {} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3_600 % 24),
    }
}

/// Others' words on one line, harmless.
pub(super) fn harmless(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

/// An object as one line. What could act on a terminal stands only in its strings, where JSON can write it as a number.
fn object_line(object: &Value) -> String {
    let mut line = String::new();
    for character in object.to_string().chars() {
        if acts_or_hides(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

/// Words in their tone.
pub(super) fn toned(tone: Tone, words: &str) -> String {
    let style = match tone {
        Tone::Plain => return words.to_owned(),
        Tone::Good => GOOD,
        Tone::Warning => WARNING,
        Tone::Bad => BAD,
        Tone::Urgent => URGENT,
        Tone::Drill => DRILL,
        Tone::Faint => FAINT,
    };
    format!("{style}{words}{style:#}")
}

/// What stands before everything that is not real; empty for what is.
pub(super) fn banner(status: CapStatus) -> String {
    match status {
        CapStatus::Actual => String::new(),
        other => toned(Tone::Drill, &format!(" {} ", other.name().to_uppercase())),
    }
}

/// The tone of a priority.
pub(super) fn priority_tone(priority: Priority) -> Tone {
    match priority {
        Priority::Urgent => Tone::Urgent,
        Priority::Normal => Tone::Plain,
        Priority::Low => Tone::Faint,
    }
}

/// Begins a table; without a header where none is given.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).enforce_styling();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// One cell of others' or our words, harmless, in its tone.
pub(super) fn cell(tone: Tone, words: &str) -> Cell {
    let cell = Cell::new(harmless(words));
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(CellColor::Green),
        Tone::Warning => cell.fg(CellColor::Yellow),
        Tone::Bad | Tone::Urgent => cell.fg(CellColor::Red),
        Tone::Drill => cell.fg(CellColor::Black).bg(CellColor::Yellow),
        Tone::Faint => cell.fg(CellColor::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_has_nothing_that_acts_on_a_terminal_and_means_the_same() {
        let hostile = "a\u{9b}2J\u{202e}b\u{7f}\u{e0041}\u{1b}\n\"é日\u{1f56f}";
        let object = serde_json::json!({ "headline": hostile });
        let line = object_line(&object);
        assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}' && c != '\u{e0041}'), "{line:?}");
        assert!(line.contains("é日\u{1f56f}"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), object);
    }

    #[test]
    fn times_are_local_with_their_offset_for_people_and_utc_for_programs() {
        let time = UnixMicros(1_700_000_000_123_456);
        let zone = TimeZone::fixed(jiff::tz::offset(-6));
        let screen = Screen::new(io::sink(), io::sink(), false, zone);
        assert_eq!(screen.time(time), "2023-11-14 16:13:20 -06:00");
        assert_eq!(utc(time), "2023-11-14T22:13:20.123456Z");
        // No time of day at all, from a hub that is out of its mind.
        assert_eq!(
            (utc(UnixMicros(u64::MAX)), screen.time(UnixMicros(7 << 60)).ends_with(" us")),
            (Value::Null, true)
        );
    }

    #[test]
    fn spans_are_said_as_people_say_them() {
        let said = |s: u64| after(UnixMicros(5), UnixMicros(5 + s * 1_000_000));
        for (s, words) in [
            (1, "1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_500, "2 h 5 min"),
            (180_000, "2 d 2 h"),
        ] {
            assert_eq!(said(s), words);
        }
        assert_eq!(after(UnixMicros(0), UnixMicros(1_500)), "1 ms");
        // Clocks of two machines: what came before is not said to have come after.
        assert_eq!(after(UnixMicros(9), UnixMicros(5)), "0 ms");
    }

    #[test]
    fn nothing_that_is_not_real_goes_without_its_banner() {
        for status in CapStatus::ALL {
            let banner = banner(*status);
            assert_eq!(banner.is_empty(), *status == CapStatus::Actual);
            assert!(banner.is_empty() || banner.contains(&status.name().to_uppercase()));
        }
    }

    #[test]
    fn a_cell_holds_no_line_and_no_escape_of_others() {
        let mut table = table(&["One"]);
        table.add_row(vec![cell(Tone::Plain, "a\nb\u{1b}[31mc\u{202e}d")]);
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert!(text.contains("a\\nb\\u{1b}[31mc\\u{202e}d"), "{text:?}");
    }
}
