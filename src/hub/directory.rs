//! The directory, as gRPC: told to every enrolled identity, amended by what registrars and desks signed.
//!
//! Owns that one entry is checked and waited for at a time. Whether one counts is policy's to say.

use std::sync::Arc;

use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::submit::Submitted;
use super::{Hub, stopping_status};
use crate::ledger::entry::{Outcome, Statement};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::id::DirectoryVersion;
use crate::model::identity::Identity;
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::wire::proto::directory_service_server::DirectoryService;
use crate::wire::proto::{
    AmendDirectoryRequest, AmendDirectoryResponse, DescribeDirectoryRequest, DescribeDirectoryResponse,
};
use crate::wire::{amendment, status};

/// Bytes of entries in one answer; one entry always fits.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

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
    /// Checks that an entry follows from the directory as it stands, and is signed as it must be; `None`: it was taken in
    /// before.
    fn check(&self, caller: &Identity, request: AmendDirectoryRequest) -> Result<Option<Submitted>, Refusal> {
        let policy = self.hub.door.view.policy();
        policy.permit_amend(caller)?;
        let signed = Arc::new(amendment::read(&request.entry)?);
        if policy.holds(&signed) {
            return Ok(None);
        }
        Policy::clone(&policy).amend(&signed)?;
        let (kind, identity) = (EntryKind::Directory, caller.to_string());
        let proposal = Proposal { kind, identity, statement: request.entry, payload: None };
        Ok(Some(Submitted { proposal, statement: Statement::Amendment(signed), pins: None }))
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
        let after = request.into_inner().after_version;
        let known = usize::try_from(after).unwrap_or(usize::MAX);
        let digest_after = policy.head_at(DirectoryVersion(after)).map(|it| it.to_vec()).unwrap_or_default();
        let later = policy.entries().get(known..).unwrap_or_default();
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for exact in later.iter().map(|signed| amendment::bytes(signed)) {
            bytes += exact.len();
            if bytes > ANSWER_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(exact);
        }
        let (version, digest_after) = (policy.version().0, digest_after.into());
        let now_unix_us = self.hub.clock.now().0;
        Ok(Response::new(DescribeDirectoryResponse { version, entries, digest_after, now_unix_us }))
    }

    async fn amend_directory(
        &self,
        request: Request<AmendDirectoryRequest>,
    ) -> Result<Response<AmendDirectoryResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, "AmendDirectory", &refusal);
        let one_at_a_time = Arc::clone(&self.hub.amending).lock_owned().await;
        let Some(item) = self.check(&caller, request.into_inner()).map_err(refuse)? else {
            let version = self.hub.door.view.policy().version().0;
            return Ok(Response::new(AmendDirectoryResponse { version }));
        };
        let outcomes =
            self.hub.submitter.submit(vec![item]).await.map_err(|refusal| status::refused(&refusal))?;
        // The next change waits for this one's outcome, also when its author has hung up.
        let (tell, told) = oneshot::channel();
        let decided = async move {
            let outcomes = outcomes.await;
            drop(one_at_a_time);
            // Who asked may have gone.
            let _ = tell.send(outcomes);
        };
        self.hub.tasks.spawn("amend", Box::pin(decided));
        let decided = told.await.ok().and_then(Result::ok).ok_or_else(stopping_status)?;
        for outcome in decided.outcomes {
            if let Outcome::Refused(refusal) = outcome {
                return Err(refuse(refusal));
            }
        }
        let version = self.hub.door.view.policy().version().0;
        Ok(Response::new(AmendDirectoryResponse { version }))
    }
}
