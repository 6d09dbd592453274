//! A desk that receives, checks each payload, and acknowledges in statements of random size.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::subscribe_response::Frame as Down;
use resguardo::wire::proto::{
    Action, CoveredMessage, Credit, Delivery, ReceiptResult, Receipts, Start, SubscribeRequest,
    SubscribeResponse,
};
use tokio::sync::mpsc;
use tonic::{Code, Status};

use crate::book::{Book, Stated};
use crate::gate::Gate;
use crate::stage::Stage;
use crate::stage::authority::Papers;
use crate::stage::chance::{Chance, sha256};
use crate::stage::client::{Desk, knock_at};
use crate::stage::draft::envelope_of;
use crate::stage::statement::Receipt;
use crate::stage::statement::{self, acted, read, received_of};
use crate::stage::subscription::{Subscription, message};
use crate::stage::wait::within;

/// Deliveries that may be under way.
const CREDIT: u32 = 64;
/// Messages that one receipt names, at most.
const RECEIPT_MESSAGES: usize = 20;

/// A subscriber.
pub(crate) struct Subscriber {
    office: String,
    identity: String,
    address: String,
    papers: Papers,
    chance: Chance,
    book: Arc<Book>,
    gate: Arc<Gate>,
}

/// One session in one run of the hub.
struct Session {
    run: u64,
    up: mpsc::Sender<SubscribeRequest>,
    /// What came in this session: nothing may come twice.
    came: HashSet<u64>,
    /// Receipts without a result yet.
    under_way: VecDeque<Receipt>,
}

impl Subscriber {
    /// A subscriber of an office's first desk.
    pub(crate) fn new(stage: &Stage, office: &str, seed: u64, book: &Arc<Book>, gate: &Arc<Gate>) -> Self {
        let identity = format!("urn:resguardo:office:{office}:desk-1");
        Self {
            office: office.to_owned(),
            papers: stage.authority.client(&identity),
            identity,
            address: stage.address(),
            chance: Chance::seeded(seed),
            book: book.clone(),
            gate: gate.clone(),
        }
    }

    /// Receives and acknowledges, over all runs of the hub.
    pub(crate) async fn run(&mut self) {
        let mut run = 0;
        loop {
            run = self.gate.pass(run).await;
            let Ok(channel) = knock_at(&self.address, &self.papers).await else { continue };
            let desk = Desk { identity: self.identity.clone(), channel };
            let Err(status) = self.session(&desk, run).await else { continue };
            let gone =
                matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
            assert!(gone, "{}: {status:?}", self.identity);
        }
    }

    async fn session(&mut self, desk: &Desk, run: u64) -> Result<(), Status> {
        let start = Start { credit: CREDIT, ..Start::default() };
        let first = SubscribeRequest { frame: Some(Up::Start(start)) };
        let (up, mut down) = Subscription::open_raw(desk, first).await?;
        let mut session = Session { run, up, came: HashSet::new(), under_way: VecDeque::new() };
        // No deadline: an open subscription may have nothing to say for as long as nothing is published.
        while let Some(SubscribeResponse { frame }) = down.message().await? {
            match frame {
                Some(Down::Started(started)) => assert_eq!(started.credit, CREDIT),
                Some(Down::Deliveries(frame)) => self.take(&mut session, frame.deliveries).await?,
                Some(Down::ReceiptResults(frame)) => self.note(&mut session, frame.results),
                None => panic!("{}: a frame that says nothing", self.identity),
            }
        }
        Ok(())
    }

    async fn take(&mut self, session: &mut Session, deliveries: Vec<Delivery>) -> Result<(), Status> {
        let credit = Credit { deliveries: u32::try_from(deliveries.len()).expect("a frame is short") };
        let mut messages = Vec::new();
        for delivery in deliveries {
            assert!(
                session.came.insert(delivery.index),
                "{}: {} twice in a session",
                self.identity,
                delivery.index
            );
            let came = message(&delivery);
            let envelope = envelope_of(&came.envelope);
            assert_eq!(envelope.payload_digest, sha256(&came.payload), "{}: half a payload", self.identity);
            self.book.deliver(&self.office, session.run, &envelope.message_id, &came.envelope);
            messages.push(statement::named(&delivery));
        }
        let receipts = self.state(messages);
        let frame =
            Receipts { receipts: receipts.iter().map(statement::bytes).map(statement::handed).collect() };
        session.under_way.extend(receipts);
        for frame in [Up::Receipts(frame), Up::Credit(credit)] {
            let sent = session.up.send(SubscribeRequest { frame: Some(frame) });
            within("a frame goes up", sent)
                .await
                .map_err(|_| Status::unavailable("the subscription ended"))?;
        }
        Ok(())
    }

    /// Receipts for messages: `received` for all of them, some at a time, and now and then a person's stage.
    fn state(&mut self, mut messages: Vec<CoveredMessage>) -> Vec<Receipt> {
        messages.sort_by_key(|message| message.index);
        let mut receipts = Vec::new();
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let (some, others) = rest.split_at((1 + self.chance.place(RECEIPT_MESSAGES)).min(rest.len()));
            receipts.push(received_of(&self.identity, some.to_vec()));
            rest = others;
        }
        let one = messages[self.chance.place(messages.len())].clone();
        match self.chance.below(6) {
            0 => receipts.push(read(&self.identity, one)),
            1 => receipts.push(acted(&self.identity, one, Action::AskedState)),
            _ => {}
        }
        receipts
    }

    fn note(&self, session: &mut Session, results: Vec<ReceiptResult>) {
        for result in results {
            let receipt = session.under_way.pop_front().expect("a result is of a receipt under way");
            let recorded = statement::recorded(&result);
            let stated = Stated {
                office: self.office.clone(),
                bytes: statement::bytes(&receipt),
                receipt: receipt.clone(),
                recorded,
            };
            self.book.record(session.run, stated, &receipt.messages);
        }
    }
}
