//! A desk that publishes as fast as it is answered, and hands in again what it got no answer for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::wire::proto::{PublishStreamRequest, publish_result::Outcome};
use tonic::{Code, Status};

use crate::SUBSCRIBERS;
use crate::book::Book;
use crate::gate::Gate;
use crate::stage::Stage;
use crate::stage::authority::Papers;
use crate::stage::chance::Chance;
use crate::stage::client::{Desk, knock_at};
use crate::stage::draft::Draft;
use crate::stage::told::Told;
use crate::stage::wait::within;

/// Messages of a frame, at most.
const FRAME_MESSAGES_MAX: u64 = 12;
/// Frames under way on a stream.
const FRAMES_MAX: usize = 3;
/// One message in doubt of so many is never handed in again: the hub alone says what became of it.
const ABANDONED: u64 = 6;

/// A publisher.
pub(crate) struct Publisher {
    identity: String,
    address: String,
    papers: Papers,
    chance: Chance,
    book: Arc<Book>,
    gate: Arc<Gate>,
    /// Handed in and not answered, to be handed in again.
    doubt: VecDeque<Draft>,
}

impl Publisher {
    /// A publisher of an office's first desk.
    pub(crate) fn new(stage: &Stage, office: &str, seed: u64, book: &Arc<Book>, gate: &Arc<Gate>) -> Self {
        let identity = format!("urn:resguardo:office:{office}:desk-1");
        Self {
            papers: stage.authority.client(&identity),
            identity,
            address: stage.address(),
            chance: Chance::seeded(seed),
            book: book.clone(),
            gate: gate.clone(),
            doubt: VecDeque::new(),
        }
    }

    /// Publishes one message after the other, over all runs of the hub.
    pub(crate) async fn by_single_calls(&mut self) {
        let mut run = 0;
        while !self.book.is_stopped() {
            run = self.gate.pass(run).await;
            let Some(desk) = self.connect().await else { continue };
            while let Some(draft) = self.next() {
                match desk.publish(&draft).await {
                    Ok(accepted) => self.book.confirm(&draft.id(), accepted),
                    Err(status) if self.comes_again(&status).await => self.doubt.push_front(draft),
                    Err(_) => {
                        self.keep(vec![draft]);
                        break;
                    }
                }
            }
        }
    }

    /// Publishes frames on a stream, some under way at once, over all runs of the hub.
    pub(crate) async fn by_stream(&mut self) {
        let mut run = 0;
        while !self.book.is_stopped() {
            run = self.gate.pass(run).await;
            let Some(desk) = self.connect().await else { continue };
            let mut under_way = VecDeque::new();
            let _ = self.stream(&desk, &mut under_way).await;
            self.keep(under_way.into());
        }
    }

    async fn stream(&mut self, desk: &Desk, under_way: &mut VecDeque<Draft>) -> Result<(), Status> {
        let mut stream = desk.publish_stream().await?;
        let mut frames: VecDeque<usize> = VecDeque::new();
        loop {
            while frames.len() < FRAMES_MAX {
                let count = 1 + self.chance.below(FRAME_MESSAGES_MAX);
                let drafts: Vec<Draft> = (0..count).map_while(|_| self.next()).collect();
                if drafts.is_empty() {
                    break;
                }
                frames.push_back(drafts.len());
                let messages = drafts.iter().map(Draft::request).collect();
                under_way.extend(drafts);
                let sent = stream.up.send(PublishStreamRequest { messages });
                within("a frame goes up", sent).await.map_err(|_| Status::unavailable("the stream ended"))?;
            }
            let Some(first) = frames.front_mut() else { return Ok(()) };
            let answer = within("results come", stream.down.message()).await?;
            let results = answer.ok_or_else(|| Status::unavailable("the stream ended"))?.results;
            let mut left = results.len();
            for result in results {
                let draft = under_way.pop_front().expect("a result is of a message under way");
                match result.outcome {
                    Some(Outcome::Accepted(accepted)) => self.book.confirm(&draft.id(), accepted),
                    Some(Outcome::Refusal(refusal)) if refusal.retry_after_ms > 0 => {
                        self.doubt.push_back(draft);
                    }
                    other => panic!("{} got {other:?}", self.identity),
                }
            }
            // A frame of results may answer a part of a frame of messages, or several.
            let mut answered = first;
            loop {
                let taken = left.min(*answered);
                *answered -= taken;
                left -= taken;
                if *answered > 0 {
                    break;
                }
                frames.pop_front();
                match frames.front_mut() {
                    Some(next) if left > 0 => answered = next,
                    _ => break,
                }
            }
        }
    }

    async fn connect(&self) -> Option<Desk> {
        let channel = knock_at(&self.address, &self.papers).await.ok()?;
        Some(Desk { identity: self.identity.clone(), channel })
    }

    /// The next message to hand in: one in doubt, or a new one; none at the end.
    fn next(&mut self) -> Option<Draft> {
        if let Some(draft) = self.doubt.pop_front() {
            return Some(draft);
        }
        if self.book.is_stopped() {
            return None;
        }
        let length = 1 + self.chance.place(3_000);
        let payload: Vec<u8> = (0..length).map(|_| self.chance.bits().to_be_bytes()[0]).collect();
        let mut draft = Draft::new(&self.identity, &SUBSCRIBERS).payload(payload);
        if self.chance.below(8) == 0 {
            draft = draft.urgent();
        }
        self.book.hand_in(&draft);
        Some(draft)
    }

    /// Keeps what is in doubt for the next run, but for some that are never handed in again.
    fn keep(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            if self.chance.below(ABANDONED) > 0 {
                self.doubt.push_back(draft);
            }
        }
    }

    /// Whether the hub is at a bound and says when to come again; then waits as long as it says.
    async fn comes_again(&self, status: &Status) -> bool {
        if status.code() != Code::ResourceExhausted {
            let gone =
                matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
            assert!(gone, "{} got {status:?}", self.identity);
            return false;
        }
        tokio::time::sleep(Told::of(status).retry.expect("a bound says when to come again")).await;
        true
    }
}

/// The id of an envelope, and the office that sent it.
pub(crate) fn id_of(envelope: &Bytes) -> Bytes {
    crate::stage::draft::envelope_of(envelope).message_id
}
