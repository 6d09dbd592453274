//! Public keys as they travel to registrars: of a desk that asks to be enrolled, of a registrar for a founding.
//!
//! Owns the form of both files. Never says whose keys they are in the directory: registrars do, after comparing.

use serde::{Deserialize, Serialize};

use crate::model::fact::{DeskKeys, Fact};
use crate::model::identity::Name;
use crate::seal::{OfficeFingerprint, Recipient, VerifyingKey};

/// Bytes of such a file at most.
pub const KEY_REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// What a desk asks registrars to enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The desk's keys.
    pub keys: DeskKeys,
    /// The office's key; none where another desk of the office has it.
    pub recipient: Option<Recipient>,
}

/// Text that is not of the expected form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a file of public keys: {0}")]
pub struct KeyRequestError(String);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeskFile {
    attended: String,
    unattended: String,
    transfer: String,
    recipient: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RegistrarFile {
    registrar: String,
    institution: String,
    key: String,
}

impl KeyRequest {
    /// Reads a request's text.
    ///
    /// # Errors
    /// [`KeyRequestError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyRequestError> {
        let file: DeskFile = read(text)?;
        let recipient = file.recipient.map(|text| part("recipient", &text)).transpose()?;
        let (attended, unattended) =
            (part("attended", &file.attended)?, part("unattended", &file.unattended)?);
        let transfer = part("transfer", &file.transfer)?;
        Ok(Self { keys: DeskKeys { attended, unattended, transfer }, recipient })
    }

    /// Gives the request's text.
    pub fn to_text(&self) -> String {
        written(&DeskFile {
            attended: self.keys.attended.to_string(),
            unattended: self.keys.unattended.to_string(),
            transfer: self.keys.transfer.to_string(),
            recipient: self.recipient.as_ref().map(ToString::to_string),
        })
    }

    /// What is read out to compare the desk's keys.
    pub fn fingerprint(&self) -> OfficeFingerprint {
        fingerprint_of_desk(&self.keys)
    }
}

/// What is read out to compare the keys of one desk.
pub fn fingerprint_of_desk(keys: &DeskKeys) -> OfficeFingerprint {
    OfficeFingerprint::of(&[keys.attended.id(), keys.unattended.id()], Some(&keys.transfer))
}

/// What is read out to compare the key that is sealed to.
pub fn fingerprint_of_recipient(recipient: &Recipient) -> OfficeFingerprint {
    OfficeFingerprint::of(&[], Some(recipient))
}

/// Reads a registrar's public file into the fact that a founding says of it.
///
/// # Errors
/// [`KeyRequestError`] with what is wrong.
pub fn read_registrar(text: &str) -> Result<Fact, KeyRequestError> {
    let file: RegistrarFile = read(text)?;
    let (name, institution) = (part("registrar", &file.registrar)?, part("institution", &file.institution)?);
    Ok(Fact::Registrar { name, institution, key: part("key", &file.key)? })
}

/// Gives the text of a registrar's public file.
pub fn registrar_text(name: &Name, institution: &Name, key: &VerifyingKey) -> String {
    let (registrar, institution) = (name.to_string(), institution.to_string());
    written(&RegistrarFile { registrar, institution, key: key.to_string() })
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, KeyRequestError> {
    toml::from_str(text).map_err(|error| KeyRequestError(error.message().to_owned()))
}

fn written<T: Serialize>(file: &T) -> String {
    toml::to_string(file).expect("strings can be written")
}

fn part<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, KeyRequestError> {
    text.parse().map_err(|error| KeyRequestError(format!("{name}: {error}")))
}
