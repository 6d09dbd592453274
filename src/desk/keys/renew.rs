//! New signing keys of a desk, which its present key and one registrar vouch for.
//!
//! Owns the file that is carried to a registrar. The new keys count once the directory holds them; until then the present ones
//! stay.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::keyring::{unlock, wrap};
use super::pending::{Folder, RENEWAL, RENEWED, REQUEST_NEXT};
use super::{KeyRequest, KeysError, Wrap, read_request, request};
use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::model::amendment::Rotation;
use crate::model::fact::{DeskKeys, Fact};
use crate::model::id::UnixMicros;
use crate::model::identity::Desk;
use crate::seal::key_file::{Plain, SecretKey, plain};
use crate::seal::{OpeningKey, SigningKey};
use crate::wire::amendment;

/// Makes new keys of a desk and a file for a registrar; gives the file and the public halves. What waits already is given
/// again.
///
/// # Errors
/// [`KeysError`]
pub fn renew(
    (disk, home): (&dyn Disk, &Path),
    own: &Desk,
    passphrase: Option<&str>,
    random: &dyn Random,
    made: UnixMicros,
) -> Result<(PathBuf, KeyRequest), KeysError> {
    let folder = Folder::of(disk, home);
    if let Some(waiting) = read_request(disk, &folder.path(REQUEST_NEXT))? {
        return Ok((folder.path(RENEWAL), waiting));
    }
    let ring = unlock(disk, home, passphrase)?;
    let how = passphrase.map_or(Wrap::Insecure, Wrap::Passphrase);
    let signing = || SigningKey::generate(|bytes| random.fill(bytes));
    let (attended, unattended) = (signing(), signing());
    let transfer = OpeningKey::generate(|bytes| random.fill(bytes));
    let keys = DeskKeys {
        attended: attended.verifying_key(),
        unattended: unattended.verifying_key(),
        transfer: transfer.recipient(),
    };
    let texts = [
        wrap(&SecretKey::Signing(attended), how)?,
        plain(&SecretKey::Signing(unattended), Plain::Unattended)?,
        wrap(&SecretKey::Opening(transfer), how)?,
    ];
    for ((name, _), text) in RENEWED.into_iter().zip(&texts) {
        folder.write(name, text.as_bytes())?;
    }
    let mut signed = amendment::unsigned_rotation(Rotation {
        replaces: ring.attended.verifying_key().id().0,
        made,
        fact: Fact::Desk { desk: own.clone(), keys: Box::new(keys.clone()) },
        handover: Bytes::new(),
    });
    amendment::sign(&mut signed, &ring.attended);
    folder.write(RENEWAL, &amendment::bytes(&signed))?;
    let recipient = request(disk, home)?.and_then(|present| present.recipient);
    let next = KeyRequest { keys, recipient };
    // Last: it says that all is there.
    folder.write(REQUEST_NEXT, next.to_text().as_bytes())?;
    Ok((folder.path(RENEWAL), next))
}
