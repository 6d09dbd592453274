//! The keys of a home, for the time of one command.
//!
//! Owns when a person is asked for the passphrase. Never keeps it.

use clap::Args;
use tokio::sync::Mutex;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use super::context::Context;
use super::exit::Failure;
use super::passphrase::Passphrase;
use super::screen::Tone;
use crate::desk::home::Home;
use crate::desk::keys::{self, Bench, rotation_due};
use crate::desk::members::Members;
use crate::desk::officers::{self, Officer, Present};
use crate::desk::opener::Reader;
use crate::desk::sealer::Unlocked;
use crate::desk::session::{Again, Rekey};
use crate::desk::signer::Signer;
use crate::seal::{Recipient, SigningKey};

/// How the keys of a home are unlocked.
#[derive(Clone, Debug, Default, Args)]
pub struct Unlock {
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Unlock {
    /// Unlocks the keys; a person is asked for the passphrase if need be.
    ///
    /// # Errors
    /// Usage: nobody is there to ask, or it is another passphrase; a fault of the disk.
    pub(super) fn required(&self, context: &Context, home: &Home) -> Result<Unlocked, Failure> {
        self.opened(context, home).map(|opened| opened.unlocked)
    }

    /// Unlocks the keys, and holds on to the passphrase for what may have to be made with it.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn opened(&self, context: &Context, home: &Home) -> Result<Opened, Failure> {
        let asked = needs_passphrase(context, home)?;
        let passphrase = asked.then(|| self.passphrase.given(context)).transpose()?;
        Opened::with(context, home, passphrase)
    }

    /// Unlocks an officer's key, and with the one passphrase that an officer types those of the home.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn officer(
        &self,
        context: &Context,
        home: &Home,
        officer: &Officer,
    ) -> Result<(Unlocked, SigningKey), Failure> {
        let (disk, dir) = (context.disk.as_ref(), home.dir());
        if !officers::needs_passphrase(disk, dir, officer)? {
            let present = officers::unlock(disk, dir, officer, "")?;
            return Ok((self.required(context, home)?, present.key));
        }
        let passphrase = self.passphrase.given_for(context, &format!("Passphrase of {}:", officer.name))?;
        let Present { key, of_home } = officers::unlock(disk, dir, officer, &passphrase)?;
        Ok((unlocked(context, home, of_home.as_ref().map(|it| it.as_str()))?, key))
    }

    /// The passphrase of the home's keys, for what must keep it; `None` where nothing wraps them.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn of_home(
        &self,
        context: &Context,
        home: &Home,
    ) -> Result<Option<Zeroizing<String>>, Failure> {
        if !needs_passphrase(context, home)? {
            return Ok(None);
        }
        let passphrase = self.passphrase.given(context)?;
        unlocked(context, home, Some(&passphrase))?;
        Ok(Some(passphrase))
    }

    /// Unlocks the keys if the passphrase can be had; a person may go on without it.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn offered(&self, context: &Context, home: &Home) -> Result<Option<Opened>, Failure> {
        if home.desk().is_err() {
            return Ok(None);
        }
        if !needs_passphrase(context, home)? {
            return Opened::with(context, home, None).map(Some);
        }
        let offered = self.passphrase.offered(context)?;
        offered.map(|passphrase| Opened::with(context, home, Some(passphrase))).transpose()
    }

    /// What can be read with the keys that can be had.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub(super) fn reader(&self, context: &Context, home: &Home) -> Result<Reader, Failure> {
        let opened = self.offered(context, home)?;
        Ok(Reader::of(home, opened.map(|opened| opened.unlocked.opener)))
    }
}

/// Keys that are unlocked, and the passphrase that did it.
pub(super) struct Opened {
    /// The keys.
    pub(super) unlocked: Unlocked,
    passphrase: Option<Zeroizing<String>>,
}

impl Opened {
    fn with(context: &Context, home: &Home, passphrase: Option<Zeroizing<String>>) -> Result<Self, Failure> {
        let unlocked = unlocked(context, home, passphrase.as_ref().map(|it| it.as_str()))?;
        Ok(Self { unlocked, passphrase })
    }

    /// Reads the keys again: they may have been replaced since.
    ///
    /// # Errors
    /// As [`Unlock::required`].
    fn again(&mut self, context: &Context, home: &Home) -> Result<(), Failure> {
        self.unlocked = unlocked(context, home, self.passphrase.as_ref().map(|it| it.as_str()))?;
        Ok(())
    }

    /// Gives the office its key for this month, if it has none yet. What keeps it from that is told, and stops nothing: the key
    /// of the month before counts still.
    pub(super) async fn rotate_when_due(&mut self, context: &Context, home: &Home, channel: Channel) {
        let now = context.clock.now();
        let office = &self.unlocked.desk.office;
        let Ok(Some(members)) = Members::copied(home) else { return };
        if !rotation_due(members.policy(), office, now) {
            return;
        }
        let passphrase = self.passphrase.as_ref().map(|it| it.as_str());
        let bench = Bench { home, passphrase, random: context.random.as_ref(), channel };
        let rotated = bench.rotate(now).await.map_err(|error| error.to_string());
        match rotated.and_then(|_| self.again(context, home).map_err(|failure| failure.message)) {
            Ok(()) => {
                let words = "This office has a new key for the month: what is for it is sealed to that one from now on.";
                context.screen.aside(Tone::Faint, words);
            }
            Err(why) => {
                let words = format!(
                    "the office's key for this month was not made: {why}. It is tried again the next time"
                );
                context.screen.aside(Tone::Warning, &words);
            }
        }
    }
}

/// Reads a home's keys again while a subscription runs, and makes the office's key of a new month.
pub(super) struct Ring<'a> {
    context: &'a Context,
    home: &'a Home,
    opened: Mutex<Option<Opened>>,
}

impl<'a> Ring<'a> {
    /// Has what was unlocked, if a person has unlocked it.
    pub(super) fn of(context: &'a Context, home: &'a Home, opened: Option<Opened>) -> Self {
        Self { context, home, opened: Mutex::new(opened) }
    }
}

impl Rekey for Ring<'_> {
    fn again(&self, channel: Channel) -> Again<'_> {
        Box::pin(async move {
            let mut opened = self.opened.lock().await;
            let read = match opened.as_mut() {
                Some(opened) => opened.again(self.context, self.home),
                None => Ok(()),
            };
            let signer = read.and_then(|()| unattended(self.context, self.home));
            let signer = signer.map_err(|failure| {
                let words = format!(
                    "the keys of this home were replaced, and cannot be read: {}. End this and start it again",
                    failure.message
                );
                self.context.screen.aside(Tone::Bad, &words);
            });
            if let Some(opened) = opened.as_mut() {
                opened.rotate_when_due(self.context, self.home, channel).await;
            }
            Some((signer.ok()?, opened.as_ref().map(|opened| opened.unlocked.clone())))
        })
    }
}

fn needs_passphrase(context: &Context, home: &Home) -> Result<bool, Failure> {
    Ok(keys::needs_passphrase(context.disk.as_ref(), home.dir())?)
}

fn unlocked(context: &Context, home: &Home, passphrase: Option<&str>) -> Result<Unlocked, Failure> {
    let desk = home.desk()?.clone();
    if passphrase.is_none() {
        let words = "The keys of this home lie open on the disk: for trying, never for use";
        context.screen.aside(Tone::Warning, words);
    }
    let place = (context.disk.as_ref(), home.dir());
    // Another desk of the office may have rotated its key: the directory carries it here.
    let keyring = match Members::copied(home) {
        Ok(Some(members)) => keys::unlock_for(place, passphrase, &desk.office, members.policy())?,
        // Without a directory that can be used the keys open what they opened before.
        _ => keys::unlock(place.0, place.1, passphrase)?,
    };
    Ok(Unlocked::of(desk, keyring))
}

/// What a machine's receipts are signed with.
///
/// # Errors
/// Usage: the home has no such key; a fault of the disk.
pub(super) fn unattended(context: &Context, home: &Home) -> Result<Signer, Failure> {
    let key = keys::unattended(context.disk.as_ref(), home.dir())?;
    Ok(Signer::new(home.desk()?.clone(), key, context.random.clone()))
}

/// What drafts are sealed to: this office's own key.
///
/// # Errors
/// Unreachable: it is not known here.
pub(super) fn own_recipient(
    context: &Context,
    home: &Home,
    members: Option<&Members>,
) -> Result<Recipient, Failure> {
    let office = &home.desk()?.office;
    if let Some(own) = members.and_then(|members| members.policy().office_key(office)) {
        return Ok(own.clone());
    }
    let request = keys::request(context.disk.as_ref(), home.dir())?;
    request.and_then(|request| request.recipient).ok_or_else(|| {
        Failure::usage(format!(
            "the key of {office} is not known here, and nothing may lie in clear: connect to the hub once. Nothing was published"
        ))
    })
}
