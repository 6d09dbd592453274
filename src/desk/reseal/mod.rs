//! Sealing again: what an office that lost its key says to the one that sent a message, and what that answers.
//!
//! Owns the making of both, which are messages like others, and the finding of a request that was made. What an answer gives is
//! the key of each of the message's own sealings, never the content: its bytes, digests and signatures stay what they are, and
//! are held to as ever. Never decides for a person that a message is sealed again.
//! At a crash: as with any message, a draft is in the outbox or is not; a key of a sealing is on no disk in clear.

pub mod answers;
#[cfg(test)]
mod tests;

use std::io;

use super::compose::{drafted, new_id, random_bytes, unsigned};
use super::confirmed::fingerprint;
use super::home::Home;
use super::inbox::{Inbox, Kept};
use super::opener::{Opener, Reader};
use super::outbox::{Outcome, Outgoing};
use super::packet::sealed::file_key;
use super::sealer::{SealerError, draft_payload};
use super::store::StoreError;
use crate::files::DiskError;
use crate::host::clock::Clock;
use crate::host::random::Random;
use crate::model::deadline::Deadlines;
use crate::model::envelope::{About, CapMsgType, Envelope, FileDigest, MessageClass, MessageId};
use crate::model::id::DirectoryVersion;
use crate::model::identity::{Desk, Name};
use crate::model::policy::{Policy, Stated, When};
use crate::seal::{self, FileKey, Kind, OpenError};
use crate::wire::reseal::{ResealAnswer, ResealContent};
use crate::wire::signed::SignedEnvelope;

/// What it takes to write either.
#[derive(Clone, Copy)]
pub struct Desktop<'a> {
    /// The desk.
    pub desk: &'a Desk,
    /// The directory.
    pub policy: &'a Policy,
    /// What the draft is sealed to: this office's own key.
    pub own: &'a seal::Recipient,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub random: &'a dyn Random,
}

/// A request that came, all of which holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As it came.
    pub kept: Kept,
    /// Why it asks; empty: it does not say.
    pub why: String,
}

/// Why a message of this desk is not sealed again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The hub does not have it.
    #[error("{0} was never accepted by the hub: nobody has it, so there is nothing to seal again")]
    NotSent(MessageId),
    /// It is erased.
    #[error("{0} is erased, by order of this office: there is nothing to seal again")]
    Erased(MessageId),
    /// It is a resealing itself.
    #[error("{0} is a resealing itself: name the message that it is about")]
    Resealing(MessageId),
    /// It was not for that office.
    #[error("{id} was not for {office}: it is sealed again only for those whom it was for")]
    NotARecipient {
        /// The message.
        id: MessageId,
        /// The office.
        office: Name,
    },
    /// Nobody asked.
    #[error(
        "no signed request of {office} to seal {id} again is here: it is made there, with `resguardo reseal --ask`, and comes \
         as a message of its own"
    )]
    NotAsked {
        /// The message.
        id: MessageId,
        /// The office.
        office: Name,
    },
    /// It asked with a key that counts no more.
    #[error(
        "{office} asked to seal {id} again with a key that was replaced since, which may be in other hands: have it ask again, \
         with `resguardo reseal --ask`"
    )]
    AskedByFormer {
        /// The message.
        id: MessageId,
        /// The office.
        office: Name,
    },
    /// It takes no part any more.
    #[error("{0} is no office of the directory any more: nothing is sealed for it")]
    Removed(Name),
    /// This office's keys do not open it any more.
    #[error("{what} cannot be opened with the keys of this office: {error}")]
    Key {
        /// What.
        what: String,
        /// Why.
        error: OpenError,
    },
    /// A file of it is not here.
    #[error("file {file} of the packet is not here: `resguardo packet get {id}` fetches it")]
    FileMissing {
        /// The packet.
        id: MessageId,
        /// The file.
        file: FileDigest,
    },
    /// The home's files cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The inbox cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealerError),
}

/// Writes a request for what opens a message that came.
///
/// # Errors
/// [`SealerError::Seal`]
pub fn request(desktop: Desktop<'_>, kept: &Kept, why: &str) -> Result<Outgoing, SealerError> {
    let office = kept.envelope.sender.office.clone();
    let about = About { office: office.clone(), message_id: kept.envelope.message_id, digest: kept.digest };
    let content = ResealContent::Request { why: why.to_owned() };
    let thread_id = random_bytes(desktop.random);
    desktop.write(&kept.envelope, about, (office, thread_id), &content)
}

/// Checks that a message of this desk may be sealed again for an office, as far as itself tells.
///
/// # Errors
/// [`ResealError::NotSent`], [`ResealError::Erased`], [`ResealError::Resealing`], [`ResealError::NotARecipient`].
pub fn check(sent: &Outgoing, office: &Name) -> Result<(), ResealError> {
    let id = sent.envelope.message_id;
    if sent.erased {
        return Err(ResealError::Erased(id));
    }
    if !matches!(sent.outcome, Some(Outcome::Accepted { .. })) {
        return Err(ResealError::NotSent(id));
    }
    if sent.envelope.class == MessageClass::Reseal {
        return Err(ResealError::Resealing(id));
    }
    if sent.envelope.offices().all(|it| it != office) {
        return Err(ResealError::NotARecipient { id, office: office.clone() });
    }
    Ok(())
}

/// Finds the newest request of an office about a message of this desk that is signed with a key that counts now.
///
/// # Errors
/// [`ResealError::Removed`], [`ResealError::NotAsked`], [`ResealError::AskedByFormer`], [`ResealError::Store`].
pub fn asked(
    inbox: &Inbox,
    reader: &Reader,
    (sent, about): (&Outgoing, &About),
    (office, policy): (&Name, &Policy),
) -> Result<Request, ResealError> {
    let (id, office) = (sent.envelope.message_id, member(policy, office)?);
    let mut by_former = false;
    for entry in inbox.entries()?.into_iter().rev().filter(|entry| entry.sender == *office) {
        // One that is damaged counts for nothing until it has come again.
        let Ok(kept) = inbox.read(&entry) else { continue };
        if kept.erased.is_some() || kept.envelope.about.as_ref() != Some(about) {
            continue;
        }
        let Ok(clear) = reader.came(&kept) else { continue };
        if let Ok(ResealContent::Request { why }) = ResealContent::read(&clear.0) {
            if counts_now(&kept, policy) {
                return Ok(Request { kept, why });
            }
            by_former = true;
        }
    }
    let office = office.clone();
    Err(if by_former {
        ResealError::AskedByFormer { id, office }
    } else {
        ResealError::NotAsked { id, office }
    })
}

fn member<'a>(policy: &Policy, office: &'a Name) -> Result<&'a Name, ResealError> {
    if policy.is_member(office) { Ok(office) } else { Err(ResealError::Removed(office.clone())) }
}

/// Tells whether what came is signed with a key that its desk has now: whoever has a former one asks for nothing.
fn counts_now(kept: &Kept, policy: &Policy) -> bool {
    SignedEnvelope::read(&kept.envelope_bytes).is_ok_and(|SignedEnvelope { envelope, signed }| {
        let (kind, statement, signatures) = (Kind::Envelope, &*signed.statement, &*signed.signatures);
        let stated = Stated { desk: &envelope.sender, kind, statement, signatures };
        policy.check_envelope(stated, When::Now).is_ok()
    })
}

/// Gives the name of a message of this desk, by which resealings are about it.
pub fn name_of(sent: &Outgoing) -> About {
    let signed = SignedEnvelope::read(&sent.envelope_bytes).expect("it was read from these bytes");
    let (office, message_id) = (sent.envelope.sender.office.clone(), sent.envelope.message_id);
    About { office, message_id, digest: signed.digest() }
}

/// Writes the answer to a request: the keys of the message's sealings, by this office's own.
///
/// # Errors
/// [`ResealError::Removed`], [`ResealError::Key`], [`ResealError::FileMissing`], [`ResealError::Disk`],
/// [`ResealError::Seal`].
pub fn answer(
    desktop: Desktop<'_>,
    (home, opener): (&Home, &Opener),
    (sent, about): (&Outgoing, About),
    request: &Request,
) -> Result<Outgoing, ResealError> {
    member(desktop.policy, &request.kept.envelope.sender.office)?;
    let (id, opening) = (sent.envelope.message_id, opener.keys());
    let of_payload = FileKey::of(&*sent.payload, &opening);
    let mut keys = vec![of_payload.map_err(|error| ResealError::Key { what: id.to_string(), error })?];
    for file in &sent.envelope.files {
        let open = home.shelf().open(file).map_err(|error| match error.source.kind() {
            io::ErrorKind::NotFound => ResealError::FileMissing { id, file: file.digest },
            _ => error.into(),
        })?;
        let key = file_key(open, &opening);
        keys.push(key.map_err(|error| ResealError::Key { what: format!("file {}", file.digest), error })?);
    }
    let asking = &request.kept;
    let (request, request_digest) = (asking.envelope.message_id, asking.digest);
    let content = ResealContent::Answer(ResealAnswer { request, request_digest, keys });
    let to = (asking.envelope.sender.office.clone(), asking.envelope.thread_id);
    Ok(desktop.write(&sent.envelope, about, to, &content)?)
}

impl Desktop<'_> {
    /// A person must see it as soon as the message itself.
    fn write(
        self,
        message: &Envelope,
        about: About,
        (to, thread_id): (Name, [u8; 16]),
        content: &ResealContent,
    ) -> Result<Outgoing, SealerError> {
        let Deadlines { receive, read, act: _ } = self.policy.deadlines_of(message);
        let seen = fingerprint(self.policy, &to);
        let envelope = Envelope {
            message_id: new_id(self.clock, self.random),
            class: MessageClass::Reseal,
            stream: message.stream.clone(),
            sender: self.desk.clone(),
            recipients: vec![drafted(to)],
            directory_version: DirectoryVersion(0),
            priority: message.priority,
            status: message.status,
            msg_type: CapMsgType::Alert,
            thread_id,
            references: Vec::new(),
            sent: self.clock.now(),
            expires: None,
            payload_bytes: 0,
            payload_digest: [0; 32],
            deadlines: Deadlines { receive, read, act: None },
            files: Vec::new(),
            voided: Vec::new(),
            about: Some(about),
        };
        Ok(Outgoing {
            envelope_bytes: unsigned(&envelope),
            envelope,
            payload: draft_payload(self.own, &content.to_bytes())?.into(),
            to_members: false,
            name: None,
            sources: Vec::new(),
            seen,
            erased: false,
            outcome: None,
            promise: None,
        })
    }
}
