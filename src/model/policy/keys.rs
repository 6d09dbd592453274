//! The keys of the directory, present and former: what was signed or sealed before a key was replaced must stay readable.
//!
//! Owns which key counts for what, and that no key comes twice. Keys are found by their ids, which are computed once.

use std::collections::{BTreeMap, BTreeSet};

use super::Policy;
use crate::model::fact::DeskKeys;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::seal::{KeyId, Recipient, VerifyingKey, sha256};

const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// What a desk's key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What a person answers for.
    Attended,
    /// What a machine does by itself.
    Unattended,
}

/// How a signing key of a desk or registrar stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningKeyStanding<'a> {
    /// The key.
    pub key: &'a VerifyingKey,
    /// What it may sign.
    pub role: Role,
    /// Whether it speaks for them now: not if it was replaced, the desk revoked, or its office removed.
    pub current: bool,
}

/// How and when a key came in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct By {
    pub(super) replaced: Replaced,
    /// By the clock of who wrote the entry.
    pub(super) made: UnixMicros,
}

/// How a key that is sealed to was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// By its office, which still has the one before.
    Rotated,
    /// By registrars, for it was lost or stolen.
    Lost,
}

/// All keys that there are and were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    desks: BTreeMap<Desk, DeskKeys>,
    /// The keys that desks have or had.
    signing: BTreeMap<KeyId, Held>,
    ids: BTreeMap<Desk, DeskIds>,
    /// The keys that registrars have or had.
    registrars: BTreeMap<KeyId, RegistrarKey>,
    offices: BTreeMap<Name, OfficeKeys>,
    /// The ids of all keys, of each kind.
    used: BTreeSet<[u8; 32]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    desk: Desk,
    key: VerifyingKey,
    role: Role,
    replaced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RegistrarKey {
    name: Name,
    key: VerifyingKey,
    replaced: bool,
}

/// The ids of a desk's present keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeskIds {
    attended: KeyId,
    transfer: [u8; 32],
}

/// What an office was and is sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OfficeKeys {
    recipient: Recipient,
    /// The ids of its keys, and how each came in the place of the one before; the present one is the last.
    ids: Vec<([u8; 32], By)>,
}

impl Policy {
    /// The desks that were ever enrolled, with their present keys.
    pub fn desks(&self) -> &BTreeMap<Desk, DeskKeys> {
        &self.keys.desks
    }

    /// A key that a desk signs or signed with; `None`: it never had it.
    pub fn signing_key(&self, desk: &Desk, id: KeyId) -> Option<SigningKeyStanding<'_>> {
        let held = self.keys.signing.get(&id).filter(|held| held.desk == *desk)?;
        let current = !held.replaced && self.counts(desk);
        Some(SigningKeyStanding { key: &held.key, role: held.role, current })
    }

    /// A key that a registrar signs or signed with; `None`: it never had it.
    pub(super) fn registrar_key(&self, name: &Name, id: KeyId) -> Option<SigningKeyStanding<'_>> {
        let held = self.keys.registrars.get(&id).filter(|held| held.name == *name)?;
        Some(SigningKeyStanding { key: &held.key, role: Role::Attended, current: !held.replaced })
    }

    /// What messages for an office are sealed to.
    pub fn office_key(&self, office: &Name) -> Option<&Recipient> {
        self.keys.offices.get(office).map(|it| &it.recipient)
    }

    /// The SHA-256 of the bytes of [`Policy::office_key`].
    pub fn office_key_id(&self, office: &Name) -> Option<[u8; 32]> {
        self.keys.offices.get(office)?.ids.last().map(|(id, _)| *id)
    }

    /// The id of the key of an office that registrars last signed: later ones follow from it by rotations of its own desks.
    pub fn office_key_root(&self, office: &Name) -> Option<[u8; 32]> {
        let ids = &self.keys.offices.get(office)?.ids;
        ids.iter().rev().find(|(_, by)| by.replaced == Replaced::Lost).map(|(id, _)| *id)
    }

    /// Tells whether what is sealed to a key, of which this is the SHA-256 of the recipient's bytes, still reaches an office: its
    /// present one, or the one before if the office rotated it itself. One that registrars replaced was lost or stolen.
    pub fn accepts_sealing_key(&self, office: &Name, key: &[u8; 32]) -> bool {
        let Some(keys) = self.keys.offices.get(office) else { return false };
        match keys.ids.as_slice() {
            [.., (before, _), (present, By { replaced: Replaced::Rotated, .. })] => {
                [before, present].contains(&key)
            }
            [.., (present, _)] => present == key,
            [] => false,
        }
    }

    /// The place of a key among those that an office has or had, the first 0; `None`: it never had it.
    pub fn office_key_place(&self, office: &Name, key: &[u8; 32]) -> Option<usize> {
        self.keys.offices.get(office)?.ids.iter().position(|(id, _)| id == key)
    }

    /// When the present key of an office was made, by the clock of who wrote its entry.
    pub fn office_key_made(&self, office: &Name) -> Option<UnixMicros> {
        self.keys.offices.get(office)?.ids.last().map(|(_, by)| by.made)
    }

    /// The ids of former keys of an office to which nothing is sealed any more that is still kept: they have not been accepted
    /// for longer than policy keeps payloads, by the times that stand in the entries that ended them.
    pub fn spent_office_keys(&self, office: &Name, now: UnixMicros) -> Vec<[u8; 32]> {
        let Some(keys) = self.keys.offices.get(office) else { return Vec::new() };
        let kept_us = u64::from(self.retention_days()) * DAY_US;
        let ended = |at: usize| match (keys.ids.get(at + 1)?, keys.ids.get(at + 2)) {
            ((_, By { replaced: Replaced::Lost, made }), _) | (_, Some((_, By { made, .. }))) => Some(*made),
            _ => None,
        };
        let spent = |at: usize| ended(at).is_some_and(|made| made.0.saturating_add(kept_us) < now.0);
        keys.ids.iter().enumerate().filter(|(at, _)| spent(*at)).map(|(_, (id, _))| *id).collect()
    }

    /// Tells whether an office is or was sealed to a key.
    pub fn had_sealing_key(&self, office: &Name, key: &[u8; 32]) -> bool {
        self.office_key_place(office, key).is_some()
    }

    /// The id of a desk's present attended key.
    pub fn attended_id(&self, desk: &Desk) -> Option<KeyId> {
        self.keys.ids.get(desk).map(|ids| ids.attended)
    }

    /// The SHA-256 of the bytes of what the office's keys are sealed to for a desk.
    pub fn transfer_key_id(&self, desk: &Desk) -> Option<[u8; 32]> {
        self.keys.ids.get(desk).map(|ids| ids.transfer)
    }

    /// The desks of an office that count.
    pub fn desks_of(&self, office: &Name) -> impl Iterator<Item = (&Desk, &DeskKeys)> {
        self.keys.desks.iter().filter(move |(desk, _)| desk.office == *office && self.counts(desk))
    }

    /// Tells whether a desk is one and may do something: neither revoked, nor of an office that was removed.
    pub fn counts(&self, desk: &Desk) -> bool {
        self.keys.desks.contains_key(desk) && self.is_member(&desk.office) && !self.revoked.contains_key(desk)
    }
}

impl Keys {
    /// The present key of a desk or registrar by its id; former and unattended keys are none that signs for the directory.
    pub(super) fn attended(&self, id: KeyId) -> Option<(&Desk, &VerifyingKey)> {
        let held = self.signing.get(&id)?;
        (held.role == Role::Attended && !held.replaced).then_some((&held.desk, &held.key))
    }

    /// The registrar whose present key this is.
    pub(super) fn registrar(&self, id: KeyId) -> Option<&Name> {
        self.registrars.get(&id).filter(|held| !held.replaced).map(|held| &held.name)
    }

    pub(super) fn set_registrar(&mut self, name: &Name, key: &VerifyingKey) -> Result<(), String> {
        let id = self.unused(key)?;
        for held in self.registrars.values_mut().filter(|held| held.name == *name) {
            held.replaced = true;
        }
        self.registrars.insert(id, RegistrarKey { name: name.clone(), key: key.clone(), replaced: false });
        Ok(())
    }

    pub(super) fn set_desk(&mut self, desk: Desk, keys: DeskKeys) -> Result<(), String> {
        let (attended, unattended) = (self.unused(&keys.attended)?, self.unused(&keys.unattended)?);
        for held in self.signing.values_mut().filter(|held| held.desk == desk) {
            held.replaced = true;
        }
        let held =
            |key: &VerifyingKey, role| Held { desk: desk.clone(), key: key.clone(), role, replaced: false };
        let transfer = self.unused_recipient(&keys.transfer)?;
        self.ids.insert(desk.clone(), DeskIds { attended, transfer });
        self.signing.insert(attended, held(&keys.attended, Role::Attended));
        self.signing.insert(unattended, held(&keys.unattended, Role::Unattended));
        self.desks.insert(desk, keys);
        Ok(())
    }

    pub(super) fn set_office_key(
        &mut self,
        office: Name,
        recipient: Recipient,
        mut by: By,
    ) -> Result<(), String> {
        let id = self.unused_recipient(&recipient)?;
        if let Some(keys) = self.offices.get_mut(&office) {
            keys.recipient = recipient;
            keys.ids.push((id, by));
        } else {
            // The first comes in the place of none.
            by.replaced = Replaced::Lost;
            self.offices.insert(office, OfficeKeys { recipient, ids: vec![(id, by)] });
        }
        Ok(())
    }

    pub(super) fn set_transfer_key(&mut self, desk: &Desk, recipient: Recipient) -> Result<(), String> {
        let transfer = self.unused_recipient(&recipient)?;
        if let (Some(keys), Some(ids)) = (self.desks.get_mut(desk), self.ids.get_mut(desk)) {
            (keys.transfer, ids.transfer) = (recipient, transfer);
        }
        Ok(())
    }

    fn unused_recipient(&mut self, recipient: &Recipient) -> Result<[u8; 32], String> {
        let id = sha256(&recipient.to_bytes());
        if self.used.insert(id) {
            return Ok(id);
        }
        Err("a key that is sealed to is or was in use: a key is used once".into())
    }

    /// A key speaks for one alone and once, else a signature would not say who signed, and a stolen key could come back.
    pub(super) fn unused(&mut self, key: &VerifyingKey) -> Result<KeyId, String> {
        let id = key.id();
        if self.used.insert(id.0) { Ok(id) } else { Err(format!("key {id} is or was in use: make another")) }
    }
}
