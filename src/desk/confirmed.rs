//! Which offices' keys somebody here has compared over another line.
//!
//! Owns `confirmed.toml` in the home: the fingerprint of each office as it was compared. A change of an office's signing keys, or
//! of the key that registrars gave it, changes its fingerprint, so what was confirmed before no longer counts. Never confirms
//! another's by itself.
//! At a crash the file is whole, old or new.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::home::{Home, HomeError};
use super::keys::{self, KeysError};
use crate::host::disk::Disk;
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::seal::{KeyId, OfficeFingerprint, sha256};

const FILE: &str = "confirmed.toml";
/// Under which the keys of the home's own office stand; no office has such a name.
const OWN: &str = "-own";
/// Largest such file, in bytes: some thousand offices.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What was confirmed in a home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    offices: BTreeMap<String, String>,
}

/// How the keys of one's own office stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// As they were confirmed, or as this desk alone made them.
    Known,
    /// Changed, or never looked at: nobody here has said that the office asked for it.
    Unknown(OfficeFingerprint),
}

/// Why it is not known what was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmedError {
    /// The file cannot be read or written.
    #[error("{FILE}: {0}")]
    Disk(#[from] io::Error),
    /// The file is not what it should be.
    #[error("{FILE}: {0}; put it right, or remove it and confirm the offices again")]
    Form(String),
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The home's own request cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The fingerprint of an office: of all keys that its desks sign with and that count, and of the key that is sealed to as
/// registrars last signed it; `None`: it has no keys to sign with.
///
/// What follows from that key by monthly rotations is not in it: the office's own desks vouch for it.
pub fn fingerprint(policy: &Policy, office: &Name) -> Option<OfficeFingerprint> {
    let mut ids = signing_ids(policy, office);
    if ids.is_empty() {
        return None;
    }
    ids.extend(policy.office_key_root(office).map(KeyId));
    Some(OfficeFingerprint::of(&ids, None))
}

fn signing_ids(policy: &Policy, office: &Name) -> Vec<KeyId> {
    let counts = policy
        .desks()
        .iter()
        .filter(|(desk, _)| desk.office == *office && !policy.revoked().contains_key(desk));
    counts.flat_map(|(_, keys)| [keys.attended.id(), keys.unattended.id()]).collect()
}

impl Confirmed {
    /// Reads what was confirmed in a home.
    ///
    /// # Errors
    /// [`ConfirmedError::Disk`], [`ConfirmedError::Form`].
    pub fn read(home: &Home) -> Result<Self, ConfirmedError> {
        let text = match home.disk().read(&home.dir().join(FILE), FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read?,
        };
        let offices = toml::from_str(&String::from_utf8_lossy(&text));
        Ok(Self { offices: offices.map_err(|error| ConfirmedError::Form(error.message().to_owned()))? })
    }

    /// Tells whether an office's keys are those that were confirmed.
    pub fn holds(&self, policy: &Policy, office: &Name) -> bool {
        let found = fingerprint(policy, office).map(|it| it.to_string());
        found.is_some() && self.offices.get(office.as_str()) == found.as_ref()
    }

    /// Which of some offices have keys that nobody here has confirmed.
    pub fn lacking<'a>(&self, policy: &Policy, offices: &'a [Name]) -> Vec<&'a Name> {
        offices.iter().filter(|office| !self.holds(policy, office)).collect()
    }

    /// Tells how the keys of the home's own office stand: those that its desks sign with, and the one that registrars gave it.
    ///
    /// # Errors
    /// [`ConfirmedError::Home`], [`ConfirmedError::Keys`].
    pub fn own(&self, home: &Home, policy: &Policy) -> Result<Own, ConfirmedError> {
        let desk = home.desk()?;
        let Some(found) = fingerprint(policy, &desk.office) else { return Ok(Own::Known) };
        let made_here = keys::request(home.disk().as_ref(), home.dir())?;
        let of_office: BTreeSet<_> = policy
            .desks()
            .keys()
            .filter(|it| it.office == desk.office && !policy.revoked().contains_key(*it))
            .collect();
        let alone = of_office.len() == 1
            && made_here.is_some_and(|made| {
                let id = made.recipient.map(|it| sha256(&it.to_bytes()));
                policy.desks().get(desk).is_some_and(|keys| {
                    keys.attended == made.keys.attended && keys.unattended == made.keys.unattended
                }) && policy.office_key_root(&desk.office) == id
            });
        let confirmed = self.offices.get(OWN) == Some(&found.to_string());
        Ok(if alone || confirmed { Own::Known } else { Own::Unknown(found) })
    }
}

/// Keeps that the keys of the home's own office are those that it asked for.
///
/// # Errors
/// [`ConfirmedError`]
pub async fn confirm_own(home: &Home, policy: &Policy) -> Result<(), ConfirmedError> {
    let Some(own) = fingerprint(policy, &home.desk()?.office) else { return Ok(()) };
    let _held = home.lock().await?;
    let mut confirmed = Confirmed::read(home).unwrap_or_default();
    confirmed.offices.insert(OWN.to_owned(), own.to_string());
    write(home.disk().as_ref(), home.dir(), &confirmed)
}

/// Keeps that an office's fingerprint was compared.
///
/// # Errors
/// [`ConfirmedError`]
pub async fn confirm(home: &Home, office: &Name, compared: OfficeFingerprint) -> Result<(), ConfirmedError> {
    let _held = home.lock().await?;
    // One that cannot be read confirmed nothing any more.
    let mut confirmed = Confirmed::read(home).unwrap_or_default();
    confirmed.offices.insert(office.to_string(), compared.to_string());
    write(home.disk().as_ref(), home.dir(), &confirmed)
}

/// Writes what counts as confirmed in a new home of a development set: all offices of a directory.
///
/// # Errors
/// [`ConfirmedError::Disk`]
pub fn confirm_all(disk: &dyn Disk, dir: &Path, policy: &Policy) -> Result<(), ConfirmedError> {
    let all = policy
        .offices()
        .filter_map(|(_, office, _)| Some((office.to_string(), fingerprint(policy, office)?.to_string())));
    write(disk, dir, &Confirmed { offices: all.collect() })
}

fn write(disk: &dyn Disk, dir: &Path, confirmed: &Confirmed) -> Result<(), ConfirmedError> {
    let text = toml::to_string(&confirmed.offices).expect("strings can be written");
    Ok(disk.write_atomically(&dir.join(FILE), text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::desk::keys::{Wrap, make};
    use crate::desk::sample::{desk, keys, policy};
    use crate::host::disk::MemoryDisk;
    use crate::host::random::SeededRandom;
    use crate::model::fact::{DeskKeys, Fact};
    use crate::model::identity::Desk;
    use crate::model::policy::tests::{desk_fact, key, registrars, rotation, signed};
    use crate::seal::{OpeningKey, Recipient};

    const OFFICE: &str = "iachr";

    fn office() -> Name {
        OFFICE.parse().unwrap()
    }

    fn office_key(number: u8) -> Fact {
        Fact::OfficeKey { office: office(), recipient: OpeningKey::from_seed(&[number; 32]).recipient() }
    }

    fn amended(policy: &Policy, fact: Fact) -> Policy {
        let mut policy = policy.clone();
        policy.amend(&signed(&policy, vec![fact], &registrars())).unwrap();
        policy
    }

    #[test]
    fn what_was_compared_holds_over_rotations_and_over_nothing_that_registrars_set() {
        let first = amended(&policy(), office_key(5));
        let offices = [(OFFICE.to_owned(), fingerprint(&first, &office()).unwrap().to_string())];
        let confirmed = Confirmed { offices: offices.into() };
        let mut rotated = first.clone();
        for number in [6, 7] {
            let [attended, _] = keys(OFFICE);
            let replaces = rotated.office_key_id(&office()).unwrap();
            rotated.amend(&rotation(replaces, office_key(number), &[attended])).unwrap();
            assert!(confirmed.holds(&rotated, &office()), "its own desks vouch for it");
        }
        for fact in [office_key(8), desk_fact(desk(OFFICE), 50), desk_fact(second(OFFICE), 51)] {
            for before in [&first, &rotated] {
                assert!(!confirmed.holds(&amended(before, fact.clone()), &office()), "{fact:?}");
            }
        }
        assert!(!confirmed.holds(&policy(), &office()), "without the key it is another");
    }

    fn second(office: &str) -> Desk {
        Desk { desk: "desk-2".parse().unwrap(), ..desk(office) }
    }

    fn recipient(number: u8) -> Recipient {
        OpeningKey::from_seed(&[number; 32]).recipient()
    }

    #[test]
    fn both_keys_that_a_desk_signs_with_stand_in_the_fingerprint() {
        let enrolled = |attended: u8, unattended: u8| {
            let [attended, unattended] = [attended, unattended].map(|it| key(it).verifying_key());
            let keys = Box::new(DeskKeys { attended, unattended, transfer: recipient(8) });
            fingerprint(&amended(&policy(), Fact::Desk { desk: second(OFFICE), keys }), &office())
        };
        assert_eq!(enrolled(40, 41), enrolled(40, 41));
        assert_ne!(enrolled(40, 41), enrolled(42, 41));
        assert_ne!(enrolled(40, 41), enrolled(40, 42));
    }

    /// What must not change in silence at one's own office.
    fn changes() -> [Fact; 3] {
        let (own, other) = (desk("ohchr-honduras"), second("ohchr-honduras"));
        let sealed_to = Fact::OfficeKey { office: own.office.clone(), recipient: recipient(9) };
        [desk_fact(own, 30), desk_fact(other, 30), sealed_to]
    }

    fn is_known(home: &Home, policy: &Policy) -> bool {
        Confirmed::read(home).unwrap().own(home, policy).unwrap() == Own::Known
    }

    #[tokio::test]
    async fn confirmed_keys_of_ones_own_office_are_unknown_again_once_they_change() {
        let home = home_on(&MemoryDisk::new());
        assert!(!is_known(&home, &policy()), "this home has not made them");
        confirm_own(&home, &policy()).await.unwrap();
        assert!(is_known(&home, &policy()));
        for fact in changes() {
            assert!(!is_known(&home, &amended(&policy(), fact.clone())), "{fact:?}");
        }
    }

    #[test]
    fn keys_that_this_desk_alone_made_are_known_until_others_stand_beside_or_for_them() {
        let disk = MemoryDisk::new();
        let (home, own) = (home_on(&disk), desk("ohchr-honduras"));
        let made = make(&disk, home.dir(), true, Wrap::Insecure, &SeededRandom::new(1)).unwrap();
        let sealed_to = Fact::OfficeKey { office: own.office.clone(), recipient: made.recipient.unwrap() };
        let enrolled = amended(&policy(), Fact::Desk { desk: own, keys: Box::new(made.keys) });
        let enrolled = amended(&enrolled, sealed_to);
        assert!(is_known(&home, &enrolled));
        for fact in changes() {
            assert!(!is_known(&home, &amended(&enrolled, fact.clone())), "{fact:?}");
        }
    }
}
