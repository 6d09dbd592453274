//! How what a desk says is held to its keys.
//!
//! Owns which of a desk's keys may sign what. Never reads a statement.

use std::fmt;

use super::Policy;
use super::keys::{Role, SigningKeyStanding};
use crate::model::envelope::Envelope;
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::identity::Desk;
use crate::model::receipt::Receipt;
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{KeyId, Kind, Signature};

/// By when a key must count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now: what is handed in.
    Now,
    /// Once: what was taken in at some time, and may be fetched much later.
    Once,
}

/// What a desk says, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// The desk in whose name it is.
    pub desk: &'a Desk,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its exact bytes.
    pub statement: &'a [u8],
    /// Its signatures.
    pub signatures: &'a [(KeyId, Signature)],
}

impl Policy {
    /// Holds an envelope or a manifest to the attended key of the desk that gives it.
    ///
    /// # Errors
    /// [`Reason::SignatureMissing`], [`Reason::SignatureInvalid`], [`Reason::KeyUnknown`], [`Reason::KeyNotAllowed`];
    /// [`Reason::DirectoryStale`] for a key that was replaced by now.
    pub fn check_envelope(&self, stated: Stated<'_>, when: When) -> Result<(), Refusal> {
        self.check_stated(stated, false, when)
    }

    /// Holds a receipt to the keys of the desk that states it: what a machine states by itself may be signed by either.
    ///
    /// # Errors
    /// As [`Self::check_envelope`].
    pub fn check_receipt(&self, stated: Stated<'_>, receipt: &Receipt, when: When) -> Result<(), Refusal> {
        self.check_stated(stated, receipt.is_machines(), when)
    }

    /// Checks that a message is sealed to keys that its recipients open with.
    ///
    /// # Errors
    /// [`Reason::DirectoryStale`].
    pub fn check_sealing_keys(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let accepted = |office, key| self.accepts_sealing_key(office, key);
        let Some(other) = envelope.recipients.iter().find(|it| !accepted(&it.office, &it.key)) else {
            return Ok(());
        };
        let message = format!(
            "the message is sealed to another key of {} than it has now: take the directory of version {} and seal it anew",
            other.office,
            self.version()
        );
        Err(Refusal::new(Reason::DirectoryStale, message).of_field("recipients"))
    }

    /// Holds an order to erase a message to the key of the desk or the registrar that gives it.
    ///
    /// # Errors
    /// As [`Self::check_envelope`].
    pub fn check_erasure_order(
        &self,
        order: &ErasureOrder,
        (statement, signatures): (&[u8], &[(KeyId, Signature)]),
        when: When,
    ) -> Result<(), Refusal> {
        let kind = Kind::ErasureOrder;
        match &order.by {
            OrderedBy::Desk(desk) => {
                self.check_stated(Stated { desk, kind, statement, signatures }, false, when)
            }
            OrderedBy::Registrar { name, .. } => {
                let key = |id| self.registrar_key(name, id);
                check_signed(&order.by, key, (kind, statement, signatures), false, when)
            }
        }
    }

    fn check_stated(&self, stated: Stated<'_>, by_itself: bool, when: When) -> Result<(), Refusal> {
        let Stated { desk, kind, statement, signatures } = stated;
        let key = |id| self.signing_key(desk, id);
        check_signed(desk, key, (kind, statement, signatures), by_itself, when)
    }
}

fn check_signed<'a>(
    who: &dyn fmt::Display,
    key: impl FnOnce(KeyId) -> Option<SigningKeyStanding<'a>>,
    (kind, statement, signatures): (Kind, &[u8], &[(KeyId, Signature)]),
    by_itself: bool,
    when: When,
) -> Result<(), Refusal> {
    let refused = |reason, message: String| Err(Refusal::new(reason, message).of_field("signatures"));
    let [(id, signature)] = signatures else {
        let found = signatures.len();
        let message = format!("{who} signs what it says once; there are {found} signatures");
        return refused(Reason::SignatureMissing, message);
    };
    let Some(standing) = key(*id) else {
        let message = format!("key {id} is none of {who}, who signs what is said in that name");
        return refused(Reason::KeyUnknown, message);
    };
    if when == When::Now && !standing.current {
        let message = format!("key {id} of {who} was replaced: sign with the one that counts now");
        return refused(Reason::DirectoryStale, message);
    }
    if standing.role == Role::Unattended && !by_itself {
        let message = format!(
            "key {id} is what {who} signs with while nobody is there: only `received`, `erased`, \
             and `unreadable` of what was not opened"
        );
        return refused(Reason::KeyNotAllowed, message);
    }
    standing
        .key
        .verify(kind, statement, signature)
        .or_else(|found| refused(Reason::SignatureInvalid, format!("the signature of {who}: {found}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::tests::{desk, desk_fact, founded, key, registrars, signed};

    #[test]
    fn a_key_that_was_replaced_counts_for_what_was_taken_in_before_and_for_nothing_else() {
        const SAID: &[u8] = b"said";
        let mut policy = founded();
        policy.amend(&signed(&policy, vec![desk_fact(desk("one"), 21)], &registrars())).unwrap();
        let said = |number: u8, when| {
            let key = key(number);
            let signatures = [(key.verifying_key().id(), key.sign(Kind::Envelope, SAID))];
            let (desk, kind) = (&desk("one"), Kind::Envelope);
            let stated = Stated { desk, kind, statement: SAID, signatures: &signatures };
            policy.check_envelope(stated, when).map_err(|refusal| refusal.reason)
        };
        assert_eq!(said(11, When::Now), Err(Reason::DirectoryStale));
        assert_eq!([said(11, When::Once), said(21, When::Now), said(21, When::Once)], [Ok(()); 3]);
    }
}
