//! How an office's key comes from one of its desks to another: sealed for transfer keys, as text.
//!
//! Owns that text, and the keys that rotations carry. Never writes: who takes a key for good is `rotate`.

use std::path::Path;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::KeysError;
use super::keyring::{Keyring, key_file, opening, unlock, unwrapped};
use super::pending::Folder;
use crate::host::disk::Disk;
use crate::model::amendment::{DirectoryEntry, Rotation};
use crate::model::fact::Fact;
use crate::model::identity::{Desk, Name};
use crate::model::policy::Policy;
use crate::seal::{OpenError, OpeningKey, SealError, open_bytes, seal_bytes, sha256};

/// Desks that a rotation carries the new key to at most; others get it by `office pass-key`.
const DESKS_CARRIED_MAX: usize = 40;
/// Bytes of keys as text at most: as many as an office has in a hundred years.
const KEYS_BYTES_MAX: u64 = 128 * 1024;

/// Unlocks a home's keys, also new ones of the office that the directory carries to this desk and that it has not taken yet.
/// A desk that has no key of its office gets none by this.
///
/// # Errors
/// As [`unlock`].
pub fn unlock_for(
    place: (&dyn Disk, &Path),
    passphrase: Option<&str>,
    office: &Name,
    policy: &Policy,
) -> Result<Keyring, KeysError> {
    let mut ring = unlock(place.0, place.1, passphrase)?;
    while let Some(present) = ring.opening.first().map(id)
        && policy.office_key_id(office) != Some(present)
        && let Some(next) = carried(place, passphrase, policy, office, present)?
    {
        ring.opening.insert(0, next);
    }
    Ok(ring)
}

/// The key that came after this one of the office, if a rotation carries it to this desk.
pub(super) fn carried(
    place: (&dyn Disk, &Path),
    passphrase: Option<&str>,
    policy: &Policy,
    office: &Name,
    present: [u8; 32],
) -> Result<Option<OpeningKey>, KeysError> {
    let next = policy.entries().iter().find_map(|signed| match &signed.entry {
        DirectoryEntry::Rotation(Rotation {
            replaces,
            fact: Fact::OfficeKey { office: of, recipient },
            handover,
            ..
        }) if *replaces == present && of == office => Some((recipient, handover)),
        _ => None,
    });
    let Some((recipient, handover)) = next.filter(|(_, handover)| !handover.is_empty()) else {
        return Ok(None);
    };
    // One that is not for this desk's present transfer key has to be passed by file.
    let Ok(keys) = opened(handover, &transfer_keys(place, passphrase)?) else { return Ok(None) };
    Ok(keys.into_iter().next().filter(|key| key.recipient() == *recipient))
}

/// The transfer key of a home, and one that waits to take its place.
pub(super) fn transfer_keys(
    (disk, home): (&dyn Disk, &Path),
    passphrase: Option<&str>,
) -> Result<Vec<OpeningKey>, KeysError> {
    let mut keys = Vec::new();
    for name in Folder::of(disk, home).names()? {
        if (name == "transfer" || name.starts_with("transfer-next."))
            && let Some(file) = key_file(disk, home, &name)?
        {
            keys.push(opening(home, &name, unwrapped(file, passphrase)?)?);
        }
    }
    Ok(keys)
}

/// What a rotation carries: the new key, for the office's other desks.
pub(super) fn handover(policy: &Policy, own: &Desk, next: &OpeningKey) -> Result<Bytes, SealError> {
    let others = policy.desks_of(&own.office).filter(|(desk, _)| *desk != own);
    let others: Vec<_> = others.take(DESKS_CARRIED_MAX).map(|(_, keys)| keys.transfer.clone()).collect();
    if others.is_empty() {
        return Ok(Bytes::new());
    }
    Ok(seal_bytes(&others, b"", text_of(std::slice::from_ref(next)).as_bytes())?.into())
}

/// Keys as text, a line each. It is the secrets themselves.
pub(super) fn text_of(keys: &[OpeningKey]) -> Zeroizing<String> {
    let room: usize = keys.iter().map(|key| key.to_text().len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for key in keys {
        text.push_str(&key.to_text());
        text.push('\n');
    }
    text
}

/// Opens sealed keys; says in words why that is not possible.
pub(super) fn opened(sealed: &[u8], keys: &[OpeningKey]) -> Result<Vec<OpeningKey>, String> {
    let opened = open_bytes(sealed, keys, KEYS_BYTES_MAX).map_err(|error: OpenError| error.to_string())?;
    let text = Zeroizing::new(opened.content);
    let text = std::str::from_utf8(&text).map_err(|error| error.to_string())?;
    text.lines().map(|line| OpeningKey::from_text(line).map_err(|error| error.to_string())).collect()
}

/// The SHA-256 of a key's recipient.
pub(super) fn id(key: &OpeningKey) -> [u8; 32] {
    sha256(&key.recipient().to_bytes())
}
