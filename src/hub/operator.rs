//! What the operator asks and says, as gRPC: how the hub is, that its clock is right.
//!
//! Owns the look at everything that says how the hub is: the status and the metrics are made of the same one. Never sees
//! what a message says.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Hub, deadlines, stopping_status};
use crate::ledger::LedgerError;
use crate::ledger::entry::Outcome;
use crate::ledger::view::View;
use crate::model::clock::ClockRecord;
use crate::model::id::Index;
use crate::model::identity::Name;
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::refusal::Refusal;
use crate::wire::proto::operator_service_server::OperatorService;
use crate::wire::proto::{
    AlarmInForce, ConfirmClockRequest, ConfirmClockResponse, DescribeHubRequest, DescribeHubResponse,
    DiskState, OfficeBacklog, UnreadUrgent,
};

/// Connections that are told one by one, at most.
const CONNECTED_MAX: usize = 1_000;

/// The service.
#[derive(Clone)]
pub(super) struct Operator {
    hub: Arc<Hub>,
}

impl Operator {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

#[tonic::async_trait]
impl OperatorService for Operator {
    async fn describe_hub(
        &self,
        request: Request<DescribeHubRequest>,
    ) -> Result<Response<DescribeHubResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let permit = self.hub.door.view.policy().permit_operate(&caller);
        permit.map_err(|refusal| self.hub.door.refuse(&caller, "DescribeHub", &refusal))?;
        describe(&self.hub).await.map(Response::new)
    }

    async fn confirm_clock(
        &self,
        request: Request<ConfirmClockRequest>,
    ) -> Result<Response<ConfirmClockResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, "ConfirmClock", &refusal);
        self.hub.door.view.policy().permit_operate(&caller).map_err(refuse)?;
        let was_suspended = self.hub.door.view.suspended().is_some();
        if was_suspended {
            let outcomes = deadlines::put_clock(&self.hub, &caller, ClockRecord::Confirmed).await?;
            if let Some(Outcome::Refused(refusal)) = outcomes.into_iter().next() {
                return Err(refuse(refusal));
            }
        }
        let now_unix_us = self.hub.clock.now().0;
        Ok(Response::new(ConfirmClockResponse { was_suspended, now_unix_us }))
    }
}

/// Looks at everything that says how the hub is.
///
/// # Errors
/// A status when the hub stops or its ledger fails.
pub(super) async fn describe(hub: &Arc<Hub>) -> Result<DescribeHubResponse, Status> {
    // In the lane: the ledger's folder and old rows are read from disk.
    let shared = Arc::clone(hub);
    let looked = hub.audits.run(move || look(&shared)).await.map_err(|_| stopping_status())?;
    looked.map_err(|error| hub.ledger_fault(error))
}

fn look(hub: &Hub) -> Result<DescribeHubResponse, LedgerError> {
    let (view, in_force) = (&hub.door.view, hub.papers.in_force());
    let policy = view.policy();
    let offices = policy.offices().map(|(number, name, _)| backlog(view, &policy, number, name));
    let (connections, connected) = hub.connections.list(CONNECTED_MAX);
    let alarms = hub.alarms.list().into_iter().map(|it| AlarmInForce {
        name: it.alarm.name().to_owned(),
        since_unix_us: it.since.0,
        detail: it.detail,
    });
    Ok(DescribeHubResponse {
        name: hub.run.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        epoch: hub.door.view.epochs().number(),
        started_unix_us: hub.run.started.0,
        now_unix_us: hub.clock.now().0,
        uptime_s: hub.clock.monotonic_us().saturating_sub(hub.run.started_monotonic_us) / 1_000_000,
        entries: view.decided().next_index.0,
        disk: Some(DiskState {
            free_bytes: hub.disk.free_bytes(&hub.run.journal).ok(),
            reserve_bytes: hub.door.limits().disk_reserve_bytes,
            journal_bytes: hub.journal.disk_bytes(),
            ledger_bytes: view.disk_bytes()?,
        }),
        connections: connections as u64,
        connected,
        offices: offices.collect::<Result<_, _>>()?,
        certificate_not_after_unix_us: in_force.own.not_after.0,
        revocations_next_update_unix_us: in_force.revocations.and_then(|it| it.next_update()).map(|at| at.0),
        alarms: alarms.collect(),
    })
}

fn backlog(
    view: &View,
    policy: &Policy,
    number: OfficeNumber,
    name: &Name,
) -> Result<OfficeBacklog, LedgerError> {
    let backlog = view.backlog(number);
    let (overdue, overdue_drills) = view.overdue_count(number);
    let oldest = backlog.oldest_unread.map(|index| unread(view, policy, index)).transpose()?.flatten();
    Ok(OfficeBacklog {
        office: name.to_string(),
        removed: policy.removed(name).is_some(),
        outstanding_urgent: backlog.urgent,
        outstanding_other: backlog.other,
        outstanding_drills: backlog.drills,
        outstanding_notices: backlog.notices,
        unread_urgent: backlog.unread,
        oldest_unread_urgent: oldest,
        overdue,
        overdue_drills,
    })
}

/// `None` for a message of a batch that is being decided.
fn unread(view: &View, policy: &Policy, index: Index) -> Result<Option<UnreadUrgent>, LedgerError> {
    let Some(row) = view.message(index)? else { return Ok(None) };
    Ok(Some(UnreadUrgent {
        index: index.0,
        message_id: row.message_id.as_bytes().to_vec().into(),
        sender_office: policy.office(row.sender_office).map(ToString::to_string).unwrap_or_default(),
        accepted_unix_us: row.accepted.0,
    }))
}
