//! How long payloads are kept, by the hub's own clock.
//!
//! The hub runs in this process, on a clock that the test moves.

use prost::Message as _;
use resguardo::wire::proto::erasure::Erasure as What;
use resguardo::wire::proto::{EntryKind, Erasure};

use crate::erase::{erase, order};
use crate::stage::host::{InProcess, MINUTE_US};
use crate::stage::wait::until;
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, HONDURAS, IACHR};

const DAY_US: u64 = 24 * 60 * MINUTE_US;

#[tokio::test]
async fn payloads_and_files_go_when_policys_time_is_over_and_entries_stay() {
    InProcess::run(async |process| {
        let mut stage = Stage::prepare(Setup::default()).await;
        // A day before the founding's is one that nobody may trust.
        process.clock.advance_us(DAY_US / 2);
        let hub = process.start(&stage).await;
        let (honduras, guatemala) = (stage.desk(HONDURAS).await, stage.desk(GUATEMALA).await);
        let send = async |payload: &'static str| {
            let draft = honduras.draft(&[IACHR]).payload(payload);
            honduras.send(&draft).await;
            draft
        };
        let old = send("kept for three years").await;
        let file = guatemala.hand_up(b"a file that is kept as long").await.expect("it is taken");
        let packet = guatemala.packet(&[IACHR], vec![file]);
        let last = guatemala.send(&packet).await;
        process.clock.advance_us(DAY_US);
        let new = send("a day younger than that").await;

        // An order has the hub look at once, and not only within the minute.
        let look = async |payload: &'static str| {
            let ordered = send(payload).await;
            erase(&honduras, &order(&honduras, &ordered)).await.expect("it is taken");
            until("an order is carried out", async || (!stage.holds(&ordered.payload)).then_some(())).await;
        };
        process.clock.advance_us(1_094 * DAY_US - MINUTE_US);
        look("ordered too early").await;
        // What is ordered next is carried out after this look has ended.
        look("ordered too early once more").await;
        assert!(stage.holds(&old.payload) && stage.holds(&new.payload));
        process.clock.advance_us(2 * MINUTE_US);
        look("ordered in time").await;
        until("the old ones are gone", async || {
            let files: [&[u8]; 3] = [&old.payload, &packet.payload, b"a file that is kept as long"];
            (!files.into_iter().any(|bytes| stage.holds(bytes))).then_some(())
        })
        .await;
        assert!(stage.holds(&new.payload));
        drop((honduras, guatemala));
        hub.stop().await;
        // By its own clock the real program runs three years earlier, which it says; nobody is kept from reading.
        stage.start().await;
        let auditor = stage.auditor("ohchr").await;
        let mut entries = auditor.entries_of(EntryKind::Erasure).await;
        entries.retain(|entry| entry.identity == "urn:resguardo:hub:stage");
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        let said = Erasure::decode(entry.statement.clone()).expect("an erasure").erasure;
        assert!(matches!(said, Some(What::Retention(end)) if end.until_index == last.index), "{said:?}");
        let history = auditor.describe(&old.id(), HONDURAS).await.expect("its entry stays");
        assert_eq!(history.envelope, old.envelope_bytes());
        assert_eq!(history.erasure.map(|row| row.index), Some(entry.index));
        let history = auditor.describe(&new.id(), HONDURAS).await.expect("it is there");
        assert_eq!(history.erasure, None);
    })
    .await;
}
