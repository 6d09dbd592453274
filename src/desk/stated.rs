//! What persons of an office stated about a message, as far as the office's own signature shows it.
//!
//! Owns that a person's stage which the hub tells of, and shows no receipt of that holds, is known as such. Never asks the hub.

use std::collections::BTreeMap;

use crate::model::envelope::MessageId;
use crate::model::identity::Name;
use crate::model::policy::{Policy, Stated, When};
use crate::model::receipt::{Covered, Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::Kind;
use crate::wire::proto;
use crate::wire::signed::SignedReceipt;

/// The message that receipts are about.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its id.
    pub message_id: MessageId,
    /// The digest of its envelope, where it is here.
    pub digest: Option<[u8; 32]>,
}

/// What the rows of a history show, by the index of the receipt.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    held: BTreeMap<u64, Receipt>,
    behind: bool,
}

impl Shown {
    /// Holds the receipts of a message's history to the signatures of the desks that are said to have given them, and to the
    /// message.
    pub fn of(policy: &Policy, subject: Subject, rows: &[proto::ReceiptRow]) -> Self {
        let mut shown = Self::default();
        for row in rows.iter().filter(|row| !row.receipt.is_empty()) {
            match hold(policy, subject, row) {
                Ok(receipt) => {
                    let index = row.stage.as_ref().map_or(0, |stage| stage.receipt_index);
                    shown.held.insert(index, receipt);
                }
                Err(refusal) => shown.behind |= refusal.reason == Reason::KeyUnknown,
            }
        }
        shown
    }

    /// Whether one of them is signed with a key that the directory does not have: it may be a newer one's.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// All receipts that are shown and hold.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.held.values()
    }

    /// The receipt in an entry, where it is shown and holds.
    pub fn receipt(&self, index: u64) -> Option<&Receipt> {
        self.held.get(&index)
    }

    /// Gives a stage as what was signed has it: what a machine states is on the hub's word. `None`: a person is said to have
    /// stated it, and nobody shows that.
    pub fn stage(&self, office: &Name, row: &proto::StageRow) -> Option<proto::StageRow> {
        if !Stage::from_number(row.stage).is_some_and(Stage::is_persons) {
            return Some(row.clone());
        }
        let signed = |it: &&Receipt| it.desk.office == *office && it.stage as i32 == row.stage;
        let receipt = self.receipt(row.receipt_index).filter(signed)?;
        Some(proto::StageRow {
            desk: receipt.desk.to_string(),
            at_unix_us: receipt.at.0,
            action: receipt.action.map_or(0, |action| action as i32),
            reason: receipt.reason.clone(),
            ..row.clone()
        })
    }
}

fn hold(policy: &Policy, subject: Subject, row: &proto::ReceiptRow) -> Result<Receipt, Refusal> {
    let SignedReceipt { receipt, signed, .. } = SignedReceipt::read(&row.receipt)?;
    let (statement, signatures) = (&signed.statement, &signed.signatures);
    let stated = Stated { desk: &receipt.desk, kind: Kind::Receipt, statement, signatures };
    policy.check_receipt(stated, &receipt, When::Once)?;
    let about = |it: &Covered| {
        it.message_id == subject.message_id && subject.digest.is_none_or(|digest| digest == it.digest)
    };
    if receipt.messages.iter().any(about) {
        return Ok(receipt);
    }
    Err(Refusal::new(Reason::PayloadMismatch, "the receipt is about another message"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::sample::{NOW, desk, id, keys, policy};
    use crate::model::id::Index;
    use crate::model::receipt::Action;
    use crate::seal::SigningKey;

    fn acted(message: u8) -> Receipt {
        Receipt {
            desk: desk("iachr"),
            stage: Stage::Acted,
            messages: vec![Covered {
                index: Index(1),
                message_id: id(message.into()),
                digest: [message; 32],
            }],
            notices: Vec::new(),
            at: NOW,
            action: Some(Action::AskedState),
            reason: String::new(),
            note_digest: Some([6; 32]),
            opened: false,
            seen: None,
        }
    }

    fn row(stage: Stage) -> proto::StageRow {
        proto::StageRow {
            stage: stage as i32,
            receipt_index: 5,
            desk: "the hub's word".into(),
            ..Default::default()
        }
    }

    fn shown(receipt: Receipt, key: &SigningKey) -> Shown {
        let receipt = SignedReceipt::by(key, receipt, [6; 32]).to_bytes();
        let row = proto::ReceiptRow { stage: Some(row(Stage::Acted)), receipt, ..Default::default() };
        let subject = Subject { message_id: id(1), digest: Some([1; 32]) };
        Shown::of(&policy(), subject, &[row])
    }

    #[test]
    fn a_persons_stage_counts_as_its_office_signed_it_and_not_as_the_hub_tells_it() {
        let ([attended, unattended], [foreign, _]) = (keys("iachr"), keys("ohchr-honduras"));
        let (iachr, other): (Name, Name) = ("iachr".parse().unwrap(), "ohchr-honduras".parse().unwrap());
        let good = shown(acted(1), &attended);
        let stage = good.stage(&iachr, &row(Stage::Acted)).expect("it was signed");
        assert_eq!((stage.desk, stage.action), (desk("iachr").to_string(), Action::AskedState as i32));
        assert_eq!(good.stage(&iachr, &row(Stage::Read)), None, "another stage than was signed");
        assert_eq!(good.stage(&other, &row(Stage::Acted)), None, "another office than signed it");
        let elsewhere = proto::StageRow { receipt_index: 6, ..row(Stage::Acted) };
        assert_eq!(good.stage(&iachr, &elsewhere), None, "no receipt is shown");
        assert!(good.stage(&iachr, &row(Stage::Received)).is_some(), "a machine's stage");
        let mut another = acted(1);
        another.messages[0].digest = [2; 32];
        for (what, shown) in [
            ("a machine's signature", shown(acted(1), &unattended)),
            ("of another message", shown(acted(2), &attended)),
            ("of another envelope", shown(another, &attended)),
        ] {
            assert_eq!(shown.stage(&iachr, &row(Stage::Acted)), None, "{what}");
            assert!(!shown.is_behind(), "{what}");
        }
        let shown = shown(acted(1), &foreign);
        assert!(shown.stage(&iachr, &row(Stage::Acted)).is_none() && shown.is_behind());
    }
}
