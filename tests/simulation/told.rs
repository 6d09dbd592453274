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
