//! What every command is given: where to print, what the machine gives, whose home it is, when to stop.
//!
//! Owns nothing that is not handed in.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::exit::{Exit, Failure};
use super::screen::{Screen, Tone};
use super::witness;
use crate::desk::dial::{Dial, HomeDial};
use crate::desk::hand_in::Sealing;
use crate::desk::home::Home;
use crate::desk::inbox::Inbox;
use crate::desk::outbox::Outbox;
use crate::desk::sealer::Unlocked;
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::host::tasks::Tasks;
use crate::model::expiry::{Nearness, days_left};
use crate::wire::client::ConnectLimits;

/// What every command is given.
pub struct Context {
    /// Where to print.
    pub screen: Screen,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// The home that was named.
    pub home: Option<PathBuf>,
    /// The languages that the reader prefers, best first.
    pub languages: Vec<String>,
    /// When to stop.
    pub stop: Stop,
}

/// The wish that the program end, and who had it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled when it must end.
    pub token: CancellationToken,
    signal: Arc<AtomicU8>,
}

impl Stop {
    /// Asks the program to end, as Ctrl-C ([`Exit::Interrupted`]) or SIGTERM ([`Exit::Terminated`]) do.
    pub fn ask(&self, exit: Exit) {
        self.signal.store(exit as u8, Ordering::SeqCst);
        self.token.cancel();
    }

    /// How the program ends then.
    pub fn exit(&self) -> Exit {
        if self.signal.load(Ordering::SeqCst) == Exit::Terminated as u8 {
            Exit::Terminated
        } else {
            Exit::Interrupted
        }
    }
}

impl Context {
    /// Opens the home that was named.
    ///
    /// # Errors
    /// Usage: none was named, or it is no home.
    pub fn home(&self) -> Result<Home, Failure> {
        let Some(dir) = &self.home else {
            return Err(Failure::usage("whose home? Name it with --home DIR or RESGUARDO_HOME"));
        };
        let home = Home::open(self.disk.clone(), dir)?;
        witness::alarm(self, &home);
        Ok(home)
    }

    /// Opens a home's two boxes, for reading.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn boxes(&self, home: &Home) -> Result<(Inbox, Outbox), Failure> {
        Ok((Inbox::open(home)?, Outbox::open(home)?))
    }

    /// What it takes to seal and sign, with the keys that a person has unlocked.
    pub(super) fn sealing(&self, unlocked: Option<Unlocked>) -> Sealing {
        Sealing { unlocked, clock: self.clock.clone() }
    }

    /// The way to the hub that a home names.
    pub fn dial(&self, home: &Home) -> HomeDial {
        HomeDial::of(home, ConnectLimits::default(), self.clock.clone())
    }

    /// The same, for files alone: its windows are those of a transfer.
    pub fn files_dial(&self, home: &Home) -> HomeDial {
        HomeDial::of(home, ConnectLimits::for_files(), self.clock.clone())
    }

    /// Connects to the hub that a home names.
    ///
    /// # Errors
    /// Unreachable, refused, integrity; usage for credentials that cannot be used.
    pub async fn connect(&self, home: &Home) -> Result<Channel, Failure> {
        self.warn_of_end(home);
        Ok(self.dial(home).dial().await?)
    }

    /// Says when the home's certificate ends soon: without one the office is deaf.
    pub(super) fn warn_of_end(&self, home: &Home) {
        let Ok(own) = home.credentials().and_then(|credentials| credentials.own()) else { return };
        let (ends, now) = (own.not_after, self.clock.now());
        let Some(nearness) = Nearness::of(ends, now) else { return };
        let (until, days) = (self.screen.time(ends), days_left(ends, now));
        let (tone, when) = match nearness {
            Nearness::Month | Nearness::Fortnight => {
                (Tone::Warning, format!("ends on {until}, in {days} days"))
            }
            Nearness::Week => (Tone::Bad, format!("ENDS ON {until}, IN {days} DAYS")),
            Nearness::Day => (Tone::Bad, format!("ENDS WITHIN A DAY, on {until}")),
            Nearness::Over => (Tone::Bad, format!("HAS ENDED, on {until}: the hub lets nobody in with it")),
        };
        let words = format!(
            "The certificate of this home {when}. Ask for the next one now: resguardo office request"
        );
        self.screen.aside(tone, &words);
    }

    /// Does what a signal ends where it waits; `left` says what it leaves then.
    ///
    /// # Errors
    /// Its own; [`Exit::Interrupted`] or [`Exit::Terminated`] at a signal.
    pub async fn unless_stopped<T>(
        &self,
        left: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            () = self.stop.token.cancelled() => {
                Err(Failure::new(self.stop.exit(), "ended by a signal").and(left))
            }
        }
    }
}
