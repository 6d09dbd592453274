//! What the audit answers: listings in full, and everything at once for comparing before and after.

use prost::Message;
use resguardo::wire::proto::{
    DeliveryRow, DescribeMessageRequest, DescribeMessageResponse, EntryKind, EntryRow, ListDeliveriesRequest,
    ListEntriesRequest, ListOutstandingRequest, ListReceiptsRequest, ReceiptRow, RefusalRecord,
    RefusalSummary, Selection, Stage as ReceiptStage,
};
use tonic::{Response, Status, Streaming};

use super::Stage;
use super::client::Auditor;
use super::founding::OFFICES;
use super::wait::within;

/// Selects everything.
pub(crate) fn all() -> Selection {
    Selection::default()
}

/// Selects one office's.
pub(crate) fn of(office: &str) -> Selection {
    Selection { office: office.to_owned(), ..Selection::default() }
}

impl Auditor {
    /// Lists deliveries.
    pub(crate) async fn deliveries(&self, selection: Selection) -> Result<Vec<DeliveryRow>, Status> {
        let request = ListDeliveriesRequest { selection: Some(selection) };
        rows(self.audit().list_deliveries(request).await, |frame| frame.deliveries).await
    }

    /// Lists receipts.
    pub(crate) async fn receipts(&self, selection: Selection) -> Result<Vec<ReceiptRow>, Status> {
        let request = ListReceiptsRequest { selection: Some(selection), message_index: 0 };
        rows(self.audit().list_receipts(request).await, |frame| frame.receipts).await
    }

    /// Lists what has not reached a stage.
    pub(crate) async fn outstanding(
        &self,
        selection: Selection,
        stage: ReceiptStage,
    ) -> Result<Vec<DeliveryRow>, Status> {
        let request = ListOutstandingRequest { selection: Some(selection), stage: stage.into() };
        rows(self.audit().list_outstanding(request).await, |frame| frame.deliveries).await
    }

    /// Lists entries.
    pub(crate) async fn entries(&self, selection: Selection) -> Result<Vec<EntryRow>, Status> {
        let request = ListEntriesRequest { selection: Some(selection) };
        rows(self.audit().list_entries(request).await, |frame| frame.entries).await
    }

    /// Lists entries of one kind.
    pub(crate) async fn entries_of(&self, kind: EntryKind) -> Vec<EntryRow> {
        let mut entries = self.entries(all()).await.expect("entries are listed");
        entries.retain(|entry| entry.kind() == kind);
        entries
    }

    /// Tells one message's history.
    pub(crate) async fn describe(&self, id: &[u8], sender: &str) -> Result<DescribeMessageResponse, Status> {
        let request =
            DescribeMessageRequest { message_id: id.to_vec().into(), sender_office: sender.to_owned() };
        let mut client = self.audit();
        Ok(within("a message is described", client.describe_message(request)).await?.into_inner())
    }

    /// Lists refusals that became entries: who, and what.
    pub(crate) async fn refusals(&self) -> Vec<(String, RefusalRecord)> {
        let entries = self.entries_of(EntryKind::Refusal).await;
        let decode = |entry: EntryRow| {
            (entry.identity, RefusalRecord::decode(entry.statement).expect("a refusal's statement"))
        };
        entries.into_iter().map(decode).collect()
    }

    /// Counts what summaries say of a reason, with or without a word before it on who was refused.
    pub(crate) async fn summed_up(&self, reason: &str) -> u64 {
        let behind = format!("_{reason}");
        let entries = self.entries_of(EntryKind::Summary).await;
        let summaries = entries
            .into_iter()
            .map(|entry| RefusalSummary::decode(entry.statement).expect("a summary's statement"));
        summaries
            .flat_map(|summary| summary.counts)
            .filter(|count| count.reason == reason || count.reason.ends_with(&behind))
            .map(|count| count.count)
            .sum()
    }

    /// Everything that this caller may see, row by row, as exact bytes with a name each.
    pub(crate) async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut add = |what: &str, rows: Vec<Vec<u8>>| {
            let named = rows.into_iter().enumerate().map(|(at, row)| (format!("{what} {at}"), row));
            found.extend(named);
        };
        let deliveries = self.deliveries(all()).await.expect("deliveries are listed");
        add("delivery", encoded(&deliveries));
        add("receipt", encoded(&self.receipts(all()).await.expect("receipts are listed")));
        add("entry", encoded(&self.entries(all()).await.expect("entries are listed")));
        for stage in [ReceiptStage::Received, ReceiptStage::Read, ReceiptStage::Acted] {
            let rows = self.outstanding(all(), stage).await.expect("outstanding deliveries are listed");
            add(&format!("outstanding for {stage:?}"), encoded(&rows));
        }
        let mut messages: Vec<_> = deliveries.iter().filter_map(|row| row.message.clone()).collect();
        messages.dedup_by_key(|message| message.index);
        for message in messages {
            let sender = message.sender.split(':').nth(3).unwrap_or_default();
            let history =
                self.describe(&message.message_id, sender).await.expect("a listed message is described");
            add(&format!("history of {}", message.index), vec![history.encode_to_vec()]);
        }
        found
    }
}

/// Everything that anybody may see: the auditors and each office.
pub(crate) async fn everything(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let desks = OFFICES.iter().map(|(office, _)| format!("urn:resguardo:office:{office}:desk-1"));
    let auditors = ["iachr", "ohchr"].iter().map(|name| format!("urn:resguardo:auditor:{name}"));
    for identity in auditors.chain(desks) {
        let seen = Auditor::connect(stage, &identity).await.everything().await;
        found.extend(seen.into_iter().map(|(what, row)| (format!("{identity}: {what}"), row)));
    }
    found
}

/// Checks that two pictures of everything are the same, and names the first row that is not.
#[track_caller]
pub(crate) fn assert_same(before: &[(String, Vec<u8>)], after: &[(String, Vec<u8>)], when: &str) {
    for (old, new) in before.iter().zip(after) {
        assert!(old == new, "{when}: {} was {:02x?}; now {} is {:02x?}", old.0, old.1, new.0, new.1);
    }
    assert_eq!(before.len(), after.len(), "{when}: the number of rows");
}

fn encoded<M: Message>(rows: &[M]) -> Vec<Vec<u8>> {
    rows.iter().map(Message::encode_to_vec).collect()
}

async fn rows<F, R>(
    answer: Result<Response<Streaming<F>>, Status>,
    take: impl Fn(F) -> Vec<R>,
) -> Result<Vec<R>, Status> {
    let mut frames = answer?.into_inner();
    within("a listing ends", async {
        let mut found = Vec::new();
        while let Some(frame) = frames.message().await? {
            found.extend(take(frame));
        }
        Ok(found)
    })
    .await
}
