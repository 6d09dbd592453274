//! A process that is stopped for longer than any silence that is borne, and goes on.

use std::thread::sleep;
use std::time::Duration;

use super::dead::connected;
use super::exchange::{RECEIVER, SENDER, all_received, holds, pending, publish, receive};
use super::stage::Stage;

/// Longer than a silence that is borne on any line.
const STOPPED: Duration = Duration::from_secs(130);
/// Within this a publish is under way.
const UNDER_WAY: Duration = Duration::from_millis(150);

/// A hub that is stopped: an office that waits finds it gone, one that publishes keeps its message. Both go on with it.
pub(crate) fn hub() {
    let stage = Stage::set();
    stage.well(SENDER, &["office", "list"]);
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    watch.object("started");
    stage.signal_hub("STOP");
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| {
            sleep(STOPPED);
            stage.signal_hub("CONT");
        });
        assert!(publish(&stage, SENDER, &stage.alert("meanwhile")).is_none(), "it waits in the outbox");
        let lost = watch.object("lost")["message"].to_string();
        assert!(lost.contains("nothing came from the other side for"), "{lost}");
        stopped.join().unwrap();
    });
    let confirmed = pending(&stage, SENDER);
    receive(&mut watch);
    watch.signal("TERM");
    assert!(watch.end().success());
    holds(&stage, &confirmed, &[SENDER], &["received"]);
}

/// Programs of offices that are stopped: the hub finds them gone; when they go on, so does what they did.
pub(crate) fn offices() {
    let stage = Stage::set();
    stage.well("ohchr-mexico", &["office", "list"]);
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    watch.object("started");
    watch.signal("STOP");
    let mut confirmed = vec![publish(&stage, SENDER, &stage.alert("meanwhile")).unwrap()];
    let file = stage.alert("stopped");
    let command = ["--json", "publish", "alert", &file, "--to", RECEIVER, "--unconfirmed-ok"];
    let mut publishing = stage.start("ohchr-mexico", &command);
    sleep(UNDER_WAY);
    publishing.signal("STOP");
    sleep(STOPPED);
    assert_eq!(connected(&stage, RECEIVER) + connected(&stage, "ohchr-mexico"), 0, "the hub found them gone");
    watch.signal("CONT");
    publishing.signal("CONT");
    let published = publishing.object("published");
    let code = publishing.end().code();
    if published["outcome"] == "accepted" {
        confirmed.push(published);
    } else {
        assert_eq!(code, Some(4), "{published}");
        confirmed.extend(pending(&stage, "ohchr-mexico"));
    }
    all_received(&stage);
    watch.signal("TERM");
    assert!(watch.end().success());
    holds(&stage, &confirmed, &[SENDER, "ohchr-mexico"], &["received"]);
}
