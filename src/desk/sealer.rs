//! Sealing and signing a message of this desk, when it is first handed in.
//!
//! Owns who a message is sealed to: its recipients and this office itself, by their newest keys. Never seals twice what the
//! hub may have: only the hub's `STALE_DIRECTORY` lets a message be sealed anew, and only where the directory bears it out.
//! At a crash: the outbox has the draft or what was sealed, whole.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::confirmed::fingerprint;
use super::home::{Home, HomeLock};
use super::keys::Keyring;
use super::live::Live;
use super::numbers;
use super::opener::{Opener, Unreadable};
use super::outbox::{Outbox, Outgoing};
use super::packet::sealed::seal_files;
use super::packet::{Manifest, ManifestError};
use super::signer::Signer;
use super::store::StoreError;
use crate::files::DiskError;
use crate::host::random::Random;
use crate::model::envelope::{Envelope, MessageClass, MessageId, Recipient};
use crate::model::identity::{Desk, Name};
use crate::model::policy::{Policy, Stated, When};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{self, Kind, SealError, SigningKey, seal_bytes, sha256};
use crate::wire::manifest::{Part, SealedManifest};
use crate::wire::signed::SignedEnvelope;

/// A desk's keys while a person has unlocked them.
#[derive(Clone)]
pub struct Unlocked {
    /// The desk.
    pub desk: Desk,
    attended: Live<SigningKey>,
    /// What opens what is sealed to its office.
    pub opener: Opener,
}

/// Why a message cannot be sealed; it stays a draft.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// Nobody has unlocked the keys.
    #[error(
        "it is not sealed and signed yet: `resguardo publish pending` does that, with the passphrase of this home's keys"
    )]
    Locked,
    /// The directory is not known.
    #[error("this home does not know the directory, and so no key to seal to: connect to the hub once")]
    NoDirectory,
    /// An office has no key.
    #[error("the directory holds no key of {0} to seal to: leave it out with --to, or ask the registrars")]
    NoKey(Name),
    /// An office takes no part any more.
    #[error("{0} is no office of the directory any more: nothing is sealed for it")]
    Removed(Name),
    /// The keys are not those that a person looked at.
    #[error(
        "the keys of {0} are others than when this was written, and nobody here has looked at them: what seals a message again is \
         not sealed for them. Compare them, then write it anew with `resguardo reseal`"
    )]
    KeysChanged(Name),
    /// The hub says that the directory has changed, and the directory does not.
    #[error(
        "the hub says that {0} is sealed or signed by an older directory, and by the directory that this home has followed it \
         is not: nothing is made anew on the hub's word alone. It waits as it is; tell the operator and the registrars"
    )]
    NotStale(MessageId),
    /// The stream has nobody who would get it.
    #[error("{0}")]
    Recipients(String),
    /// What is in the outbox cannot be opened.
    #[error("the draft in the outbox: {0}")]
    Draft(#[from] Unreadable),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The outbox cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A packet's file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A packet's file is another one by now.
    #[error("{} has changed since the packet was written: publish it again as it is now", .0.display())]
    Changed(PathBuf),
    /// A packet's manifest is not one.
    #[error("the packet in the outbox: {0}")]
    Manifest(#[from] ManifestError),
    /// A packet has other files than it says.
    #[error("the packet in the outbox does not say where its files are")]
    Sources,
    /// The home's files cannot be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Unlocked {
    /// Takes what a passphrase has unlocked.
    pub fn of(desk: Desk, keyring: Keyring) -> Self {
        let Keyring { attended, opening } = keyring;
        Self { desk, attended: Live::new(attended), opener: Opener::new(opening) }
    }

    /// What the desk signs with.
    pub fn attended(&self) -> Arc<SigningKey> {
        self.attended.get()
    }

    /// Goes on with the keys of another from now on, wherever this one is held.
    pub(super) fn follow(&self, other: &Self) {
        self.attended.follow(&other.attended);
        self.opener.follow(&other.opener);
    }

    /// What a person's receipts are signed with.
    pub fn signer(&self, random: Arc<dyn Random>) -> Signer {
        Signer::of(self.desk.clone(), self.attended.clone(), random)
    }

    /// Seals and signs a draft that waits in the outbox, for the directory as it stands, and keeps that in its place. What is no
    /// draft any more, because another process was first, is given as it is.
    ///
    /// # Errors
    /// [`SealerError`]: what was there stays.
    pub fn seal(
        &self,
        home: &Home,
        held: &HomeLock,
        outbox: &Outbox,
        policy: &Policy,
        id: MessageId,
    ) -> Result<Outgoing, SealerError> {
        let outgoing = outbox.read_message(id)?;
        if outgoing.outcome.is_some() || !outgoing.is_draft() {
            return Ok(outgoing);
        }
        self.sealed(home, held, outbox, policy, outgoing)
    }

    /// Seals and signs anew what the hub refused as sealed or signed by an older directory, if it still is that which waits, and if
    /// the directory as this home followed it says so too: on the hub's word alone there are never two envelopes of one message.
    /// Else it is given as it is.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(super) fn seal_anew(
        &self,
        home: &Home,
        held: &HomeLock,
        outbox: &Outbox,
        policy: &Policy,
        refused: &Outgoing,
    ) -> Result<Outgoing, SealerError> {
        let outgoing = outbox.read_message(refused.envelope.message_id)?;
        let same = outgoing.envelope_bytes == refused.envelope_bytes;
        if outgoing.outcome.is_some() || !same || !is_stale(&outgoing, policy) {
            return Ok(outgoing);
        }
        self.sealed(home, held, outbox, policy, outgoing)
    }

    fn sealed(
        &self,
        home: &Home,
        held: &HomeLock,
        outbox: &Outbox,
        policy: &Policy,
        outgoing: Outgoing,
    ) -> Result<Outgoing, SealerError> {
        let id = outgoing.envelope.message_id;
        let content = self.opener.own(&outgoing.payload)?;
        let offices = self.offices(&outgoing, policy)?;
        check_offices(&outgoing, &offices, policy)?;
        let numbers = numbers::give(home, held, id, &offices)?;
        let mut keys = Vec::with_capacity(offices.len() + 1);
        let mut recipients = Vec::with_capacity(offices.len());
        for (office, number) in offices.into_iter().zip(numbers) {
            let (recipient, key) = key_of(policy, &office)?;
            keys.push(recipient);
            recipients.push(Recipient { office, key, number });
        }
        if recipients.iter().all(|it| it.office != self.desk.office) {
            keys.push(key_of(policy, &self.desk.office)?.0);
        }
        let mut envelope = Envelope {
            recipients,
            directory_version: policy.version(),
            voided: numbers::voided(home)?,
            ..outgoing.envelope.clone()
        };
        let mut content = content.0;
        if envelope.class == MessageClass::Packet {
            let manifest = Manifest::of(&outgoing.envelope, &content)?;
            let manifest = seal_files(home, &outgoing, &envelope, manifest, (&keys, &self.attended()))?;
            (content, envelope.files) = (manifest.bytes(), manifest.file_refs());
        }
        let manifest = SealedManifest::of(&envelope, Part::Payload, sha256(&content));
        let payload = seal_bytes(&keys, &manifest.signed_by(&self.attended()), &content)?;
        envelope.payload_bytes = payload.len() as u64;
        envelope.payload_digest = sha256(&payload);
        let SignedEnvelope { envelope, signed } = SignedEnvelope::by(&self.attended(), envelope);
        let (envelope_bytes, payload) = (signed.to_bytes(), payload.into());
        let sealed = Outgoing { envelope, envelope_bytes, payload, ..outgoing };
        outbox.reseal_message(held, &sealed)?;
        Ok(sealed)
    }

    fn offices(&self, outgoing: &Outgoing, policy: &Policy) -> Result<Vec<Name>, SealerError> {
        let envelope = &outgoing.envelope;
        if !outgoing.to_members {
            return Ok(envelope.offices().cloned().collect());
        }
        let members = policy.streams().get(&envelope.stream).map(|rights| &rights.subscribers);
        let others = members.into_iter().flatten().filter(|office| **office != self.desk.office);
        let others: Vec<_> = others.cloned().collect();
        if others.is_empty() {
            let words = format!("stream {} has no other member by now: nobody would get it", envelope.stream);
            return Err(SealerError::Recipients(words));
        }
        Ok(others)
    }
}

/// Checks that all whom a message is for still take part, and that a resealing goes to nobody whose keys are others than those
/// that a person looked at: what it gives opens a message for good.
fn check_offices(outgoing: &Outgoing, offices: &[Name], policy: &Policy) -> Result<(), SealerError> {
    if let Some(removed) = offices.iter().find(|office| !policy.is_member(office)) {
        return Err(SealerError::Removed(removed.clone()));
    }
    if outgoing.envelope.class == MessageClass::Reseal {
        let same = |office: &&Name| outgoing.seen.is_some() && fingerprint(policy, office) == outgoing.seen;
        if let Some(changed) = offices.iter().find(|office| !same(office)) {
            return Err(SealerError::KeysChanged(changed.clone()));
        }
    }
    Ok(())
}

/// Tells whether a message is sealed to a key that an office has no more, or signed with one that was replaced.
fn is_stale(outgoing: &Outgoing, policy: &Policy) -> bool {
    let stale = |checked: Result<(), Refusal>| checked.is_err_and(|it| it.reason == Reason::DirectoryStale);
    let SignedEnvelope { envelope, signed } =
        SignedEnvelope::read(&outgoing.envelope_bytes).expect("it was read from these bytes");
    let (kind, statement, signatures) = (Kind::Envelope, &*signed.statement, &*signed.signatures);
    let stated = Stated { desk: &envelope.sender, kind, statement, signatures };
    stale(policy.check_envelope(stated, When::Now)) || stale(policy.check_sealing_keys(&envelope))
}

pub(super) fn key_of(policy: &Policy, office: &Name) -> Result<(seal::Recipient, [u8; 32]), SealerError> {
    let key = policy.office_key(office).cloned().zip(policy.office_key_id(office));
    key.ok_or_else(|| SealerError::NoKey(office.clone()))
}

/// Makes a draft's payload: sealed to this office alone, so that nothing lies in clear while it waits.
///
/// # Errors
/// [`SealerError::Seal`]
pub fn draft_payload(own: &seal::Recipient, content: &[u8]) -> Result<Vec<u8>, SealerError> {
    Ok(seal_bytes(std::slice::from_ref(own), &[], content)?)
}

/// Shows nothing of it.
impl fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlocked({})", self.desk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::compose::{drafted, unsigned};
    use crate::desk::home::tests::home_on;
    use crate::desk::outbox::Outcome;
    use crate::desk::sample::{NOW, desk, envelope, id, keys, policy};
    use crate::host::disk::MemoryDisk;
    use crate::model::envelope::About;
    use crate::model::epoch::EpochId;
    use crate::model::fact::Fact;
    use crate::model::id::Index;
    use crate::model::policy::tests::{desk_fact, desk_keys, registrars, rotation, signed};
    use crate::seal::OpeningKey;

    const OWN: &str = "ohchr-honduras";
    const OTHER: &str = "iachr";
    const ACCEPTED: Outcome =
        Outcome::Accepted { index: Index(2), at: NOW, epoch: EpochId(0), repeated: false, unsigned: false };

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn key(number: u8) -> OpeningKey {
        OpeningKey::from_seed(&[number; 32])
    }

    fn office_key(office: &str, number: u8) -> Fact {
        Fact::OfficeKey { office: name(office), recipient: key(number).recipient() }
    }

    /// What registrars say next.
    fn amended(policy: &Policy, facts: Vec<Fact>) -> Policy {
        let mut policy = policy.clone();
        policy.amend(&signed(&policy, facts, &registrars())).unwrap();
        policy
    }

    /// The key of the other office, rotated by a desk of it.
    fn rotated(policy: &Policy, number: u8) -> Policy {
        let mut policy = policy.clone();
        let replaces = policy.office_key_id(&name(OTHER)).unwrap();
        let [attended, _] = keys(OTHER);
        policy.amend(&rotation(replaces, office_key(OTHER, number), &[attended])).unwrap();
        policy
    }

    fn founded() -> Policy {
        amended(&policy(), vec![office_key(OWN, 5), office_key(OTHER, 6)])
    }

    /// A home with a draft for the other office.
    struct Waiting {
        home: Home,
        outbox: Outbox,
        held: HomeLock,
        unlocked: Unlocked,
    }

    impl Waiting {
        async fn draft(class: MessageClass, policy: &Policy) -> Self {
            let home = home_on(&MemoryDisk::new());
            let (outbox, held) = (Outbox::open(&home).unwrap(), home.lock().await.unwrap());
            let [attended, _] = keys(OWN);
            let unlocked = Unlocked::of(desk(OWN), Keyring { attended, opening: vec![key(5)] });
            let about = About { office: name(OWN), message_id: id(7), digest: [7; 32] };
            let envelope = Envelope {
                recipients: vec![drafted(name(OTHER))],
                payload_bytes: 0,
                class,
                about: (class == MessageClass::Reseal).then_some(about),
                ..envelope(1, OWN, OTHER, b"")
            };
            let outgoing = Outgoing {
                envelope_bytes: unsigned(&envelope),
                envelope,
                payload: draft_payload(&key(5).recipient(), b"words").unwrap().into(),
                to_members: false,
                name: None,
                sources: Vec::new(),
                seen: fingerprint(policy, &name(OTHER)),
                erased: false,
                outcome: None,
                promise: None,
            };
            outbox.add_message(&held, &outgoing, NOW).unwrap();
            Self { home, outbox, held, unlocked }
        }

        fn kept(&self) -> Outgoing {
            self.outbox.read_message(id(1)).unwrap()
        }

        fn seal(&self, policy: &Policy) -> Result<Outgoing, SealerError> {
            self.unlocked.seal(&self.home, &self.held, &self.outbox, policy, id(1))
        }

        fn anew(&self, policy: &Policy, refused: &Outgoing) -> Result<Outgoing, SealerError> {
            self.unlocked.seal_anew(&self.home, &self.held, &self.outbox, policy, refused)
        }

        /// The number that the next message for the other office would have.
        fn next_number(&self) -> u64 {
            numbers::give(&self.home, &self.held, id(9), &[name(OTHER)]).unwrap()[0]
        }
    }

    #[tokio::test]
    async fn whoever_comes_second_gets_what_the_first_one_sealed_and_gives_no_number() {
        let policy = founded();
        let waiting = Waiting::draft(MessageClass::Alert, &policy).await;
        let first = waiting.seal(&policy).unwrap();
        assert!(!first.is_draft());
        assert_eq!(waiting.seal(&policy).unwrap(), first, "while the first is handing it in");
        assert_eq!(waiting.kept(), first);
        numbers::taken(&waiting.home, &waiting.held, id(1), &[]).unwrap();
        waiting.outbox.settle_message(&waiting.held, id(1), (ACCEPTED, None)).unwrap();
        let accepted = Outgoing { outcome: Some(ACCEPTED), ..first.clone() };
        for found in [waiting.seal(&policy), waiting.anew(&rotated(&rotated(&policy, 7), 8), &first)] {
            assert_eq!(found.unwrap(), accepted, "once the hub has it");
        }
        assert_eq!(waiting.next_number(), 2, "a number was given that no message bears");
    }

    #[tokio::test]
    async fn what_was_refused_is_sealed_anew_only_where_the_directory_bears_it_out_and_once() {
        let policy = founded();
        let waiting = Waiting::draft(MessageClass::Alert, &policy).await;
        let first = waiting.seal(&policy).unwrap();
        assert_eq!(waiting.anew(&policy, &first).unwrap(), first, "on the hub's word alone");
        let beside = amended(&policy, vec![Fact::Retention { days: 7 }]);
        assert_eq!(waiting.anew(&beside, &first).unwrap(), first, "nothing changed that it hangs on");
        let next = rotated(&rotated(&policy, 7), 8);
        let second = waiting.anew(&next, &first).unwrap();
        assert_eq!(second.envelope.recipients[0].key, next.office_key_id(&name(OTHER)).unwrap());
        assert_eq!(second.envelope.recipients[0].number, first.envelope.recipients[0].number);
        assert_eq!(waiting.kept(), second);
        let later = rotated(&rotated(&next, 9), 10);
        assert_eq!(waiting.anew(&later, &first).unwrap(), second, "the refused one waits no more");
        // New signing keys of the desk, in a directory that it had sealed for already.
        let renewed = amended(&next, vec![desk_fact(desk(OWN), 40)]);
        let [attended, _] = desk_keys(40);
        let unlocked = Unlocked::of(desk(OWN), Keyring { attended, opening: vec![key(5)] });
        let waiting = Waiting { unlocked, ..waiting };
        let third = waiting.anew(&renewed, &second).unwrap();
        assert!(third != second && !is_stale(&third, &renewed));
    }

    #[tokio::test]
    async fn nothing_is_sealed_for_an_office_that_was_removed() {
        let policy = founded();
        let removed = Fact::OfficeRemoved { name: name(OTHER), reason: "closed".into() };
        let removed = amended(&policy, vec![removed]);
        let waiting = Waiting::draft(MessageClass::Alert, &policy).await;
        let said = waiting.seal(&removed).unwrap_err().to_string();
        assert!(said.contains("iachr is no office of the directory any more"), "{said}");
        assert!(waiting.kept().is_draft());
        assert_eq!(waiting.next_number(), 1);
    }

    #[tokio::test]
    async fn a_resealing_goes_to_no_other_keys_than_a_person_looked_at() {
        let policy = founded();
        // By registrars: a key of the office, or a desk of it.
        let others = [office_key(OTHER, 9), desk_fact(desk(OTHER), 50)];
        for other in others.map(|fact| amended(&policy, vec![fact])) {
            let waiting = Waiting::draft(MessageClass::Reseal, &policy).await;
            assert!(matches!(waiting.seal(&other), Err(SealerError::KeysChanged(_))));
            assert!(waiting.kept().is_draft(), "it waits");
            let next = rotated(&policy, 7);
            let first = waiting.seal(&next).unwrap();
            let later = rotated(&rotated(&next, 8), 10);
            assert_ne!(waiting.anew(&later, &first).unwrap(), first, "the office's own desks vouch for it");
            assert_eq!(waiting.kept().seen, fingerprint(&policy, &name(OTHER)));
        }
        let waiting = Waiting::draft(MessageClass::Reseal, &policy).await;
        let first = waiting.seal(&policy).unwrap();
        let replaced = amended(&policy, vec![office_key(OTHER, 9)]);
        assert!(matches!(waiting.anew(&replaced, &first), Err(SealerError::KeysChanged(_))));
        assert_eq!(waiting.kept(), first);
        // One of which nobody knows what was looked at.
        let waiting = Waiting::draft(MessageClass::Reseal, &Policy::default()).await;
        assert!(matches!(waiting.seal(&policy), Err(SealerError::KeysChanged(_))));
        // An alert goes to whoever takes part.
        Waiting::draft(MessageClass::Alert, &policy).await.seal(&replaced).unwrap();
    }
}
