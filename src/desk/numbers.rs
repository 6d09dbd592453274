//! The numbers by which each office sees that no message of this desk for it is missing.
//!
//! Owns which number is the next, and which ones no message will ever bear. Never gives one twice.
//! At a crash: a number that was given and whose message is not sealed yet is given to that message again.

use super::home::{Home, HomeLock};
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use crate::model::envelope::{MessageId, VOIDED_MAX, Voided};
use crate::model::identity::Name;

const FILE: &str = "numbers";

/// Gives the numbers of a message: those that it has, and the next ones for offices for which it has none.
///
/// # Errors
/// [`StoreError::Disk`], [`StoreError::Damaged`].
pub(super) fn give(
    home: &Home,
    _held: &HomeLock,
    id: MessageId,
    offices: &[Name],
) -> Result<Vec<u64>, StoreError> {
    let mut body = read(home)?;
    let before = body.clone();
    let numbers = offices.iter().map(|office| body.number(id, office.as_str())).collect();
    if body != before {
        keep(home, &body)?;
    }
    Ok(numbers)
}

/// Gives the numbers that no message bears, for the next envelope to say.
///
/// # Errors
/// [`StoreError::Disk`], [`StoreError::Damaged`].
pub(super) fn voided(home: &Home) -> Result<Vec<Voided>, StoreError> {
    let voided = read(home)?.voided.into_iter().take(VOIDED_MAX);
    Ok(voided.filter_map(|it| Some(Voided { office: it.office.parse().ok()?, number: it.number })).collect())
}

/// Notes that a message was taken: its numbers are borne, and what it voided is said.
///
/// # Errors
/// [`StoreError::Disk`], [`StoreError::Damaged`].
pub(super) fn taken(home: &Home, _held: &HomeLock, id: MessageId, said: &[Voided]) -> Result<(), StoreError> {
    let mut body = read(home)?;
    body.given.retain(|it| it.message_id != id.as_bytes());
    body.voided
        .retain(|it| !said.iter().any(|said| said.office.as_str() == it.office && said.number == it.number));
    keep(home, &body)
}

/// Notes that a message was refused for good: no message will bear its numbers.
///
/// # Errors
/// [`StoreError::Disk`], [`StoreError::Damaged`].
pub(super) fn refused(home: &Home, _held: &HomeLock, id: MessageId) -> Result<(), StoreError> {
    let mut body = read(home)?;
    let borne = |it: &mut GivenBody| it.message_id == id.as_bytes();
    for GivenBody { office, number, .. } in body.given.extract_if(.., borne) {
        body.voided.push(NumberBody { office, number });
    }
    keep(home, &body)
}

fn read(home: &Home) -> Result<NumbersBody, StoreError> {
    match home.root()?.read(FILE) {
        Err(error) if error.is_not_found() => Ok(NumbersBody::default()),
        body => body,
    }
}

fn keep(home: &Home, body: &NumbersBody) -> Result<(), StoreError> {
    home.root()?.keep(&[(FILE.to_owned(), encode(body))])
}

impl NumbersBody {
    fn number(&mut self, id: MessageId, office: &str) -> u64 {
        let given = self.given.iter().find(|it| it.message_id == id.as_bytes() && it.office == office);
        if let Some(given) = given {
            return given.number;
        }
        let last = match self.last.iter_mut().find(|it| it.office == office) {
            Some(last) => last,
            None => self.last.push_mut(NumberBody { office: office.to_owned(), number: 0 }),
        };
        last.number += 1;
        let number = last.number;
        self.given.push(GivenBody { message_id: id.as_bytes().to_vec(), office: office.to_owned(), number });
        number
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct NumbersBody {
    /// The last number that was given, for each office.
    #[prost(message, repeated, tag = "1")]
    last: Vec<NumberBody>,
    /// The numbers of messages that the hub has not taken yet.
    #[prost(message, repeated, tag = "2")]
    given: Vec<GivenBody>,
    /// Numbers that no message bears, and no envelope that was taken has said so.
    #[prost(message, repeated, tag = "3")]
    voided: Vec<NumberBody>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NumberBody {
    #[prost(string, tag = "1")]
    office: String,
    #[prost(uint64, tag = "2")]
    number: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GivenBody {
    #[prost(bytes = "vec", tag = "1")]
    message_id: Vec<u8>,
    #[prost(string, tag = "2")]
    office: String,
    #[prost(uint64, tag = "3")]
    number: u64,
}

impl Record for NumbersBody {
    const KIND: RecordKind = RecordKind::Numbers;
}
