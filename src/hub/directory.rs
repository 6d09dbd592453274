//! The directory, as gRPC: told to every enrolled identity, changed by operators.
//!
//! Owns that a change is taken whole or not at all: one is checked and waited for at a time, against the version that
//! its author saw. What a fact means is policy's to say.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::submit::Submitted;
use super::{Hub, stopping_status};
use crate::ledger::entry::{Outcome, Statement};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::identity::Identity;
use crate::model::policy::Policy;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::directory_service_server::DirectoryService;
use crate::wire::proto::{
    AmendDirectoryRequest, AmendDirectoryResponse, DescribeDirectoryRequest, DescribeDirectoryResponse,
};
use crate::wire::{convert, status};

/// Facts of one change at most: an office and all its streams.
const FACTS_MAX: usize = 64;

/// The service.
#[derive(Clone)]
pub(super) struct Directory {
    hub: Arc<Hub>,
}

impl Directory {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl Directory {
    /// Checks that the facts follow from the directory as it stands, one after the other.
    fn check(&self, caller: &Identity, request: AmendDirectoryRequest) -> Result<Vec<Submitted>, Refusal> {
        let policy = self.hub.door.view.policy();
        policy.permit_amend(caller)?;
        let count = request.facts.len();
        if !(1..=FACTS_MAX).contains(&count) {
            let message = format!("a change holds 1 to {FACTS_MAX} facts; this holds {count}");
            return Err(Refusal::field("facts", message));
        }
        if request.version != policy.version().0 {
            let message = format!(
                "the directory is at version {}, not {}: look at it and say again what is to change",
                policy.version().0,
                request.version
            );
            return Err(Refusal::new(Reason::DirectoryStale, message).of_field("version"));
        }
        let mut trial = Policy::clone(&policy);
        let take = |bytes: Bytes| {
            let fact = convert::fact(&bytes)?;
            let at = trial.version();
            let follows = trial.apply(at, fact.clone());
            follows.map_err(|found| Refusal::field("facts", format!("a fact does not follow: {found}")))?;
            let (kind, identity) = (EntryKind::Directory, caller.to_string());
            let proposal = Proposal { kind, identity, statement: bytes, payload: None };
            Ok(Submitted { proposal, statement: Statement::Fact(fact), pins: None })
        };
        request.facts.into_iter().map(take).collect()
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn describe_directory(
        &self,
        request: Request<DescribeDirectoryRequest>,
    ) -> Result<Response<DescribeDirectoryResponse>, Status> {
        self.hub.door.admit(&request)?;
        let policy = self.hub.door.view.policy();
        let facts = policy.facts().iter().map(convert::wire_fact).collect();
        Ok(Response::new(DescribeDirectoryResponse { version: policy.version().0, facts }))
    }

    async fn amend_directory(
        &self,
        request: Request<AmendDirectoryRequest>,
    ) -> Result<Response<AmendDirectoryResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, "AmendDirectory", &refusal);
        let one_at_a_time = Arc::clone(&self.hub.amending).lock_owned().await;
        let items = self.check(&caller, request.into_inner()).map_err(refuse)?;
        let outcomes = self.hub.submitter.submit(items).await.map_err(|refusal| status::refused(&refusal))?;
        // The next change waits for this one's outcome, also when its author has hung up.
        let (tell, told) = oneshot::channel();
        let decided = async move {
            let outcomes = outcomes.await;
            drop(one_at_a_time);
            // Who asked may have gone.
            let _ = tell.send(outcomes);
        };
        self.hub.tasks.spawn("amend", Box::pin(decided));
        let outcomes = told.await.ok().and_then(Result::ok).ok_or_else(stopping_status)?;
        for outcome in outcomes {
            if let Outcome::Refused(refusal) = outcome {
                return Err(refuse(refusal));
            }
        }
        let version = self.hub.door.view.policy().version().0;
        Ok(Response::new(AmendDirectoryResponse { version }))
    }
}
