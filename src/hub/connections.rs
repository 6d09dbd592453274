//! The connections that are open, by whom they are: so that one can be ended at once.
//!
//! Owns weak handles only: a connection that has ended is forgotten. Never decides who must go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::door::account;
use crate::wire::connection::{Caller, ConnectionId};

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<BTreeMap<ConnectionId, Weak<Caller>>>,
}

impl Connections {
    /// Takes in one; gives how many its office or auditor has now. Whether it may stay is asked after that: what changes
    /// meanwhile then sees it.
    pub(super) fn enter(&self, caller: &Arc<Caller>) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(caller.connection, Arc::downgrade(caller));
        open.retain(|_, caller| caller.strong_count() > 0);
        let Ok(identity) = &caller.identity else { return 1 };
        let own = account(identity);
        let callers = open.values().filter_map(Weak::upgrade).filter(|other| !other.ended.is_cancelled());
        callers.filter(|other| other.identity.as_ref().is_ok_and(|other| account(other) == own)).count()
    }

    /// Ends those that must go; gives them.
    pub(super) fn end(&self, must_go: impl Fn(&Caller) -> bool) -> Vec<Arc<Caller>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = open.values().filter_map(Weak::upgrade);
        let ended: Vec<_> =
            callers.filter(|caller| !caller.ended.is_cancelled() && must_go(caller)).collect();
        for caller in &ended {
            caller.ended.cancel();
        }
        ended
    }
}
