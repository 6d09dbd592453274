//! Rows as things happen: a listing that follows the journal and has no end of its own.
//!
//! Owns one place in the journal and nothing else: a reader that stops reading costs a page, and one that comes again
//! after a cut goes on where it was told. Ends with its connection, so a caller who may no longer see anything sees
//! nothing more.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::Status;

use super::audit::PAGE_ROWS_MAX;
use super::rows::ReadError;
use super::{Hub, stopping_status};
use crate::model::id::Index;

/// Rows of the entries from one index up to another, a page of them, and where the next begins; `None`: they are all.
pub(super) type Follow<R> =
    Arc<dyn Fn(&Hub, (Index, Index), usize) -> Result<(Vec<R>, Option<Index>), ReadError> + Send + Sync>;

/// Sends down what entries from an index on bring, at most so many rows, until the reader is gone. The first frame says
/// where it begins; each says where to go on after a cut.
///
/// # Errors
/// A status when the hub stops or cannot read.
pub(super) async fn send<R: Send + 'static, F>(
    hub: &Arc<Hub>,
    (from, mut left): (Index, u64),
    follow: Follow<R>,
    frame: fn(Vec<R>, u64) -> F,
    down: &mpsc::Sender<Result<F, Status>>,
) -> Result<(), Status> {
    hub.settled().await?;
    let mut written = hub.written.clone();
    let mut until = *written.borrow_and_update();
    let mut next = from.min(until);
    if down.send(Ok(frame(Vec::new(), next.0))).await.is_err() {
        return Ok(());
    }
    while left > 0 {
        if next >= until {
            until = tokio::select! {
                () = down.closed() => return Ok(()),
                further = written.wait_for(|written| *written > next) => {
                    *further.map_err(|_| stopping_status())?
                }
            };
        }
        // A place first: a reader that stops reading costs no more than a page.
        let Ok(place) = down.reserve().await else { return Ok(()) };
        let (shared, follow) = (Arc::clone(hub), Arc::clone(&follow));
        let page = hub.audits.run(move || follow(&shared, (next, until), PAGE_ROWS_MAX)).await;
        let (mut rows, following) =
            page.map_err(|_| stopping_status())?.map_err(|error| hub.page_fault(error))?;
        rows.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= rows.len() as u64;
        next = following.unwrap_or(until);
        if !rows.is_empty() {
            place.send(Ok(frame(rows, next.0)));
        }
    }
    Ok(())
}
