//! Renewals, as gRPC: requests for the next certificate are kept until an operator has carried them to the authority, and
//! its answers until they are fetched.
//!
//! Owns who may leave what: a request follows the certificate that its caller shows, and no other. Never signs, never
//! judges a certificate, and what it passes on is checked again by both ends: a hub that lied would gain nothing.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::door::account;
use super::rates::Rates;
use super::submit::Submitted;
use super::{Hub, read_fault, stopping_status};
use crate::journal::Reader;
use crate::ledger::entry::{Outcome, Statement};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::refusal::{Reason, Refusal};
use crate::model::renewal::{Renewal, WAITING_MAX};
use crate::wire::connection::Caller;
use crate::wire::fingerprint::Fingerprint;
use crate::wire::proto::enrolment_service_server::EnrolmentService;
use crate::wire::proto::renewal_record::Record;
use crate::wire::proto::{
    AnswerRenewalsRequest, AnswerRenewalsResponse, AnswerResult, ListRenewalsRequest, ListRenewalsResponse,
    RenewRequest, RenewResponse, RenewalRecord,
};
use crate::wire::{convert, renewal, status};

/// New requests of one office or auditor a second, on average: a certificate has one.
const REQUESTS_PER_S: u32 = 1;
/// And at once after a pause: the desks of an office.
const REQUESTS_BURST: u32 = 16;

/// The service.
#[derive(Clone)]
pub(super) struct Enrolment {
    hub: Arc<Hub>,
    requests: Arc<Rates<String>>,
}

impl Enrolment {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, requests: Arc::new(Rates::new(REQUESTS_PER_S, REQUESTS_BURST)) }
    }

    /// Checks a request that the hub does not have yet.
    fn check(
        &self,
        caller: &Identity,
        shown: Option<Fingerprint>,
        bytes: &Bytes,
    ) -> Result<Renewal, Refusal> {
        let asked = renewal::Renewal::read(bytes);
        let asked = asked.map_err(|error| Refusal::field("request", format!("request: {error}")))?;
        if asked.identity != *caller || shown != Some(asked.certificate.fingerprint) {
            let message = format!(
                "the request follows another certificate, of {}, than the one that {caller} shows",
                asked.identity
            );
            return Err(Refusal::new(Reason::RenewalForeign, message).of_field("request"));
        }
        let asked = Renewal::Asked { digest: asked.digest };
        self.hub.door.view.renewals().check(caller, &asked)?;
        self.requests.take(account(caller), self.hub.clock.monotonic_us()).map_err(|retry_after_ms| {
            let message = "the office leaves more requests for certificates than it has desks";
            Refusal::new(Reason::RateExceeded, message).retry_after_ms(retry_after_ms)
        })?;
        Ok(asked)
    }

    /// Puts records in order; gives what was decided of each.
    async fn record(
        &self,
        caller: &Identity,
        records: Vec<(Record, Renewal)>,
    ) -> Result<Vec<Outcome>, Status> {
        let submitted = |(record, renewal)| {
            let statement = RenewalRecord { record: Some(record) }.encode_to_vec().into();
            let (kind, identity) = (EntryKind::Renewal, caller.to_string());
            let proposal = Proposal { kind, identity, statement, payload: None };
            Submitted { proposal, statement: Statement::Renewal(renewal), pins: None }
        };
        let items = records.into_iter().map(submitted).collect();
        let outcomes = self.hub.submitter.submit(items).await.map_err(|refusal| status::refused(&refusal))?;
        outcomes.await.map(|decided| decided.outcomes).map_err(|_| status::fault())
    }

    /// Reads the records of some entries.
    async fn records(&self, indexes: Vec<Index>) -> Result<Vec<Record>, Status> {
        let journal = self.hub.journal.clone();
        let read = move || indexes.into_iter().map(|index| read_record(&journal, index)).collect();
        self.hub.audits.run(read).await.map_err(|_| stopping_status())?
    }

    /// Lets an operator through.
    fn operator<T>(&self, request: &Request<T>, call: &str) -> Result<Identity, Status> {
        let caller = self.hub.door.admit(request)?;
        let permit = self.hub.door.view.policy().permit_operate(&caller);
        permit.map_err(|refusal| self.hub.door.refuse(&caller, call, &refusal))?;
        Ok(caller)
    }
}

fn read_record(journal: &Reader, index: Index) -> Result<Record, Status> {
    let entry = journal.entry(index).map_err(|error| read_fault(&error))?;
    let record = entry.and_then(|entry| RenewalRecord::decode(entry.statement).ok()?.record);
    record.ok_or_else(status::fault)
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let shown = request.extensions().get::<Arc<Caller>>().map(|caller| caller.fingerprint);
        let bytes = request.into_inner().request;
        let digest = renewal::digest_of(&bytes);
        let known = self.hub.door.view.renewals().of(&caller).filter(|it| it.digest == digest).copied();
        if let Some(known) = known {
            let Some(index) = known.answered else { return Ok(Response::new(RenewResponse::default())) };
            let answer = match self.records(vec![index]).await?.pop() {
                Some(Record::Answer(answer)) => Some(answer),
                _ => return Err(status::fault()),
            };
            return Ok(Response::new(RenewResponse { answer }));
        }
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, "Renew", &refusal);
        let asked = self.check(&caller, shown, &bytes).map_err(refuse)?;
        let outcomes = self.record(&caller, vec![(Record::Request(bytes), asked)]).await?;
        match outcomes.into_iter().next() {
            // What was decided is an entry already: it is not recorded a second time.
            Some(Outcome::Refused(refusal)) => Err(status::refused(&refusal)),
            _ => Ok(Response::new(RenewResponse::default())),
        }
    }

    async fn list_renewals(
        &self,
        request: Request<ListRenewalsRequest>,
    ) -> Result<Response<ListRenewalsResponse>, Status> {
        self.operator(&request, "ListRenewals")?;
        let records = self.records(self.hub.door.view.renewals().waiting()).await?;
        let of = |record| match record {
            Record::Request(request) => Some(request),
            Record::Answer(_) => None,
        };
        let requests = records.into_iter().filter_map(of).collect();
        Ok(Response::new(ListRenewalsResponse { requests }))
    }

    async fn answer_renewals(
        &self,
        request: Request<AnswerRenewalsRequest>,
    ) -> Result<Response<AnswerRenewalsResponse>, Status> {
        const CALL: &str = "AnswerRenewals";
        let caller = self.operator(&request, CALL)?;
        let answers = request.into_inner().answers;
        if !(1..=WAITING_MAX).contains(&answers.len()) {
            let message = format!("1 to {WAITING_MAX} answers are taken at once; {} came", answers.len());
            return Err(self.hub.door.refuse(&caller, CALL, &Refusal::field("answers", message)));
        }
        let renewals = self.hub.door.view.renewals();
        let (mut results, mut records) = (Vec::new(), Vec::new());
        for answer in answers {
            let checked = convert::renewal_answer(&answer)
                .and_then(|answered| renewals.check(&caller, &answered).map(|()| answered));
            results.push(checked.as_ref().err().cloned());
            records.extend(checked.ok().map(|answered| (Record::Answer(answer), answered)));
        }
        if !records.is_empty() {
            let mut outcomes = self.record(&caller, records).await?.into_iter();
            for result in results.iter_mut().filter(|result| result.is_none()) {
                if let Some(Outcome::Refused(refusal)) = outcomes.next() {
                    *result = Some(refusal);
                }
            }
        }
        let results =
            results.iter().map(|refusal| AnswerResult { refusal: refusal.as_ref().map(Into::into) });
        Ok(Response::new(AnswerRenewalsResponse { results: results.collect() }))
    }
}
