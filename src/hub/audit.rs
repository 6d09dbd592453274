//! Asking what happened, as gRPC: pages of the ledger and of the journal, as far as the caller may see them.
//!
//! Owns paging and the bounds of a listing. Never returns a payload. What was answered to anybody before a listing
//! began is in the listing.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::exchange::FRAMES_DOWN_MAX;
use super::follow::{self, Follow};
use super::rows::{self, ReadError};
use super::{Hub, stopping_status};
use crate::ledger::audit::{OutstandingCursor, Selection, Unreached};
use crate::ledger::due::ObligationCursor;
use crate::ledger::rows::MessageRow;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, OfficeNumber};
use crate::model::receipt::Stage;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::proto::audit_service_server::AuditService;
use crate::wire::proto::{
    self, DescribeMessageRequest, DescribeMessageResponse, ListDeliveriesRequest, ListDeliveriesResponse,
    ListEntriesRequest, ListEntriesResponse, ListErasuresRequest, ListErasuresResponse,
    ListObligationsRequest, ListObligationsResponse, ListOutstandingRequest, ListOutstandingResponse,
    ListOverdueRequest, ListOverdueResponse, ListReceiptsRequest, ListReceiptsResponse,
};

/// Rows in one page and frame: with the longest names and reasons still below what gRPC takes by default.
pub(super) const PAGE_ROWS_MAX: usize = 256;

/// The service.
#[derive(Clone)]
pub(super) struct Audit {
    hub: Arc<Hub>,
}

/// A listing's rows: a page from a place on, and the place of the next page.
type Pages<R, C> = Arc<dyn Fn(&Hub, C, usize) -> Result<(Vec<R>, Option<C>), ReadError> + Send + Sync>;
type Frames<F> = ReceiverStream<Result<F, Status>>;
type Down<F> = mpsc::Sender<Result<F, Status>>;

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
        let (from, since) = (Index(wire.from_index), wire.from_unix_us.map(UnixMicros));
        Ok(Begun { selection: Selection { permit, office }, from, since, limit, watch: wire.watch })
    }

    /// Lets a caller list, as [`Audit::begin`] does; what it was refused for is recorded.
    async fn begun(
        &self,
        caller: &Identity,
        call: &str,
        selection: Option<proto::Selection>,
    ) -> Result<Begun, Status> {
        let begun = self.begin(caller, selection);
        let begun = begun.map_err(|refusal| self.hub.door.refuse(caller, call, &refusal))?;
        let Some(since) = begun.since else { return Ok(begun) };
        Ok(Begun { from: begun.from.max(self.hub.index_at(since).await?), ..begun })
    }

    fn office(&self, field: &'static str, text: &str) -> Result<OfficeNumber, Refusal> {
        let name = convert::name(field, text)?;
        self.hub.door.view.policy().number(&name).ok_or_else(|| {
            Refusal::new(Reason::OfficeUnknown, format!("the directory holds no office {name}"))
                .of_field(field)
        })
    }

    /// The message at an index, if the caller may see it; none is wanted at index 0, where a fact of the directory stands.
    async fn about(
        &self,
        selection: Selection,
        index: u64,
    ) -> Result<Result<Option<Arc<MessageRow>>, Refusal>, Status> {
        if index == 0 {
            return Ok(Ok(None));
        }
        let view = self.hub.door.view.clone();
        let found = self.hub.audits.run(move || view.history(selection.permit, Index(index))).await;
        let found = found.map_err(|_| stopping_status())?.map_err(|error| self.hub.ledger_fault(error))?;
        Ok(found.map(|history| Some(history.message)).ok_or_else(|| {
            let message = format!("there is no message at index {index} that the caller may see");
            Refusal::new(Reason::MessageUnknown, message).of_field("message_index")
        }))
    }

    /// Sends pages down, one at a time, until the last, the limit or the reader's end.
    fn list<R, C, F>(
        &self,
        caller: &Identity,
        call: &str,
        (first, limit): (C, u64),
        pages: Pages<R, C>,
        frame: fn(Vec<R>, u64) -> F,
    ) -> Result<Response<Frames<F>>, Status>
    where
        R: Send + 'static,
        C: Send + 'static,
        F: Send + 'static,
    {
        self.answer(caller, call, move |hub, down| {
            Box::pin(send_pages(hub, first, limit, pages, frame, down))
        })
    }

    /// Sends down what is recorded from an index on, until the limit or the reader's end.
    fn watch<R: Send + 'static, F: Send + 'static>(
        &self,
        caller: &Identity,
        call: &str,
        begun: &Begun,
        rows: Follow<R>,
        frame: fn(Vec<R>, u64) -> F,
    ) -> Result<Response<Frames<F>>, Status> {
        let (from, limit) = (begun.from, begun.limit);
        self.answer(caller, call, move |hub, down| {
            Box::pin(follow::send(hub, (from, limit), rows, frame, down))
        })
    }

    /// Sends down what is recorded from an index on: until now, or for as long as the reader watches.
    fn list_or_watch<R: Send + 'static, F: Send + 'static>(
        &self,
        caller: &Identity,
        call: &str,
        begun: &Begun,
        rows: Follow<R>,
        frame: fn(Vec<R>, u64) -> F,
    ) -> Result<Response<Frames<F>>, Status> {
        if begun.watch {
            return self.watch(caller, call, begun, rows, frame);
        }
        let until = self.hub.journal.mark().next_index;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| rows(hub, (from, until), most));
        self.list(caller, call, (begun.from, begun.limit), pages, frame)
    }

    /// Takes a place among the streams, and sends from a task of its own.
    fn answer<F: Send + 'static, S>(
        &self,
        caller: &Identity,
        call: &str,
        send: S,
    ) -> Result<Response<Frames<F>>, Status>
    where
        S: for<'a> FnOnce(&'a Arc<Hub>, &'a Down<F>) -> Sending<'a> + Send + 'static,
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
                    listed = send(&hub, &down) => listed,
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

/// Frames on their way down.
type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;

struct Begun {
    selection: Selection,
    from: Index,
    since: Option<UnixMicros>,
    limit: u64,
    watch: bool,
}

async fn send_pages<R: Send + 'static, C: Send + 'static, F>(
    hub: &Arc<Hub>,
    first: C,
    mut left: u64,
    pages: Pages<R, C>,
    frame: fn(Vec<R>, u64) -> F,
    down: &Down<F>,
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
            place.send(Ok(frame(rows, 0)));
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
        let begun = self.begun(&caller, CALL, request.into_inner().selection).await?;
        let frame = |deliveries, next_index| ListDeliveriesResponse { deliveries, next_index };
        if begun.watch {
            return self.watch(&caller, CALL, &begun, changes(begun.selection, None), frame);
        }
        let Begun { selection, from, limit, .. } = begun;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| {
            let page = hub.door.view.deliveries(selection, from, most)?;
            let policy = hub.door.view.policy();
            Ok((page.rows.iter().map(|row| rows::delivery(&policy, row)).collect(), page.next))
        });
        self.list(&caller, CALL, (from, limit), pages, frame)
    }

    type ListReceiptsStream = Frames<ListReceiptsResponse>;

    async fn list_receipts(
        &self,
        request: Request<ListReceiptsRequest>,
    ) -> Result<Response<Self::ListReceiptsStream>, Status> {
        const CALL: &str = "ListReceipts";
        let caller = self.hub.door.admit(&request)?;
        let request = request.into_inner();
        let begun = self.begun(&caller, CALL, request.selection).await?;
        let about = self.about(begun.selection, request.message_index).await?;
        let about = about.map_err(|refusal| self.hub.door.refuse(&caller, CALL, &refusal))?;
        let frame = |receipts, next_index| ListReceiptsResponse { receipts, next_index };
        let selection = begun.selection;
        let page = move |hub: &Hub, (from, until), most| {
            let view = &hub.door.view;
            let mut page = match &about {
                Some(message) => view.receipts_about(selection.permit, message, from, most)?,
                None => view.receipts(selection, from, most)?,
            };
            page.rows.retain(|row| row.index < until);
            let found: Result<_, ReadError> = page.rows.iter().map(|row| rows::receipt(view, row)).collect();
            Ok((found?, page.next.filter(|next| *next < until)))
        };
        self.list_or_watch(&caller, CALL, &begun, Arc::new(page), frame)
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
        let begun = self.begun(&caller, CALL, request.selection).await?;
        let frame = |deliveries, next_index| ListOutstandingResponse { deliveries, next_index };
        if begun.watch {
            return self.watch(&caller, CALL, &begun, changes(begun.selection, Some(unreached)), frame);
        }
        let Begun { selection, from, limit, .. } = begun;
        let first = OutstandingCursor::default();
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, cursor, most| {
            let page = hub.door.view.outstanding(selection, unreached, cursor, most)?;
            let policy = hub.door.view.policy();
            let wanted = page.rows.iter().filter(|row| row.message.index >= from);
            Ok((wanted.map(|row| rows::delivery(&policy, row)).collect(), page.next))
        });
        self.list(&caller, CALL, (first, limit), pages, frame)
    }

    type ListOverdueStream = Frames<ListOverdueResponse>;

    async fn list_overdue(
        &self,
        request: Request<ListOverdueRequest>,
    ) -> Result<Response<Self::ListOverdueStream>, Status> {
        const CALL: &str = "ListOverdue";
        let caller = self.hub.door.admit(&request)?;
        let ListOverdueRequest { selection, all } = request.into_inner();
        let begun = self.begun(&caller, CALL, selection).await?;
        let selection = begun.selection;
        let frame = |overdue, next_index| ListOverdueResponse { overdue, next_index };
        let page = move |hub: &Hub, (from, until), most| {
            let mut page = hub.door.view.overdue((selection.permit, selection.office), from, most)?;
            page.rows.retain(|row| row.index < until);
            let found = page.rows.iter().map(|row| rows::overdue(&hub.door.view, row));
            let mut found = found.collect::<Result<Vec<_>, ReadError>>()?;
            found.retain(|row| all || row.open);
            Ok((found, page.next.filter(|next| *next < until)))
        };
        self.list_or_watch(&caller, CALL, &begun, Arc::new(page), frame)
    }

    type ListObligationsStream = Frames<ListObligationsResponse>;

    async fn list_obligations(
        &self,
        request: Request<ListObligationsRequest>,
    ) -> Result<Response<Self::ListObligationsStream>, Status> {
        const CALL: &str = "ListObligations";
        let caller = self.hub.door.admit(&request)?;
        let begun = self.begun(&caller, CALL, request.into_inner().selection).await?;
        let Selection { permit, office } = begun.selection;
        let pages: Pages<_, _> = Arc::new(move |hub: &Hub, from, most| {
            let page = hub.door.view.obligations((permit, office), from, most)?;
            let policy = hub.door.view.policy();
            Ok((page.rows.iter().map(|row| rows::obligation(&policy, row)).collect(), page.next))
        });
        let frame = |obligations, _| ListObligationsResponse { obligations };
        self.list(&caller, CALL, (ObligationCursor::default(), begun.limit), pages, frame)
    }

    type ListErasuresStream = Frames<ListErasuresResponse>;

    async fn list_erasures(
        &self,
        request: Request<ListErasuresRequest>,
    ) -> Result<Response<Self::ListErasuresStream>, Status> {
        const CALL: &str = "ListErasures";
        let caller = self.hub.door.admit(&request)?;
        let begun = self.begun(&caller, CALL, request.into_inner().selection).await?;
        let Selection { permit, office } = begun.selection;
        let frame = |erasures, next_index| ListErasuresResponse { erasures, next_index };
        let page = move |hub: &Hub, (from, until), most| {
            let mut page = hub.door.view.erasures((permit, office), from, most)?;
            page.rows.retain(|row| row.index < until);
            let found = page.rows.iter().map(|row| rows::erasure_row(&hub.door.view, &hub.journal, row));
            Ok((found.collect::<Result<Vec<_>, ReadError>>()?, page.next.filter(|next| *next < until)))
        };
        self.list_or_watch(&caller, CALL, &begun, Arc::new(page), frame)
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
        let begun = self.begun(&caller, CALL, request.into_inner().selection).await?;
        let frame = |entries, next_index| ListEntriesResponse { entries, next_index };
        let selection = begun.selection;
        let page =
            move |hub: &Hub, range, most| rows::entries(&hub.door.view, &hub.journal, selection, range, most);
        self.list_or_watch(&caller, CALL, &begun, Arc::new(page), frame)
    }
}

/// What each entry did to deliveries.
fn changes(selection: Selection, unreached: Option<Unreached>) -> Follow<proto::DeliveryRow> {
    Arc::new(move |hub: &Hub, range, most| {
        let page = hub.door.view.changes(selection, unreached, range, most)?;
        let policy = hub.door.view.policy();
        Ok((page.rows.iter().map(|row| rows::delivery(&policy, row)).collect(), page.next))
    })
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
