//! Renewals: who asked for the next certificate, and whether it was answered.
//!
//! Owns the rules: one request an identity, the newest; an answer only to that one. Pure: the same entries in the same
//! order give the same. Never looks into a request or a certificate: who signs does.

use std::collections::BTreeMap;

use super::id::Index;
use super::identity::Identity;
use super::refusal::{Reason, Refusal};

/// Requests that wait for their answers at most: they fit one answer to the operator, and are far more than desks whose
/// certificates end in one month.
pub const WAITING_MAX: usize = 256;
/// When to come again when as many wait, in milliseconds: an operator must carry them first.
const WAITING_RETRY_MS: u64 = 3_600_000;

/// SHA-256 of the exact bytes of a request.
pub type RequestDigest = [u8; 32];

/// What an entry says of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The entry's identity asked for its next certificate.
    Asked {
        /// The request.
        digest: RequestDigest,
    },
    /// An operator handed in the authority's answer.
    Answered {
        /// Who had asked.
        identity: Identity,
        /// The request.
        digest: RequestDigest,
    },
}

/// How far an identity's newest request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The request.
    pub digest: RequestDigest,
    /// The entry that holds it.
    pub asked: Index,
    /// The entry that holds the answer; `None`: it waits.
    pub answered: Option<Index>,
}

/// The newest request of each identity that ever asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewals {
    newest: BTreeMap<Identity, Progress>,
}

impl Renewals {
    /// Tells how far an identity's newest request is.
    pub fn of(&self, identity: &Identity) -> Option<&Progress> {
        self.newest.get(identity)
    }

    /// The entries of the requests that wait, by ascending index.
    pub fn waiting(&self) -> Vec<Index> {
        let waiting = self.newest.values().filter(|it| it.answered.is_none());
        let mut indexes: Vec<_> = waiting.map(|it| it.asked).collect();
        indexes.sort_unstable();
        indexes
    }

    /// Checks what an entry of an identity would say.
    ///
    /// # Errors
    /// [`Reason::Busy`] when too many wait, [`Reason::RenewalUnknown`] for an answer to no request that waits.
    pub fn check(&self, by: &Identity, renewal: &Renewal) -> Result<(), Refusal> {
        match renewal {
            Renewal::Asked { .. } => {
                let own_waits = self.of(by).is_some_and(|it| it.answered.is_none());
                if own_waits || self.waiting().len() < WAITING_MAX {
                    return Ok(());
                }
                let message =
                    format!("{WAITING_MAX} renewals wait, as many as this hub takes: tell its operator");
                Err(Refusal::new(Reason::Busy, message).retry_after_ms(WAITING_RETRY_MS))
            }
            Renewal::Answered { identity, digest } => match self.of(identity) {
                Some(waiting) if waiting.answered.is_none() && waiting.digest == *digest => Ok(()),
                _ => {
                    let message = format!(
                        "{identity} waits for no answer to that request: it was answered, or asked anew since"
                    );
                    Err(Refusal::new(Reason::RenewalUnknown, message).of_field("answers"))
                }
            },
        }
    }

    /// Takes in what an entry of an identity says.
    ///
    /// # Errors
    /// As [`Renewals::check`]; nothing is changed then.
    pub fn take(&mut self, index: Index, by: &Identity, renewal: &Renewal) -> Result<(), Refusal> {
        self.check(by, renewal)?;
        match renewal {
            Renewal::Asked { digest } => {
                let asked = Progress { digest: *digest, asked: index, answered: None };
                self.newest.insert(by.clone(), asked);
            }
            Renewal::Answered { identity, .. } => {
                if let Some(progress) = self.newest.get_mut(identity) {
                    progress.answered = Some(index);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(number: usize) -> Identity {
        format!("urn:resguardo:office:iachr:desk-{number}").parse().unwrap()
    }

    #[test]
    fn newest_request_alone_waits_and_is_answered_once() {
        let mut renewals = Renewals::default();
        let (one, operator) = (desk(1), "urn:resguardo:operator:dev".parse().unwrap());
        let ask = |number: u8| Renewal::Asked { digest: [number; 32] };
        let answer = |number: u8| Renewal::Answered { identity: desk(1), digest: [number; 32] };
        let unknown = |taken: Result<(), Refusal>| taken.unwrap_err().reason == Reason::RenewalUnknown;
        assert!(unknown(renewals.take(Index(1), &operator, &answer(1))), "nobody asked");
        renewals.take(Index(2), &one, &ask(1)).unwrap();
        renewals.take(Index(3), &one, &ask(2)).unwrap();
        assert_eq!(renewals.waiting(), [Index(3)]);
        assert!(unknown(renewals.take(Index(4), &operator, &answer(1))), "to the older one");
        renewals.take(Index(5), &operator, &answer(2)).unwrap();
        assert!(unknown(renewals.take(Index(6), &operator, &answer(2))), "twice");
        assert_eq!(renewals.of(&one).unwrap().answered, Some(Index(5)));
        assert!(renewals.waiting().is_empty());
        renewals.take(Index(7), &one, &ask(3)).unwrap();
        assert_eq!(renewals.waiting(), [Index(7)]);
    }

    #[test]
    fn requests_that_wait_are_bounded_and_who_waits_may_ask_anew() {
        let mut renewals = Renewals::default();
        let ask = Renewal::Asked { digest: [1; 32] };
        for number in 0..WAITING_MAX {
            renewals.take(Index(number as u64), &desk(number), &ask).unwrap();
        }
        let refused = renewals.take(Index(900), &desk(999), &ask).unwrap_err();
        assert!(refused.reason == Reason::Busy && refused.retry_after_ms.is_some());
        renewals.take(Index(901), &desk(0), &ask).unwrap();
        assert_eq!(renewals.waiting().len(), WAITING_MAX);
    }
}
