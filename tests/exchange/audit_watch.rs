//! The live audit: rows as they happen, each once, also across cuts; for each caller what it may see and no more.

use prost::Message as _;
use resguardo::wire::proto::{
    Action, DeliveryRow, ListDeliveriesRequest, ListDeliveriesResponse, ListEntriesRequest,
    ListEntriesResponse, ListOutstandingRequest, ListOutstandingResponse, ListReceiptsRequest,
    ListReceiptsResponse, Selection, Stage as ReceiptStage, StageRow,
};
use tonic::{Code, Streaming};

use crate::stage::Stage;
use crate::stage::audit::{all, of};
use crate::stage::client::Auditor;
use crate::stage::statement::{acted, named, read};
use crate::stage::wait::within;
use crate::{HONDURAS, IACHR, MEXICO};

/// From the journal's end on.
fn from_now() -> Selection {
    from(u64::MAX)
}

fn from(from_index: u64) -> Selection {
    Selection { from_index, watch: true, ..Selection::default() }
}

/// A watch: its frames, the place to go on, the rows that came and were not taken yet.
struct Watch<F, R> {
    frames: Streaming<F>,
    split: fn(F) -> (Vec<R>, u64),
    rows: Vec<R>,
    next: u64,
}

impl<F, R> Watch<F, R> {
    async fn begun(frames: Streaming<F>, split: fn(F) -> (Vec<R>, u64)) -> Self {
        let mut watch = Self { frames, split, rows: Vec::new(), next: 0 };
        assert_eq!(watch.frame().await, 0, "the first frame says where it begins");
        watch
    }

    /// Takes a frame; gives how many rows it had.
    async fn frame(&mut self) -> usize {
        let frame =
            within("a frame comes", self.frames.message()).await.expect("no cut").expect("it goes on");
        let (rows, next) = (self.split)(frame);
        let count = rows.len();
        self.rows.extend(rows);
        self.next = next;
        count
    }

    /// Takes rows until there are so many.
    async fn rows(&mut self, count: usize) -> Vec<R> {
        while self.rows.len() < count {
            self.frame().await;
        }
        assert_eq!(self.rows.len(), count, "no more than these");
        std::mem::take(&mut self.rows)
    }
}

async fn deliveries(auditor: &Auditor, selection: Selection) -> Watch<ListDeliveriesResponse, DeliveryRow> {
    let request = ListDeliveriesRequest { selection: Some(selection) };
    let frames = auditor.audit().list_deliveries(request).await.expect("it begins").into_inner();
    Watch::begun(frames, |frame| (frame.deliveries, frame.next_index)).await
}

async fn outstanding(
    auditor: &Auditor,
    selection: Selection,
    stage: ReceiptStage,
) -> Watch<ListOutstandingResponse, DeliveryRow> {
    let request = ListOutstandingRequest { selection: Some(selection), stage: stage.into() };
    let frames = auditor.audit().list_outstanding(request).await.expect("it begins").into_inner();
    Watch::begun(frames, |frame| (frame.deliveries, frame.next_index)).await
}

/// What rows say: whose delivery, and how far.
fn said(rows: &[DeliveryRow]) -> Vec<(u64, String, Vec<ReceiptStage>)> {
    let said = |row: &DeliveryRow| {
        let index = row.message.as_ref().expect("a delivery is of a message").index;
        (index, row.office.clone(), row.stages.iter().map(StageRow::stage).collect())
    };
    rows.iter().map(said).collect()
}

#[tokio::test]
async fn a_delivery_is_told_when_it_is_owed_and_at_each_stage_and_the_same_rows_come_again_from_an_index() {
    let stage = Stage::open().await;
    let auditor = stage.auditor("iachr").await;
    let sender = stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[MEXICO])).await;
    let mut watch = deliveries(&auditor, from_now()).await;
    let begun = watch.next;
    let mut unread = outstanding(&auditor, from_now(), ReceiptStage::Read).await;
    let index = sender.send(&sender.draft(&[IACHR, MEXICO])).await.index;
    let mut live = watch.rows(2).await;
    let (iachr, mexico) = (IACHR.to_owned(), MEXICO.to_owned());
    assert_eq!(said(&live), [(index, iachr.clone(), vec![]), (index, mexico.clone(), vec![])]);
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    subscription.acknowledge(&came).await;
    live.extend(watch.rows(1).await);
    let message = named(&came[0]);
    let was_read = read(&desk.identity, message.clone());
    let was_acted = acted(&desk.identity, message, Action::Relocation);
    for statement in [&was_read, &was_acted] {
        subscription.record(statement).await;
        live.extend(watch.rows(1).await);
        // Said again, it is no news.
        subscription.record(statement).await;
    }
    let stages = [ReceiptStage::Received, ReceiptStage::Read, ReceiptStage::Acted];
    for (at, row) in said(&live[2..]).into_iter().enumerate() {
        assert_eq!(row, (index, iachr.clone(), stages[..=at].to_vec()));
    }
    // What had not been read comes up to its reading.
    let unread = said(&unread.rows(4).await);
    assert_eq!(unread[..2], said(&live[..2]));
    assert_eq!(unread[2..], said(&live[2..4]));
    // As they stood then, not as they stand now.
    let mut again = deliveries(&auditor, from(begun)).await;
    assert_eq!(again.rows(live.len()).await, live);
}

#[tokio::test]
async fn a_watch_goes_on_after_a_cut_without_a_gap_and_without_a_repetition() {
    let mut stage = Stage::open().await;
    let entries = async |auditor: &Auditor, selection| {
        let request = ListEntriesRequest { selection: Some(selection) };
        let frames = auditor.audit().list_entries(request).await.unwrap().into_inner();
        Watch::begun(frames, |frame: ListEntriesResponse| (frame.entries, frame.next_index)).await
    };
    let auditor = stage.auditor("iachr").await;
    let mut watch = entries(&auditor, from_now()).await;
    let first = usize::try_from(watch.next).unwrap();
    let sender = stage.desk(HONDURAS).await;
    for _ in 0..300 {
        sender.send(&sender.draft(&[IACHR])).await;
    }
    let mut live = watch.rows(300).await;
    stage.kill().await;
    assert!(within("the watch ends", watch.frames.message()).await.is_err());
    stage.start().await;
    let (auditor, sender) = (stage.auditor("iachr").await, stage.desk(HONDURAS).await);
    sender.send(&sender.draft(&[IACHR])).await;
    let mut watch = entries(&auditor, from(watch.next)).await;
    sender.send(&sender.draft(&[IACHR])).await;
    live.extend(watch.rows(2).await);
    let listed = auditor.entries(all()).await.unwrap();
    assert_eq!(live, listed[first..]);
    // A limit ends it.
    let limited = Selection { limit: 3, ..from(0) };
    let mut watch = entries(&auditor, limited).await;
    assert_eq!(watch.rows(3).await, listed[..3]);
    assert!(within("it ends", watch.frames.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_shows_what_its_caller_may_see_and_selects() {
    let stage = Stage::open().await;
    let (sender, mexico) = (stage.desk(HONDURAS).await, stage.desk(MEXICO).await);
    let mut of_mexico = deliveries(&mexico.auditor(), from_now()).await;
    let mut about_iachr = deliveries(
        &stage.auditor("iachr").await,
        Selection { watch: true, from_index: u64::MAX, ..of(IACHR) },
    )
    .await;
    let theirs = sender.send(&sender.draft(&[IACHR])).await.index;
    let both = sender.send(&sender.draft(&[IACHR, MEXICO])).await.index;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let came = subscription.next(2).await;
    subscription.acknowledge(&came).await;
    let last = sender.send(&sender.draft(&[MEXICO])).await.index;
    let rows = said(&of_mexico.rows(2).await);
    assert_eq!(rows, [(both, MEXICO.to_owned(), vec![]), (last, MEXICO.to_owned(), vec![])]);
    let rows = said(&about_iachr.rows(4).await);
    let received = vec![ReceiptStage::Received];
    let expected = [(theirs, vec![]), (both, vec![]), (theirs, received.clone()), (both, received)];
    assert_eq!(rows, expected.map(|(index, stages)| (index, IACHR.to_owned(), stages)));
}

#[tokio::test]
async fn receipts_about_one_message_are_watched_and_nobody_elses_message_is() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let about = sender.send(&sender.draft(&[IACHR])).await.index;
    let other = sender.send(&sender.draft(&[IACHR])).await.index;
    let request = |index| ListReceiptsRequest { selection: Some(from(0)), message_index: index };
    let frames = sender.auditor().audit().list_receipts(request(about)).await.unwrap().into_inner();
    let split = |frame: ListReceiptsResponse| (frame.receipts, frame.next_index);
    let mut watch = Watch::begun(frames, split).await;
    let desk = stage.desk(IACHR).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(2).await;
    subscription.record(&read(&desk.identity, named(&came[1]))).await;
    subscription.acknowledge(&came).await;
    subscription.record(&read(&desk.identity, named(&came[0]))).await;
    assert_eq!((came[0].index, came[1].index), (about, other));
    let rows = watch.rows(2).await;
    let stages: Vec<_> = rows.iter().map(|row| row.stage.as_ref().unwrap().stage()).collect();
    assert_eq!(stages, [ReceiptStage::Received, ReceiptStage::Read]);
    assert!(
        rows.iter().all(|row| row.messages.len() == 1 && row.messages[0].index == about && row.news == 1)
    );
    let mexico = stage.desk(MEXICO).await.auditor();
    let refused = mexico.audit().list_receipts(request(about)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
}

#[tokio::test]
async fn listings_begin_at_a_time_of_the_hubs() {
    let stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    for _ in 0..5 {
        sender.send(&sender.draft(&[IACHR])).await;
    }
    let auditor = stage.auditor("ohchr").await;
    let every = auditor.entries(all()).await.unwrap();
    let times: Vec<_> = every.iter().map(|entry| entry.recorded_unix_us).collect();
    for time in [0, times[0], times[times.len() - 3], times[times.len() - 1], u64::MAX] {
        let since = Selection { from_unix_us: Some(time), ..Selection::default() };
        let expected: Vec<_> = every.iter().filter(|entry| entry.recorded_unix_us >= time).cloned().collect();
        let found = auditor.entries(since.clone()).await.unwrap();
        assert_eq!(found.len(), expected.len(), "from {time}");
        assert!(found.iter().zip(&expected).all(|(found, it)| found.encode_to_vec() == it.encode_to_vec()));
        let rows = auditor.deliveries(since).await.unwrap();
        assert!(rows.iter().all(|row| row.message.as_ref().unwrap().accepted_unix_us >= time));
    }
}
