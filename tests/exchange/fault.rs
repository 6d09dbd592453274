//! A disk that takes no more: the hub confirms nothing that it has not written, says why, ends, and comes back whole.

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::authority::now_us;
use crate::stage::told::Told;
use crate::{HONDURAS, IACHR};

/// Blocks of 512 bytes that a file may have: three quarters of a segment.
const BLOCKS: u32 = 1_536;

#[tokio::test]
async fn write_that_fails_is_not_confirmed_and_ends_the_hub_with_a_reason() {
    let mut stage = Stage::open().await;
    assert!(stage.stop().await.success());
    stage.start_cramped(BLOCKS).await;
    let sender = stage.desk(HONDURAS).await;
    let mut confirmed = Vec::new();
    let begun = now_us();
    let (lost, status) = loop {
        let draft = sender.draft(&[IACHR]).payload(vec![4; 20_000]);
        match sender.publish(&draft).await {
            Ok(accepted) => confirmed.push((draft, accepted)),
            Err(status) => break (draft, status),
        }
        assert!(confirmed.len() < 60, "more was confirmed than there was room for");
    };
    let told = Told::of(&status);
    assert!(["FAULT", "STOPPING"].contains(&told.reason.as_str()), "{told:?}");
    assert!(!told.message.contains("journal") && !told.message.contains("os error"), "{told:?}");
    let ended = stage.hub.take().expect("it was started").end().await;
    assert!(!ended.status.success(), "{ended}");
    assert!(ended.said("journal") && !ended.said("panicked"), "it says why: {ended}");
    stage.start().await;
    let rows = stage.auditor("iachr").await.deliveries(all()).await.unwrap();
    for (draft, accepted) in &confirmed {
        let found: Vec<_> = rows.iter().filter_map(|row| row.message.as_ref()).collect();
        let found: Vec<_> = found.into_iter().filter(|row| row.message_id == draft.id()).collect();
        assert_eq!(found.len(), 1, "{:02x?}", draft.id());
        assert_eq!((found[0].index, found[0].accepted_unix_us), (accepted.index, accepted.accepted_unix_us));
        assert!(accepted.accepted_unix_us >= begun);
    }
    let sender = stage.desk(HONDURAS).await;
    let again = sender.publish(&lost).await.unwrap();
    let there = rows.iter().any(|row| row.message.as_ref().is_some_and(|row| row.message_id == lost.id()));
    assert_eq!(again.duplicate, there);
    let owed = stage.desk(IACHR).await.subscribe().await.started.outstanding;
    assert_eq!(owed, confirmed.len() as u64 + 1);
}
