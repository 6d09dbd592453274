//! How far files are: a line that is drawn anew for people, an object now and then for programs.
//!
//! Owns rate and time left. Never draws where nobody sees it move.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::screen::{Tone, harmless};
use crate::cli::status::bytes;
use crate::desk::packet::transfer::{Progress, TransferError};
use crate::model::envelope::{Envelope, FileDigest, MessageId};

/// How often it is told, in microseconds: twice a second.
const TELL_EVERY_US: u64 = 500_000;
/// Characters of the bar.
const BAR_WIDTH: u64 = 20;

/// An object of progress.
pub(in crate::cli) fn object(message_id: MessageId, up: bool, progress: &Progress) -> Value {
    json!({
        "object": "transfer",
        "message_id": message_id.to_string(),
        "direction": if up { "up" } else { "down" },
        "sha256": progress.file.digest.to_string(),
        "bytes": progress.file.bytes,
        "done_bytes": progress.done_bytes,
    })
}

/// Now and then: at most so often, and never twice the same.
pub(in crate::cli) struct Seldom(Mutex<Option<u64>>);

impl Seldom {
    pub(in crate::cli) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Tells whether it is time again.
    pub(in crate::cli) fn is_time(&self, now_us: u64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now_us.saturating_sub(last) >= TELL_EVERY_US);
        if due {
            *last = Some(now_us);
        }
        due
    }
}

/// How far a packet's files are.
pub(super) struct Bar<'a> {
    context: &'a Context,
    message_id: MessageId,
    up: bool,
    title: String,
    total_bytes: u64,
    seldom: Seldom,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: HashMap<FileDigest, u64>,
    /// Bytes that were there at the first look, and when that was: the rate counts from here.
    began: Option<(u64, u64)>,
}

impl<'a> Bar<'a> {
    /// For the files of a message, under a title.
    pub(super) fn new(context: &'a Context, envelope: &Envelope, up: bool, title: &str) -> Self {
        Self {
            context,
            message_id: envelope.message_id,
            up,
            title: harmless(title),
            total_bytes: envelope.files.iter().map(|file| file.bytes).sum(),
            seldom: Seldom::new(),
            state: Mutex::default(),
        }
    }

    /// Takes notice of a piece. What cannot be shown stops no file.
    pub(super) fn tell(&self, progress: Progress) {
        let now_us = self.context.clock.monotonic_us();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done.insert(progress.file.digest, progress.done_bytes);
        let done: u64 = state.done.values().sum();
        let (first, since_us) = *state.began.get_or_insert((done, now_us));
        drop(state);
        let is_last = progress.done_bytes == progress.file.bytes;
        if !self.seldom.is_time(now_us) && !is_last {
            return;
        }
        let _ = self.context.screen.object(&object(self.message_id, self.up, &progress));
        let rate = (done - first.min(done)).saturating_mul(1_000_000) / (now_us - since_us).max(1);
        self.context.screen.draw(&line(&self.title, done, self.total_bytes, rate));
    }

    /// Says why nothing goes on for now.
    pub(super) fn lost(&self, why: &TransferError, retry_in_ms: u64) {
        let words = harmless(&why.to_string());
        let told = json!({ "object": "lost", "message": words, "retry_in_ms": retry_in_ms });
        let _ = self.context.screen.object(&told);
        self.context.screen.aside(Tone::Warning, &format!("{words}; trying again"));
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.context.screen.undraw();
    }
}

fn line(title: &str, done: u64, total: u64, rate: u64) -> String {
    let share = done.min(total).saturating_mul(BAR_WIDTH).checked_div(total).unwrap_or(BAR_WIDTH);
    let bar: String = (0..BAR_WIDTH).map(|at| if at < share { '#' } else { '-' }).collect();
    let title: String = title.chars().take(24).collect();
    let left = match (total - done.min(total)).checked_div(rate) {
        Some(s @ 0..120) => format!("{s} s left"),
        Some(s @ 120..7_200) => format!("{} min left", s / 60),
        Some(s) => format!("{} h left", s / 3_600),
        None => String::new(),
    };
    format!("{title} [{bar}] {} of {}, {}/s, {left}", bytes(done), bytes(total), bytes(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_how_far_how_fast_and_how_long() {
        let mib = 1 << 20;
        let half = line("Report", 50 * mib, 100 * mib, 5 * mib);
        assert_eq!(half, "Report [##########----------] 50.0 MiB of 100.0 MiB, 5.0 MiB/s, 10 s left");
        assert!(line("Report", 0, 100 * mib, 0).ends_with("/s, "), "nothing is known yet");
        assert!(line("Report", 0, 3 << 30, mib).ends_with("51 min left"));
        assert!(line("Empty", 0, 0, 0).contains("[####################]"));
    }

    #[test]
    fn it_is_told_twice_a_second_at_most() {
        let seldom = Seldom::new();
        let told = (0..3_000).filter(|ms| seldom.is_time(ms * 1_000)).count();
        assert_eq!(told, 6);
    }
}
