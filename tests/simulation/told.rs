//! What people were told by the programs of a run. It outlives every crash: who was told that something is confirmed counts on it.

use std::collections::BTreeMap;

use resguardo::model::envelope::MessageId;
use resguardo::model::id::Index;
use resguardo::model::identity::Name;
use resguardo::model::receipt::Stage;

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Messages that a desk has kept for good, and for whom they are.
    pub(crate) kept: BTreeMap<MessageId, (&'static str, Vec<Name>)>,
    /// Messages that the hub has, and where.
    pub(crate) confirmed: BTreeMap<MessageId, Index>,
    /// What persons stated and the hub has: office, message, stage; where, and whether it was known before.
    pub(crate) stated: BTreeMap<(&'static str, MessageId, Stage), Index>,
    /// By office: messages that came, and where they stand.
    pub(crate) came: BTreeMap<&'static str, BTreeMap<MessageId, Index>>,
    /// What happened.
    pub(crate) trace: Vec<String>,
    /// What must not happen, and did.
    pub(crate) wrong: Vec<String>,
}

impl Told {
    /// Whether everything that was kept is confirmed and came to everybody of these.
    pub(crate) fn is_all_done(&self, offices: &[&'static str]) -> bool {
        self.kept.iter().all(|(id, (_, recipients))| {
            let here = offices.iter().filter(|office| recipients.iter().any(|it| it.as_str() == **office));
            let came = |office: &&str| self.came.get(*office).is_some_and(|came| came.contains_key(id));
            self.confirmed.contains_key(id) && here.clone().all(came)
        })
    }
}
