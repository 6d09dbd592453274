//! Answers that are given a part at a time, so that none is ever in memory whole.
//!
//! Owns how parts go to who asked. Never knows what is in them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::super::{Hub, stopping_status};
use super::service::{LogsAsked, NotGiven};
use crate::model::identity::Identity;

/// Parts on their way down: one is made while another is sent.
const PARTS_DOWN_MAX: usize = 1;

/// The parts of an answer on their way.
pub(super) type Stream<T> = ReceiverStream<Result<T, Status>>;

/// What is to be given.
pub(super) trait Parts: Send + Sized + 'static {
    /// A message of the answer.
    type Part: Send + 'static;

    /// Makes the next part; `None` once all was given.
    ///
    /// # Errors
    /// A fault of this hub's.
    fn next(&mut self, hub: &Hub) -> Result<Option<Self::Part>, Status>;
}

impl LogsAsked {
    /// Plans an answer, and gives it while the caller reads.
    ///
    /// # Errors
    /// The refusal of one more stream; what `plan` says.
    pub(super) async fn give<P: Parts>(
        &self,
        (caller, call): (&Identity, &str),
        plan: impl FnOnce(&Hub) -> Result<P, NotGiven> + Send + 'static,
    ) -> Result<Response<Stream<P::Part>>, Status> {
        let place = self.hub.door.stream(None, caller);
        let place = place.map_err(|refusal| self.hub.door.refuse(caller, call, &refusal))?;
        // What was answered by now is in the ledger's rows, by which it is known who may see what.
        self.hub.settled().await?;
        let hub = Arc::clone(&self.hub);
        let plan = self.read((caller, call), move || plan(&hub)).await?.into_inner();
        let (down, parts) = mpsc::channel(PARTS_DOWN_MAX);
        let hub = Arc::clone(&self.hub);
        self.hub.tasks.spawn(
            "parts",
            Box::pin(async move {
                let _place = place;
                let sent = tokio::select! {
                    () = hub.stop.cancelled() => Err(stopping_status()),
                    sent = send(&hub, plan, &down) => sent,
                };
                if let Err(status) = sent {
                    // Who reads may have gone.
                    let _ = down.send(Err(status)).await;
                }
            }),
        );
        Ok(Response::new(ReceiverStream::new(parts)))
    }
}

async fn send<P: Parts>(
    hub: &Arc<Hub>,
    mut plan: P,
    down: &mpsc::Sender<Result<P::Part, Status>>,
) -> Result<(), Status> {
    loop {
        // A place first: a reader that stops reading costs no more than a part.
        let Ok(place) = down.reserve().await else { return Ok(()) };
        let shared = Arc::clone(hub);
        let made = hub.audits.run(move || {
            let part = plan.next(&shared);
            (plan, part)
        });
        let (following, part) = made.await.map_err(|_| stopping_status())?;
        let Some(part) = part? else { return Ok(()) };
        place.send(Ok(part));
        plan = following;
    }
}
