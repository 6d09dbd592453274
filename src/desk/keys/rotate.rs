//! New keys of the office: made here, handed over by another desk of it, or passed by file.
//!
//! Owns the way of an office's key between its desks. Never hands in a key that is not on this disk; never takes one that the
//! directory does not name.

use std::cmp::Reverse;
use std::path::Path;

use bytes::Bytes;
use prost::Message as _;
use tonic::transport::Channel;

use super::handover::{carried, handover, id, opened, text_of, transfer_keys};
use super::keyring::{Keyring, key_file, opening, unlock, unwrapped, wrap};
use super::pending::{Folder, destroy, hex, suffix};
use super::{KeysError, Wrap};
use crate::desk::home::{Home, HomeError};
use crate::desk::members::{self, Members, MembersError};
use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::model::amendment::Rotation;
use crate::model::fact::Fact;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::model::obligation::Month;
use crate::model::policy::{Policy, Role};
use crate::seal::key_file::SecretKey;
use crate::seal::{KeyId, Kind, OpeningKey, Recipient, SealError, Signature, seal_bytes};
use crate::wire::amendment;
use crate::wire::status::CallError;

/// Bytes of a file that passes keys at most.
pub const PASSED_BYTES_MAX: u64 = 1024 * 1024;
/// How far a machine's clock may be from the hub's when it dates a key.
const CLOCK_OFF_US: u64 = 24 * 60 * 60 * 1_000_000;

/// Why a key of the office is not renewed, passed or taken.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The keys of the home.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The directory.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What the hub said.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Something cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The office has no key yet.
    #[error("the directory has no key of {0}: the first is the registrars' to sign")]
    NoOfficeKey(Name),
    /// Another desk has the key.
    #[error(
        "this desk does not have the present key of {0}: `office pass-key` at one that has it, then `office take-key` here"
    )]
    Behind(Name),
    /// The clock is not right.
    #[error("this machine's clock is more than a day from the hub's: set it, for a key is dated by it")]
    Clock,
    /// There is no such desk to pass keys to.
    #[error("{0} is no desk of this office that counts: registrars enrol it first")]
    NoDesk(Desk),
    /// The file passes no keys, or not to here.
    #[error("these are no keys passed to this desk: {0}")]
    NotPassed(String),
}

/// Tells whether it is time for a new key of an office: the present one is of an earlier calendar month of UTC, by the times of
/// who wrote its entry and of who asks. An office without a key waits for registrars.
pub fn rotation_due(policy: &Policy, office: &Name, now: UnixMicros) -> bool {
    policy.office_key_made(office).is_some_and(|made| Month::of(made) < Month::of(now))
}

/// What is at hand to renew keys: a home, its passphrase where one wraps its keys, and the line to the hub.
pub struct Bench<'a> {
    /// The home, a desk's.
    pub home: &'a Home,
    /// Its passphrase; none in a development set.
    pub passphrase: Option<&'a str>,
    /// Of which keys are made.
    pub random: &'a dyn Random,
    /// The line.
    pub channel: Channel,
}

impl Bench<'_> {
    /// Makes a new key of the office, hands it in, and makes it the present one once the hub took it; gives the directory.
    /// One that was made before and may have been handed in is handed in again.
    ///
    /// # Errors
    /// [`RotateError`]; after any, what was made waits, and the next call goes on with it.
    pub async fn rotate(&self, now: UnixMicros) -> Result<Members, RotateError> {
        let (members, ring) = self.catch_up(now).await?;
        let (desk, policy) = (self.home.desk()?, members.policy());
        let replaces = policy.office_key_id(&desk.office);
        let replaces = replaces.ok_or_else(|| RotateError::NoOfficeKey(desk.office.clone()))?;
        if members.hub_time.is_none_or(|hub| hub.0.abs_diff(now.0) > CLOCK_OFF_US) {
            return Err(RotateError::Clock);
        }
        let present = ring.opening.first().filter(|key| id(key) == replaces);
        let present = present.ok_or_else(|| RotateError::Behind(desk.office.clone()))?;
        let next = self.office_next(present).await?;
        let fact = Fact::OfficeKey { office: desk.office.clone(), recipient: next.recipient() };
        let handover = handover(policy, desk, &next)?;
        let members = self.hand_in(Rotation { replaces, made: now, fact, handover }, &ring, now).await?;
        if members.policy().office_key_id(&desk.office) != Some(id(&next)) {
            return Err(RotateError::Behind(desk.office.clone()));
        }
        self.destroy(&members, now).await?;
        Ok(members)
    }

    /// Brings this desk's keys of the office up to the directory: takes the new ones that rotations at other desks carry, and
    /// makes another transfer key when one was used. Gives the directory and all keys of the home.
    ///
    /// # Errors
    /// [`RotateError`]
    pub async fn catch_up(&self, now: UnixMicros) -> Result<(Members, Keyring), RotateError> {
        let mut members = Members::fetch(self.channel.clone(), self.home, now).await?;
        let mut ring = self.unlock()?;
        let desk = self.home.desk()?;
        let mut took = false;
        while let Some(present) = ring.opening.first() {
            let next = carried(self.place(), self.passphrase, members.policy(), &desk.office, id(present))?;
            let Some(next) = next else { break };
            let _held = self.home.lock().await?;
            keep_next(&self.folder(), self.wrap(), &next, present)?;
            self.folder().install_office(&hex(&id(&next)))?;
            ring = self.unlock()?;
            took = true;
        }
        // Also after a crash between the two: a transfer key that waits is one that is to be handed in.
        if took || suffix(&self.folder().names()?, "transfer-next.").is_some() {
            members = self.renew_transfer(&members, &ring, now).await?;
        }
        self.destroy(&members, now).await?;
        Ok((members, ring))
    }

    /// Seals the office's keys, present and former, for another desk of it.
    ///
    /// # Errors
    /// [`RotateError`]
    pub async fn pass(&self, to: &Desk, now: UnixMicros) -> Result<Bytes, RotateError> {
        let (members, ring) = self.catch_up(now).await?;
        let (desk, policy) = (self.home.desk()?, members.policy());
        let recipient =
            policy.desks().get(to).filter(|_| to.office == desk.office && to != desk && policy.counts(to));
        let recipient = &recipient.ok_or_else(|| RotateError::NoDesk(to.clone()))?.transfer;
        if ring.opening.first().map(id) != policy.office_key_id(&desk.office) || ring.opening.is_empty() {
            return Err(RotateError::Behind(desk.office.clone()));
        }
        let sealed = seal_bytes(std::slice::from_ref(recipient), b"", text_of(&ring.opening).as_bytes())?;
        let statement = PassedKeys { from: desk.to_string(), to: to.to_string(), sealed: sealed.into() };
        let statement = statement.encode_to_vec();
        let signature = ring.attended.sign(Kind::KeyHandover, &statement);
        let file = PassedFile {
            statement: statement.into(),
            key_id: ring.attended.verifying_key().id().0.to_vec(),
            ed25519: signature.ed25519().to_vec(),
            ml_dsa_44: signature.ml_dsa_44().to_vec(),
        };
        Ok(file.encode_to_vec().into())
    }

    /// Takes the office's keys from a file that another desk of it made, and makes another transfer key.
    ///
    /// # Errors
    /// [`RotateError`]
    pub async fn take(&self, file: &Bytes, now: UnixMicros) -> Result<Members, RotateError> {
        let members = Members::fetch(self.channel.clone(), self.home, now).await?;
        let (desk, policy) = (self.home.desk()?, members.policy());
        let passed = read_passed(file, policy, desk)?;
        let keys = opened(&passed.sealed, &transfer_keys(self.place(), self.passphrase)?)
            .map_err(RotateError::NotPassed)?;
        if keys.first().map(id) != policy.office_key_id(&desk.office) || keys.is_empty() {
            return Err(RotateError::NotPassed(
                "they are not the present ones; have them passed anew".into(),
            ));
        }
        if !keys.iter().all(|key| policy.had_sealing_key(&desk.office, &id(key))) {
            return Err(RotateError::NotPassed("one of them was never the office's".into()));
        }
        {
            let _held = self.home.lock().await?;
            let mut all = keys;
            // What the other desk does not have (any more) is kept all the same.
            for own in self.unlock()?.opening {
                if !all.iter().any(|key| id(key) == id(&own)) {
                    all.push(own);
                }
            }
            all.sort_by_key(|key| Reverse(policy.office_key_place(&desk.office, &id(key))));
            install(&self.folder(), self.wrap(), &all)?;
        }
        let ring = self.unlock()?;
        self.renew_transfer(&members, &ring, now).await
    }

    fn place(&self) -> (&dyn Disk, &Path) {
        (self.home.disk().as_ref(), self.home.dir())
    }

    fn folder(&self) -> Folder<'_> {
        Folder::of(self.home.disk().as_ref(), self.home.dir())
    }

    fn unlock(&self) -> Result<Keyring, KeysError> {
        unlock(self.home.disk().as_ref(), self.home.dir(), self.passphrase)
    }

    fn wrap(&self) -> Wrap<'_> {
        self.passphrase.map_or(Wrap::Insecure, Wrap::Passphrase)
    }

    /// The key that was made and waits, or a new one that waits from now on, with the present one sealed to it.
    async fn office_next(&self, present: &OpeningKey) -> Result<OpeningKey, RotateError> {
        let _held = self.home.lock().await?;
        let (disk, dir) = (self.home.disk().as_ref(), self.home.dir());
        let next = match suffix(&self.folder().names()?, "office-next.") {
            Some(waiting) => {
                let name = format!("office-next.{waiting}");
                let file = key_file(disk, dir, &name)?
                    .ok_or_else(|| KeysError::Missing(self.folder().path(&name)))?;
                opening(dir, &name, unwrapped(file, self.passphrase)?)?
            }
            None => OpeningKey::generate(|bytes| self.random.fill(bytes)),
        };
        keep_next(&self.folder(), self.wrap(), &next, present)?;
        Ok(next)
    }

    async fn renew_transfer(
        &self,
        members: &Members,
        ring: &Keyring,
        now: UnixMicros,
    ) -> Result<Members, RotateError> {
        let desk = self.home.desk()?;
        let Some(replaces) = members.policy().transfer_key_id(desk) else { return Ok(members.clone()) };
        let next = {
            let _held = self.home.lock().await?;
            self.transfer_next()?
        };
        let fact = Fact::TransferKey { desk: desk.clone(), recipient: next };
        self.hand_in(Rotation { replaces, made: now, fact, handover: Bytes::new() }, ring, now).await
    }

    fn transfer_next(&self) -> Result<Recipient, RotateError> {
        let (disk, dir, folder) = (self.home.disk().as_ref(), self.home.dir(), self.folder());
        if let Some(waiting) = suffix(&folder.names()?, "transfer-next.") {
            let name = format!("transfer-next.{waiting}");
            let file = key_file(disk, dir, &name)?.ok_or_else(|| KeysError::Missing(folder.path(&name)))?;
            return Ok(opening(dir, &name, unwrapped(file, self.passphrase)?)?.recipient());
        }
        let next = OpeningKey::generate(|bytes| self.random.fill(bytes));
        let (recipient, name) = (next.recipient(), format!("transfer-next.{}", hex(&id(&next))));
        folder.write(&name, wrap(&SecretKey::Opening(next), self.wrap())?.as_bytes())?;
        Ok(recipient)
    }

    /// Hands a rotation in and gives the directory with it; whatever waited for it is in its place then.
    async fn hand_in(
        &self,
        rotation: Rotation,
        ring: &Keyring,
        now: UnixMicros,
    ) -> Result<Members, RotateError> {
        let mut signed = amendment::unsigned_rotation(rotation);
        amendment::sign(&mut signed, &ring.attended);
        members::amend(self.channel.clone(), amendment::bytes(&signed)).await?;
        Ok(Members::fetch(self.channel.clone(), self.home, now).await?)
    }

    /// Erases former keys that are spent by this machine's time and by the hub's.
    async fn destroy(&self, members: &Members, now: UnixMicros) -> Result<usize, RotateError> {
        let Some(hub) = members.hub_time else { return Ok(0) };
        let spent = members.policy().spent_office_keys(&self.home.desk()?.office, hub.min(now));
        let _held = self.home.lock().await?;
        Ok(destroy(&self.folder(), &spent)?)
    }
}

/// Writes a new key of the office beside the present one, which is sealed to it.
pub(super) fn keep_next(
    folder: &Folder<'_>,
    how: Wrap<'_>,
    next: &OpeningKey,
    present: &OpeningKey,
) -> Result<(), RotateError> {
    let name = format!("office-next.{}", hex(&id(next)));
    // What waits under another name was never taken in, for the directory has another key.
    for stale in folder.names()?.iter().filter(|it| it.starts_with("office-next.") && **it != name) {
        folder.erase(stale)?;
    }
    let before = seal_bytes(&[next.recipient()], b"", text_of(std::slice::from_ref(present)).as_bytes())?;
    folder.write(&format!("former-next.{}", hex(&id(present))), &before)?;
    // Last: whoever finds it finds the other, too.
    Ok(folder.write(&name, wrap(&SecretKey::Opening(next.clone()), how)?.as_bytes())?)
}

/// Puts keys that were passed in their places: the first is the present one, the others came before it, the newest first.
pub(super) fn install(folder: &Folder<'_>, how: Wrap<'_>, keys: &[OpeningKey]) -> Result<(), RotateError> {
    let Some(present) = keys.first() else { return Ok(()) };
    let known = folder.former()?;
    let newest = known.first().map_or(0, |newest| newest.number);
    // Above those that are there, so that a crash leaves the old ones or, once the present one stands, the new ones.
    for (number, pair) in (newest + 1..).zip(keys.windows(2).rev()) {
        let [after, before] = pair else { continue };
        let sealed = seal_bytes(&[after.recipient()], b"", text_of(std::slice::from_ref(before)).as_bytes())?;
        folder.write(&format!("former.{number}.{}", hex(&id(before))), &sealed)?;
    }
    let name = format!("office-next.{}", hex(&id(present)));
    folder.write(&name, wrap(&SecretKey::Opening(present.clone()), how)?.as_bytes())?;
    folder.replace(&name, "office")?;
    known.iter().try_for_each(|former| folder.erase(&former.name))?;
    Ok(())
}

/// Holds a file to the desk that it is of, and to being for this one.
fn read_passed(file: &Bytes, policy: &Policy, own: &Desk) -> Result<PassedKeys, RotateError> {
    let wrong = |what: &str| RotateError::NotPassed(what.to_owned());
    let file = PassedFile::decode(file.clone()).map_err(|_| wrong("the file is of another form"))?;
    let signature = Signature::from_parts(&file.ed25519, &file.ml_dsa_44);
    let signature = signature.map_err(|error| RotateError::NotPassed(error.to_string()))?;
    let key_id = file.key_id.try_into().map_err(|_| wrong("the file is of another form"))?;
    let desks: Vec<_> = policy.desks_of(&own.office).map(|(desk, _)| desk.clone()).collect();
    let signer = desks.iter().find_map(|desk| {
        let standing = policy.signing_key(desk, KeyId(key_id))?;
        (standing.current && standing.role == Role::Attended).then_some((desk, standing.key))
    });
    let (from, key) = signer.ok_or_else(|| wrong("no desk of this office has signed them"))?;
    key.verify(Kind::KeyHandover, &file.statement, &signature)
        .map_err(|error| RotateError::NotPassed(error.to_string()))?;
    let passed = PassedKeys::decode(file.statement).map_err(|_| wrong("the file is of another form"))?;
    if passed.from != from.to_string() || passed.to != own.to_string() {
        return Err(RotateError::NotPassed(format!("they are of {} for {}", passed.from, passed.to)));
    }
    Ok(passed)
}

/// A file that passes keys.
#[derive(Clone, PartialEq, prost::Message)]
struct PassedFile {
    /// What is signed.
    #[prost(bytes = "bytes", tag = "1")]
    statement: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    key_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    ed25519: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    ml_dsa_44: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PassedKeys {
    /// The desk that passes them.
    #[prost(string, tag = "1")]
    from: String,
    /// The desk that they are for.
    #[prost(string, tag = "2")]
    to: String,
    /// Sealed for its transfer key: keys as text, a line each, the present one first.
    #[prost(bytes = "bytes", tag = "3")]
    sealed: Bytes,
}
