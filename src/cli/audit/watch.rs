//! `audit … --watch`: rows as they happen, until Ctrl-C; after a cut from where they stopped.
//!
//! Owns connecting again. Never gives a row twice and never passes over one: the hub says where to go on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::FRAME_BYTES_MAX;
use super::listing::{Listing, Shape};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::{Tone, harmless};
use crate::desk::home::Home;
use crate::desk::session::pause_ms;
use crate::wire::proto;
use crate::wire::proto::audit_service_client::AuditServiceClient;

/// A connection to the audit.
pub(super) type Client = AuditServiceClient<Channel>;

/// The audit of the hub that a home names.
pub(super) async fn connect(context: &Context, home: &Home) -> Result<Client, Failure> {
    Ok(client(context.connect(home).await?))
}

/// Asks over a connection that is there.
pub(super) fn client(channel: Channel) -> Client {
    AuditServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX)
}

/// Shows rows as they come, from where `selection` says, until the limit or the signal to stop. `ask` makes the call.
///
/// # Errors
/// Whatever another try does not mend; before the first connection everything.
pub(super) async fn run<F, R>(
    context: &Context,
    home: &Home,
    mut selection: proto::Selection,
    shape: Shape<F, R>,
    ask: impl AsyncFn(Client, proto::Selection) -> Result<Response<Streaming<F>>, Status>,
) -> Result<Exit, Failure> {
    let mut listing = Listing::new(context, shape.header);
    let mut tries = 0;
    selection.watch = true;
    let limit = selection.limit;
    // Where to go on, once the hub has said so.
    let next = AtomicU64::new(u64::MAX);
    let began = || next.load(Ordering::Relaxed) != u64::MAX;
    loop {
        if began() {
            (selection.from_index, selection.from_unix_us) = (next.load(Ordering::Relaxed), None);
        }
        selection.limit = limit.saturating_sub(listing.count as u64);
        let before = (began(), listing.count);
        let served = tokio::select! {
            served = serve(context, home, &selection, &shape, &ask, &mut listing, &next) => served,
            () = context.stop.token.cancelled() => return Ok(Exit::Done),
        };
        let failure = match served {
            Ok(()) if limit > 0 && listing.count as u64 >= limit => return Ok(Exit::Done),
            Ok(()) => Failure::new(Exit::Unreachable, "the hub ended the listing"),
            Err(failure) => failure,
        };
        if !began() || failure.exit != Exit::Unreachable {
            return Err(failure);
        }
        tries = if before == (true, listing.count) { tries + 1 } else { 0 };
        let retry_in_ms = pause_ms(context.random.as_ref(), tries);
        let words = harmless(&failure.message);
        context.screen.object(&json!({ "object": "lost", "message": words, "retry_in_ms": retry_in_ms }))?;
        if tries == 0 {
            context.screen.aside(Tone::Warning, &format!("{words}; trying again until it works"));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(retry_in_ms)) => {}
            () = context.stop.token.cancelled() => return Ok(Exit::Done),
        }
    }
}

/// Shows what comes on one connection.
async fn serve<F, R>(
    context: &Context,
    home: &Home,
    selection: &proto::Selection,
    shape: &Shape<F, R>,
    ask: &impl AsyncFn(Client, proto::Selection) -> Result<Response<Streaming<F>>, Status>,
    listing: &mut Listing<'_>,
    next: &AtomicU64,
) -> Result<(), Failure> {
    let client = connect(context, home).await?;
    let mut frames = ask(client, selection.clone()).await?.into_inner();
    let mut begun = false;
    while let Some(frame) = frames.message().await? {
        let (rows, next_index) = (shape.page)(frame);
        if !std::mem::replace(&mut begun, true) {
            context.screen.object(&json!({ "object": "watching", "index": next_index }))?;
            context.screen.aside(Tone::Faint, &format!("Watching from entry {next_index} on."));
        }
        for row in &rows {
            listing.add(shape, row)?;
        }
        listing.flush()?;
        // After they were shown: a row that could not be is not passed over.
        next.store(next_index, Ordering::Relaxed);
    }
    Ok(())
}
