//! What the protocol's own reader refuses before a call is made: told and counted like every other refusal.
//!
//! Owns no rule: which answer is the reader's is `wire`'s to say. Never touches a call that could be read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use super::Hub;
use super::parts::Parts;
use crate::model::refusal::Reason;
use crate::wire::connection::Caller;

/// Has what comes of a caller's messages counted until each is whole. Who has no identity is refused before a byte of them.
fn parts_of(hub: &Arc<Hub>, caller: Option<&Caller>, body: Body) -> Body {
    let Some(Ok(identity)) = caller.map(|caller| &caller.identity) else { return body };
    let share = hub.shares.of(identity, &hub.door.limits());
    let rooms = [Arc::clone(&share.parts), Arc::clone(&hub.shares.parts)];
    let told = Arc::clone(hub);
    Body::new(Parts::of(body, rooms, Box::new(move || told.door.refusals.beyond(Reason::Busy))))
}

/// Services behind the reader.
#[derive(Clone)]
pub(super) struct Readers<S> {
    hub: Arc<Hub>,
    inner: S,
}

impl<S> Readers<S> {
    /// Stands before services.
    pub(super) fn before(hub: Arc<Hub>, inner: S) -> Self {
        Self { hub, inner }
    }
}

impl<S> Service<Request<Body>> for Readers<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (hub, uri) = (Arc::clone(&self.hub), request.uri().clone());
        let caller = request.extensions().get::<Arc<Caller>>().map(Arc::clone);
        let request = request.map(|body| parts_of(&hub, caller.as_deref(), body));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // A status among the headers: nothing was answered but it. Streams tell theirs at the end, by themselves.
            let Some(status) = Status::from_header_map(answer.headers()) else { return Ok(answer) };
            let Some(Ok(identity)) = caller.as_ref().map(|caller| &caller.identity) else {
                return Ok(answer);
            };
            let call = uri.path().rsplit('/').next().unwrap_or_default();
            Ok(hub.door.read_failed(identity, call, &status).map_or(answer, Status::into_http))
        })
    }
}
