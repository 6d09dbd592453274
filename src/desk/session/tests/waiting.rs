//! What waits at a desk: its outbox, and its commands.

use std::io::ErrorKind;

use bytes::Bytes;

use super::*;
use crate::desk::outbox::{Outgoing, Stand, StatementEntry};
use crate::host::disk::{Fault, FaultPoint};
use crate::model::epoch::EpochId;

fn outgoing(seed: u64) -> Outgoing {
    let payload = Bytes::from(format!("payload {seed}"));
    let envelope = envelope(seed, "ohchr-honduras", "iachr", &payload);
    waits(envelope, payload)
}

fn accepted(index: u64) -> proto::Accepted {
    proto::Accepted { index, accepted_unix_us: NOW.0, duplicate: false, epoch: 0, promise: None }
}

#[tokio::test]
async fn a_message_that_waited_is_handed_in_as_the_same_bytes_until_it_is_confirmed() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let outbox = Outbox::open(&desk.home).unwrap();
    let held = desk.home.lock().await.unwrap();
    for seed in [1, 2, 3] {
        outbox.add_message(&held, &outgoing(seed), NOW).unwrap();
    }
    drop(held);
    // The first try is cut; the second message is refused for good, which holds up nobody.
    let refused = status::refused(&Refusal::new(Reason::StreamNotAllowed, "no"));
    hub.answer_publish([Err(Status::unavailable("cut"))]);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (call, _) = hub.subscribed().await;
            desk.told.wait_for("StillPending", 1).await;
            hub.answer_publish([Ok(accepted(30)), Err(refused), Ok(accepted(31))]);
            drop(call);
            let (call, _) = hub.subscribed().await;
            desk.told.wait_for("message handed in", 3).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    let published: Vec<_> = hub.published().into_iter().map(|request| request.envelope).collect();
    let expected = [1, 1, 2, 3].map(|seed| outbox.read_message(id(seed)).unwrap().envelope_bytes);
    assert_eq!(published, expected);
    let stands: Vec<_> = outbox.messages().unwrap().iter().map(|entry| entry.stand).collect();
    assert_eq!(stands, [Stand::Accepted, Stand::Refused, Stand::Accepted]);
    assert_eq!(
        outbox.read_message(id(3)).unwrap().outcome,
        Some(Outcome::Accepted {
            index: Index(31),
            at: NOW,
            epoch: EpochId(0),
            repeated: false,
            unsigned: false
        })
    );
}

#[tokio::test]
async fn a_persons_receipt_that_waited_is_handed_up_as_the_same_bytes() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let outbox = Outbox::open(&desk.home).unwrap();
    let entry = StatementEntry {
        id: id(50),
        message_id: id(5),
        sender: "iachr".parse().unwrap(),
        stage: Stage::Read,
        stand: Stand::Pending,
    };
    let held = desk.home.lock().await.unwrap();
    let bytes = Bytes::from_static(b"exactly this, whatever it is");
    outbox.add_statement(&held, &entry, (bytes.clone(), Bytes::new()), NOW).unwrap();
    drop(held);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            assert_eq!(call.receipts().await, [bytes]);
            call.record([40]).await;
            desk.told.wait_for("receipt handed in: accepted", 1).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(outbox.statements().unwrap()[0].stand, Stand::Accepted);
}

#[tokio::test]
async fn a_command_runs_once_it_is_acknowledged_and_not_again_after_it_succeeded() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    // The second message's command fails the first time.
    let command = format!(
        "payload=$(cat); echo \"$RESGUARDO_INDEX $RESGUARDO_SENDER $RESGUARDO_STREAM $RESGUARDO_PRIORITY \
         $RESGUARDO_STATUS $RESGUARDO_MESSAGE_ID $RESGUARDO_SEALED$payload\" >> {0}; test -e {0}.mended || test $RESGUARDO_INDEX != 6",
        ran.display()
    );
    let exec = ExecPlan { command, output_to_stderr: false };
    let plan = Plan { count: Some(2), exec: Some(exec), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan.clone(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            call.receipts().await;
            call.deliver(vec![delivery(6)]).await;
            call.receipts().await;
            call.record([20, 21]).await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Counted);
    assert_eq!((desk.told.count("command 5: well"), desk.told.count("command 6: Badly")), (1, 1));
    let line = |index: u64| {
        let from = "urn:resguardo:office:iachr:desk-1 monitoring-protection urgent Exercise";
        // Nobody has unlocked the keys: the command is run, and given nothing.
        format!("{index} {from} {} yes", id(index))
    };
    let lines = || {
        let text = std::fs::read_to_string(&ran).unwrap();
        let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(), [line(5), line(6)]);
    // The next run does what is left, and no more.
    std::fs::write(dir.path().join("ran.mended"), "").unwrap();
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (call, _) = hub.subscribed().await;
            desk.told.wait_for("command 6: well", 1).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!(lines(), [line(5), line(6), line(6)]);
    assert!(Inbox::open(&desk.home).unwrap().due().unwrap().is_empty());
}

#[tokio::test]
async fn commands_that_hang_do_not_hold_up_receiving_or_a_stop() {
    let (desk, mut hub) = (Desk::new(), FakeHub::start().await);
    let dir = tempfile::tempdir().unwrap();
    // It goes on until the test is over, whatever happens to it.
    let command = format!("while test -e {}; do sleep 0.05; done; false", dir.path().display());
    let plan = Plan { exec: Some(ExecPlan { command, output_to_stderr: true }), ..Plan::default() };
    let (end, ()) = desk
        .run(hub.way(), plan, async {
            let (mut call, _) = hub.subscribed().await;
            for index in 5..15 {
                call.deliver(vec![delivery(index)]).await;
                call.receipts().await;
                call.record([100 + index]).await;
            }
            desk.told.wait_for("acknowledged", 10).await;
            desk.stop.cancel();
            drop(dir);
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    // Those that ran were waited for; those that had not begun wait in the inbox.
    assert_eq!(desk.told.count("command"), 4);
    assert_eq!(Inbox::open(&desk.home).unwrap().due().unwrap().len(), 10);
}

/// A desk that has not heard of the directory yet.
fn newcomer() -> Desk {
    let desk = Desk::new();
    desk.disk.remove(&desk.home.dir().join("directory")).unwrap();
    desk
}

fn broken() -> Status {
    Status::unavailable("the line broke")
}

#[tokio::test]
async fn a_message_waits_for_a_directory_that_is_not_told_at_that_moment() {
    let (desk, mut hub) = (newcomer(), FakeHub::start().await);
    hub.tell_directory(policy().as_ref().clone());
    hub.keep_directory([broken(), broken()]);
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            for _ in 0..2 {
                let (call, _) = hub.subscribed().await;
                call.deliver(vec![delivery(5)]).await;
                call.ended().await;
            }
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts[0].stage, indexes(&receipts[0])), (Stage::Received, vec![5]));
            call.record([20]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    let told = |words| desk.told.count(words);
    assert_eq!((told("message 5"), told("Unreadable"), told("Directory"), told("lost")), (1, 0, 0, 2));
}

#[tokio::test]
async fn a_message_does_not_wait_for_ever_for_a_directory_that_is_never_told() {
    let (desk, mut hub) = (newcomer(), FakeHub::start().await);
    hub.keep_directory(std::iter::repeat_with(broken).take(50));
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            for _ in 0..3 {
                let (call, _) = hub.subscribed().await;
                call.deliver(vec![delivery(5)]).await;
                call.ended().await;
            }
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts[0].stage, indexes(&receipts[0])), (Stage::Unreadable, vec![5]));
            call.record([20]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!((desk.told.count("Unreadable"), desk.told.count("Directory")), (1, 1));
}

#[tokio::test]
async fn a_directory_that_is_refused_for_good_ends_no_subscription() {
    let (desk, mut hub) = (newcomer(), FakeHub::start().await);
    let refused = || status::refused(&Refusal::new(Reason::RoleNotAllowed, "not for you"));
    hub.keep_directory(std::iter::repeat_with(refused).take(50));
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts[0].stage, indexes(&receipts[0])), (Stage::Unreadable, vec![5]));
            call.record([20]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!((end.unwrap(), desk.told.count("Directory")), (End::Stopped, 1));
}

#[tokio::test]
async fn a_disk_that_fails_while_the_directory_is_asked_for_makes_no_message_unreadable() {
    let (desk, mut hub) = (newcomer(), FakeHub::start().await);
    hub.tell_directory(policy().as_ref().clone());
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (call, _) = hub.subscribed().await;
            desk.disk.inject(Fault {
                point: FaultPoint::Read,
                after: 0,
                error: ErrorKind::Other,
                carried_out: false,
            });
            call.deliver(vec![delivery(5)]).await;
            call.ended().await;
        })
        .await;
    assert!(matches!(end, Err(SessionError::Home(HomeError::Disk { .. }))), "{end:?}");
    assert_eq!((desk.told.count("Unreadable"), desk.told.count("Directory")), (0, 0));
}

#[tokio::test]
async fn a_home_that_another_process_holds_makes_no_message_unreadable() {
    let (desk, mut hub) = (newcomer(), FakeHub::start().await);
    hub.tell_directory(policy().as_ref().clone());
    let (end, ()) = desk
        .run(hub.way(), Plan::default(), async {
            let (call, _) = hub.subscribed().await;
            let held = desk.home.lock().await.unwrap();
            call.deliver(vec![delivery(5)]).await;
            call.ended().await;
            drop(held);
            let (mut call, _) = hub.subscribed().await;
            call.deliver(vec![delivery(5)]).await;
            let receipts = read(&call.receipts().await);
            assert_eq!((receipts[0].stage, indexes(&receipts[0])), (Stage::Received, vec![5]));
            call.record([20]).await;
            desk.stop.cancel();
            call.ended().await;
        })
        .await;
    assert_eq!(end.unwrap(), End::Stopped);
    assert_eq!((desk.told.count("message 5"), desk.told.count("Unreadable")), (1, 0));
}
