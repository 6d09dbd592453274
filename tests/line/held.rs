//! Connections whose bytes come late: after those of the ones that took their place, and in another order.

use std::thread::sleep;
use std::time::Duration;

use super::dead::connected;
use super::exchange::{RECEIVER, SENDER, holds, pending, publish, receive};
use super::line::{Line, Way};
use super::stage::{Stage, until};

/// What was to be sent has been by then.
const QUIET: Duration = Duration::from_secs(1);
/// Of what goes up in a publish, these bytes at the end are held: no call is whole without them.
const HELD: u64 = 1_500;

/// Waits until nothing more goes up.
fn quiet(line: &Line) {
    let mut before = 0;
    until("nothing more goes up", || {
        let passed = line.passed_bytes(Way::Up);
        sleep(QUIET);
        std::mem::replace(&mut before, passed) == passed && line.passed_bytes(Way::Up) == passed
    });
}

/// What a connection that was given up still brings counts once, whichever of them brings it first.
pub(crate) fn late() {
    let stage = Stage::set();
    let (up, down) = (stage.by_line(&[SENDER]), stage.by_line(&[RECEIVER]));
    stage.well(SENDER, &["office", "list"]);
    let before = up.passed_bytes(Way::Up);
    let mut confirmed = vec![publish(&stage, SENDER, &stage.alert("first")).unwrap()];
    let length = up.passed_bytes(Way::Up) - before;
    // The same message goes up on three connections, of which two are held in its midst. Who sent on them is gone.
    let file = stage.alert("late");
    let from = up.connections();
    for command in
        [&["publish", "alert", &file, "--to", RECEIVER, "--unconfirmed-ok"][..], &["publish", "pending"]]
    {
        up.hold_after(Way::Up, usize::try_from(length - HELD).unwrap());
        let publish = stage.start(SENDER, command);
        until("it is held", || up.cuts_left(Way::Up) == 0);
        quiet(&up);
        publish.kill();
    }
    let to = up.connections();
    confirmed.extend(pending(&stage, SENDER));
    assert_eq!((to - from, confirmed.len()), (2, 2));
    assert_eq!(connected(&stage, SENDER), 2, "the hub does not know that they are gone");
    (from..to).rev().for_each(|connection| up.let_go(connection));
    until("they have brought what they had", || connected(&stage, SENDER) == 0);

    // A receipt is held while another connection gets the message, too.
    let from = down.connections();
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    watch.objects_until(&["message", "acknowledged"]);
    quiet(&down);
    let to = down.connections();
    down.hold(Way::Up);
    confirmed.push(publish(&stage, SENDER, &stage.alert("received-late")).unwrap());
    watch.object("message");
    sleep(QUIET);
    watch.kill();
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    receive(&mut watch);
    let both = connected(&stage, RECEIVER);
    (from..to).for_each(|connection| down.let_go(connection));
    until("it has brought what it had", || connected(&stage, RECEIVER) < both);
    watch.signal("TERM");
    assert!(watch.end().success());
    holds(&stage, &confirmed, &[SENDER], &["received"]);
}
