//! What an alert's payload says: the alert, and whom it is about.
//!
//! Owns the way from a payload to both, and from both to a payload. Never shows or exports anything: what may leave an office
//! is [`release`](super::release)'s to say.

use bytes::Bytes;

use crate::cap::{self, Alert, CapError, Imported};
use crate::model::person::Person;
use crate::wire::content::{self, AlertContent, ContentError};

/// An alert that came or went.
#[derive(Debug)]
pub struct Read {
    /// Its CAP document, with what is to be remarked of it.
    pub imported: Imported,
    /// Whom it is about.
    pub persons: Vec<Person>,
}

/// Why a payload is no alert.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// It is not of the form that an alert's content has.
    #[error("the payload is {0}")]
    Content(#[from] ContentError),
    /// Its document is no CAP 1.2 alert.
    #[error("the payload is no CAP 1.2 alert: {0}")]
    Cap(#[from] CapError),
}

/// Reads the payload of an alert.
///
/// # Errors
/// [`PayloadError`]
pub fn read(payload: &Bytes) -> Result<Read, PayloadError> {
    let AlertContent { cap, persons } = content::alert(payload)?;
    Ok(Read { imported: cap::import(&cap)?, persons })
}

/// Makes the payload of an alert.
pub fn payload(alert: &Alert, persons: &[Person]) -> Bytes {
    content::alert_bytes(&AlertContent { cap: cap::export(alert).into(), persons: persons.to_vec() })
}
