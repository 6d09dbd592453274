//! A call that is cut between two of its frames.

use super::*;
use crate::desk::hand_in::{self, HandInError};
use crate::model::epoch::Epochs;

#[tokio::test]
async fn call_that_ended_before_a_receipt_was_handed_up_on_it_is_unreachable() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let outbox = Outbox::open(&desk.home).unwrap();
    let channel = hub.way().dial().await.unwrap();
    let over = Notify::new();
    let receipts = async |_: &Epochs| {
        over.notified().await;
        Ok(vec![proto::HandedReceipt::default()])
    };
    let handing = hand_in::results(channel.clone(), &desk.home, &outbox, receipts);
    let ending = async {
        let (call, _) = hub.subscribed().await;
        drop(call);
        // What comes later on the same connection comes after that end.
        for _ in 0..8 {
            let request = proto::PublishRequest::default();
            assert!(hand_in::client(channel.clone()).publish(request).await.is_err());
        }
        over.notify_one();
    };
    let (handed, ()) = tokio::join!(handing, ending);
    assert!(matches!(handed, Err(HandInError::Call(CallError::Unreachable { .. }))), "{handed:?}");
}
