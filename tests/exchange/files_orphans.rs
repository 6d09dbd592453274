//! What was handed up and never published goes a day later by the hub's own clock, and nothing else does.
//!
//! The hub runs in this process, on a clock that the test moves.

use crate::stage::host::{InProcess, MINUTE_US};
use crate::stage::transfer::file_of;
use crate::stage::wait::until;
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, IACHR};

#[tokio::test]
async fn orphan_goes_a_day_later_by_the_hubs_clock_and_a_packets_file_stays() {
    InProcess::run(a_day_passes).await;
}

async fn a_day_passes(process: InProcess) {
    let stage = Stage::prepare(Setup::default()).await;
    let names = || {
        let names = std::fs::read_dir(stage.home().join("files").join(GUATEMALA)).expect("it is there");
        let mut names: Vec<_> =
            names.map(|name| name.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    };
    let name_of = |content: &[u8]| resguardo::wire::convert::file_ref("file", &file_of(content));
    let name_of = |content: &[u8]| name_of(content).expect("a file's name").digest.to_string();
    let hub = process.start(&stage).await;
    let desk = stage.desk(GUATEMALA).await;
    desk.hand_up(b"handed up first").await.expect("it is taken");
    process.clock.advance_us(2 * MINUTE_US);
    desk.hand_up(b"handed up later").await.expect("it is taken");
    let kept = desk.hand_up(b"published").await.expect("it is taken");
    let packet = desk.packet(&[IACHR], vec![kept.clone()]);
    let accepted = desk.send(&packet).await;
    drop(desk);
    hub.stop().await;
    // A day after the first and not yet after the others: that the first has gone shows that it was looked.
    process.clock.advance_us(24 * 60 * MINUTE_US - MINUTE_US);
    let hub = process.start(&stage).await;
    until("the first has gone", async || (names().len() == 4).then_some(())).await;
    let (later, published) = (name_of(b"handed up later"), name_of(b"published"));
    let mut all = [later.clone(), format!("{later}.since"), published.clone(), format!("{published}.since")];
    all.sort();
    assert_eq!(names(), all);
    hub.stop().await;
    process.clock.advance_us(MINUTE_US);
    let hub = process.start(&stage).await;
    until("the other has gone, and the mark of what was published", async || {
        (names() == [published.clone()]).then_some(())
    })
    .await;
    let reader = stage.desk(IACHR).await;
    assert_eq!(reader.download(&packet, &accepted, &kept, 0).await.expect("it comes"), b"published");
    drop(reader);
    hub.stop().await;
}
