//! Asking what happened, as gRPC: pages of the ledger and of the journal, as far as the caller may see them.
//!
//! Owns paging and the bounds of a listing. Never returns a payload. What was answered to anybody before a listing
//! began is in the listing.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::exchange::FRAMES_DOWN_MAX;
use super::rows::{self, ReadError};
use super::{Hub, stopping_status};
use crate::ledger::audit::{OutstandingCursor, Selection, Unreached};
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, OfficeNumber};
use crate::model::receipt::Stage;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::proto::audit_service_server::AuditService;
use crate::wire::proto::{
    self, DescribeMessageRequest, DescribeMessageResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    ListEntriesRequest, ListEntriesResponse, ListOutstandingRequest, ListOutstandingResponse,
    ListReceiptsRequest, ListReceiptsResponse,
};

/// Rows in one page and frame: with the longest names and reasons still below what gRPC takes by default.
const PAGE_ROWS_MAX: usize = 256;

/// The service.
#[derive(Clone)]
pub(super) struct Audit {
    hub: Arc<Hub>,
}

/// A listing's rows: a page from a place on, and the place of the next page.
type Pages<R, C> = Arc<dyn Fn(&Hub, C, usize) -> Result<(Vec<R>, Option<C>), ReadError> + Send + Sync>;
type Frames<F> = ReceiverStream<Result<F, Status>>;

impl Audit {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Lets a caller list: what it may see, from where, how much.
    fn begin(&self, caller: &Identity, selection: Option<proto::Selection>) -> Result<Begun, Refusal> {
        let policy = self.hub.door.view.policy();
        let permit = policy.permit_audit(caller)?;
        let wire = selection.unwrap_or_default();
        let office =
            if wire.office.is_empty() { None } else { Some(self.office("selection.office", &wire.office)?) };
        let limit = if wire.limit == 0 { u64::MAX } else { wire.limit };
        Ok(Begun { selection: Selection { permit, office }, from: Index(wire.from_index), limit })
    }

    fn office(&self, field: &'static str, text: &str) -> Result<OfficeNumber, Refusal> {
        let name = convert::name(field, text)?;
        self.hub.door.view.policy().number(&name).ok_or_else(|| {
            Refusal::new(Reason::OfficeUnknown, format!("the directory holds no office {name}"))
                .of_field(field)
        })
    }

    /// Sends pages down, one at a time, until the last, the limit or the reader's end.
    fn list<R, C, F>(
        &self,
        caller: &Identity,
        call: &str,
        (first, limit): (C, u64),
        pages: Pages<R, C>,
        frame: fn(Vec<R>) -> F,
    ) -> Result<Response<Frames<F>>, Status>
    where
        R: Send + 'static,
        C: Send + 'static,
        F: Send + 'static,
    {
        let place = self
            .hub
            .door
            .stream(None, caller)
            .map_err(|refusal| self.hub.door.refuse(caller, call, &refusal))?;
        let (down, frames) = mpsc::channel(FRAMES_DOWN_MAX);
        let hub = Arc::clone(&self.hub);
        self.hub.tasks.spawn(
            "listing",
            Box::pin(async move {
                let _place = place;
                let listed = tokio::select! {
                    () = hub.stop.cancelled() => Err(stopping_status()),
                    listed = send_pages(&hub, first, limit, pages, frame, &down) => listed,
                };
                if let Err(status) = listed {
                    // Who reads may have gone.
                    let _ = down.send(Err(status)).await;
                }
            }),
        );
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

struct Begun {
    selection: Selection,
    from: Index,
    limit: u64,
}

async fn send_pages<R: Send + 'static, C: Send + 'static, F>(
    hub: &Arc<Hub>,
    first: C,
    mut left: u64,
    pages: Pages<R, C>,
    frame: fn(Vec<R>) -> F,
    down: &mpsc::Sender<Result<F, Status>>,
) -> Result<(), Status> {
    hub.settled().await?;
    let mut next = Some(first);
    while let Some(from) = next
        && left > 0
    {
        // A place first: a reader that stops reading costs no more than a page.
        let Ok(place) = down.reserve().await else { return Ok(()) };
        let (shared, pages) = (Arc::clone(hub), Arc::clone(&pages));
        let page = hub.audits.run(move || pages(&shared, from, PAGE_ROWS_MAX)).await;
        let (mut rows, following) =
            page.map_err(|_| stopping_status())?.map_err(|error| hub.page_fault(error))?;
        rows.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= rows.len() as u64;
        next = following;
        if !rows.is_empty() {
            place.send(Ok(frame(rows)));
        }
    }
    Ok(())
}

#[tonic::async_trait]
impl AuditService for Audit {
    type ListDeliveriesStream = Frames<ListDeliveriesResponse>;

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<Self::ListDeliveriesStream>, Status> {
        const CALL: &str = "ListDeliveries";
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal| self.hub.door.refuse(&caller, CALL, &refusal);
        let Begun { selection, from, limit } =
            self.begin(&caller, request.into_inner().selection).map_err(refuse)?;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| {
            let page = hub.door.view.deliveries(selection, from, most)?;
            let policy = hub.door.view.policy();
            Ok((page.rows.iter().map(|row| rows::delivery(&policy, row)).collect(), page.next))
        });
        self.list(&caller, CALL, (from, limit), pages, |deliveries| ListDeliveriesResponse { deliveries })
    }

    type ListReceiptsStream = Frames<ListReceiptsResponse>;

    async fn list_receipts(
        &self,
        request: Request<ListReceiptsRequest>,
    ) -> Result<Response<Self::ListReceiptsStream>, Status> {
        const CALL: &str = "ListReceipts";
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal| self.hub.door.refuse(&caller, CALL, &refusal);
        let Begun { selection, from, limit } =
            self.begin(&caller, request.into_inner().selection).map_err(refuse)?;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| {
            let page = hub.door.view.receipts(selection, from, most)?;
            let found: Result<_, ReadError> =
                page.rows.iter().map(|row| rows::receipt(&hub.door.view, row)).collect();
            Ok((found?, page.next))
        });
        self.list(&caller, CALL, (from, limit), pages, |receipts| ListReceiptsResponse { receipts })
    }

    type ListOutstandingStream = Frames<ListOutstandingResponse>;

    async fn list_outstanding(
        &self,
        request: Request<ListOutstandingRequest>,
    ) -> Result<Response<Self::ListOutstandingStream>, Status> {
        const CALL: &str = "ListOutstanding";
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal| self.hub.door.refuse(&caller, CALL, &refusal);
        let request = request.into_inner();
        let unreached = unreached(request.stage).map_err(refuse)?;
        let Begun { selection, from, limit } = self.begin(&caller, request.selection).map_err(refuse)?;
        let first = OutstandingCursor::default();
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, cursor, most| {
            let page = hub.door.view.outstanding(selection, unreached, cursor, most)?;
            let policy = hub.door.view.policy();
            let wanted = page.rows.iter().filter(|row| row.message.index >= from);
            Ok((wanted.map(|row| rows::delivery(&policy, row)).collect(), page.next))
        });
        self.list(&caller, CALL, (first, limit), pages, |deliveries| ListOutstandingResponse { deliveries })
    }

    async fn describe_message(
        &self,
        request: Request<DescribeMessageRequest>,
    ) -> Result<Response<DescribeMessageResponse>, Status> {
        const CALL: &str = "DescribeMessage";
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, CALL, &refusal);
        let permit = self.hub.door.view.policy().permit_audit(&caller).map_err(refuse)?;
        let wire = request.into_inner();
        let id = convert::message_id("message_id", &wire.message_id).map_err(refuse)?;
        let sender = match wire.sender_office.as_str() {
            "" => None,
            name => Some(self.office("sender_office", name).map_err(refuse)?),
        };
        self.hub.settled().await?;
        let hub = Arc::clone(&self.hub);
        let read =
            self.hub.audits.run(move || rows::history(&hub.door.view, &hub.journal, permit, id, sender));
        let read = read.await.map_err(|_| stopping_status())?;
        let found = read.map_err(|error| self.hub.page_fault(error))?;
        Ok(Response::new(found.map_err(refuse)?))
    }

    type ListEntriesStream = Frames<ListEntriesResponse>;

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        const CALL: &str = "ListEntries";
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal| self.hub.door.refuse(&caller, CALL, &refusal);
        let Begun { selection, from, limit } =
            self.begin(&caller, request.into_inner().selection).map_err(refuse)?;
        let until = self.hub.journal.mark().next_index;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| {
            rows::entries(&hub.door.view, &hub.journal, selection, (from, until), most)
        });
        self.list(&caller, CALL, (from, limit), pages, |entries| ListEntriesResponse { entries })
    }
}

fn unreached(stage: i32) -> Result<Unreached, Refusal> {
    match (stage, Stage::from_number(stage)) {
        (0, _) | (_, Some(Stage::Received)) => Ok(Unreached::Received),
        (_, Some(Stage::Read)) => Ok(Unreached::Read),
        (_, Some(Stage::Acted)) => Ok(Unreached::Acted),
        _ => Err(Refusal::field(
            "stage",
            "outstanding is a matter of received, read or acted; another stage came",
        )),
    }
}

/// Tells whether a permit covers what an office stated.
pub(super) fn covers(permit: AuditPermit, office: Option<OfficeNumber>) -> bool {
    match permit {
        AuditPermit::All => true,
        AuditPermit::Own(own) => office == Some(own),
    }
}
