//! How a rotation is held to the key that it replaces, and to its signatures.
//!
//! Owns who must sign which rotation: an office's desks and a desk itself speak for their keys as long as these are not lost.

use super::Policy;
use super::amend::{Signer, missing, signers, unfounded};
use super::keys::{By, Replaced};
use crate::model::amendment::{HANDOVER_BYTES_MAX, Rotation, SignedEntry};
use crate::model::fact::Fact;
use crate::model::identity::Desk;
use crate::model::refusal::{Reason, Refusal};

impl Policy {
    pub(super) fn take_rotation(&mut self, rotation: &Rotation, signed: &SignedEntry) -> Result<(), Refusal> {
        self.follows(rotation)?;
        let signers = signers(self, signed)?;
        let registrar = signers.iter().any(|it| matches!(it, Signer::Registrar { .. }));
        match &rotation.fact {
            Fact::OfficeKey { office, .. }
                if !signers.iter().any(|it| matches!(it, Signer::Desk(desk) if desk.office == *office)) =>
            {
                return Err(missing(format!("a new key of {office} is signed by one of its desks")));
            }
            Fact::Desk { desk, .. } if !registrar || !signed_by(&signers, desk) => {
                return Err(missing(format!(
                    "new keys of {desk} are signed with its present key and by one registrar; where that key is lost, \
                     registrars of two institutions write an amendment"
                )));
            }
            Fact::TransferKey { desk, .. } if !signed_by(&signers, desk) => {
                return Err(missing(format!("{desk} signs its next key for the office's keys itself")));
            }
            _ => {}
        }
        let by = By { replaced: Replaced::Rotated, made: rotation.made };
        self.take(&rotation.fact, by).map_err(|found| unfounded(&found))
    }

    /// Tells whether a rotation names the present key of its subject, whoever signs it.
    ///
    /// # Errors
    /// [`Reason::DirectoryStale`]; [`Reason::FieldInvalid`] for what no rotation says.
    pub fn follows(&self, rotation: &Rotation) -> Result<(), Refusal> {
        let (what, present) = match &rotation.fact {
            Fact::OfficeKey { office, .. } => (format!("office {office}"), self.office_key_id(office)),
            Fact::Desk { desk, .. } => (desk.to_string(), self.attended_id(desk).map(|id| id.0)),
            Fact::TransferKey { desk, .. } => (desk.to_string(), self.transfer_key_id(desk)),
            _ => {
                let message = "a rotation has new keys of a desk or an office, and nothing else";
                return Err(Refusal::field("fact", message));
            }
        };
        if rotation.handover.len() > HANDOVER_BYTES_MAX
            || !(rotation.handover.is_empty() || matches!(rotation.fact, Fact::OfficeKey { .. }))
        {
            let message = format!(
                "at most {HANDOVER_BYTES_MAX} bytes go with a new key of an office, and none with another"
            );
            return Err(Refusal::field("handover", message));
        }
        let Some(present) = present else {
            return Err(Refusal::field(
                "fact",
                format!("{what} has no key yet: the first is the registrars' to sign"),
            ));
        };
        if present == rotation.replaces {
            return Ok(());
        }
        let message = format!(
            "the rotation replaces a key that is not the present one of {what}: look at the directory and make it anew"
        );
        Err(Refusal::new(Reason::DirectoryStale, message))
    }
}

fn signed_by(signers: &[Signer], desk: &Desk) -> bool {
    signers.iter().any(|it| matches!(it, Signer::Desk(signer) if signer == desk))
}
