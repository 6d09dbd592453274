//! The connections that are open, by whom they are: so that one can be ended at once.
//!
//! Owns weak handles only: a connection that has ended is forgotten. Never decides who must go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::door::account;
use crate::model::id::UnixMicros;
use crate::wire::connection::{Caller, ConnectionId};
use crate::wire::proto::Connected;

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<BTreeMap<ConnectionId, Open>>,
}

#[derive(Debug)]
struct Open {
    caller: Weak<Caller>,
    /// Its office or auditor.
    own: Option<String>,
    since: UnixMicros,
}

impl Connections {
    /// Takes in one, at a time; gives how many its office or auditor has now. Whether it may stay is asked after that: what changes
    /// meanwhile then sees it.
    pub(super) fn enter(&self, caller: &Arc<Caller>, now: UnixMicros) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = caller.identity.as_ref().ok().map(account);
        open.retain(|_, it| it.caller.strong_count() > 0);
        let entered = Open { caller: Arc::downgrade(caller), own: own.clone(), since: now };
        open.insert(caller.connection, entered);
        if own.is_none() {
            return 1;
        }
        let callers = open.values().filter(|it| it.own == own).filter_map(|it| it.caller.upgrade());
        callers.filter(|other| !other.ended.is_cancelled()).count()
    }

    /// Counts those that are open, and tells of some, at most `told_max`, by who they are.
    pub(super) fn list(&self, told_max: usize) -> (usize, Vec<Connected>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = open.values().filter_map(|it| Some((it.caller.upgrade()?, it.since)));
        let callers: Vec<_> = callers.filter(|(caller, _)| !caller.ended.is_cancelled()).collect();
        drop(open);
        let tell = |(caller, since): &(Arc<Caller>, UnixMicros)| {
            Some(Connected {
                identity: caller.identity.as_ref().ok()?.to_string(),
                peer: caller.peer.to_string(),
                since_unix_us: since.0,
                certificate_not_after_unix_us: caller.not_after.0,
            })
        };
        let mut told: Vec<_> = callers.iter().filter_map(tell).collect();
        told.sort_by(|a, b| (&a.identity, a.since_unix_us).cmp(&(&b.identity, b.since_unix_us)));
        told.truncate(told_max);
        (callers.len(), told)
    }

    /// Ends those that must go; gives them.
    pub(super) fn end(&self, must_go: impl Fn(&Caller) -> bool) -> Vec<Arc<Caller>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = open.values().filter_map(|it| it.caller.upgrade());
        let ended: Vec<_> =
            callers.filter(|caller| !caller.ended.is_cancelled() && must_go(caller)).collect();
        for caller in &ended {
            caller.ended.cancel();
        }
        ended
    }
}
