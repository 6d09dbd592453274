//! Whole exchanges at 9,600 bit/s with 2 s latency each way.

use std::time::Duration;

use super::alerts::alert;
use super::exchange::{RECEIVER, SENDER, holds};
use super::line::{Line, Way};
use super::stage::{Running, Stage, objects};

/// 9,600 bit/s.
pub(crate) const BYTES_PER_S: u64 = 1_200 * 8 / 10;
/// Each way.
pub(crate) const LATENCY: Duration = Duration::from_secs(2);

/// Of a packet's file.
const FILE_BYTES: usize = 4_096;

/// Leads a home to the hub over the slowest line.
pub(crate) fn modem(stage: &Stage, home: &str) -> Line {
    let line = Line::modem(stage.hub_address(), BYTES_PER_S, LATENCY);
    stage.lead(&[home], &line);
    line
}

/// An alert with a description of so many bytes.
fn described(identifier: &str, bytes: usize) -> String {
    let description = format!("</headline><description>{}</description>", "palabra ".repeat(bytes / 8));
    alert(identifier, "").replace("</headline>", &description)
}

/// What takes longer to go up than any silence that is borne goes up, comes down, and is acknowledged, once.
pub(crate) fn long_alert() {
    let bytes = std::env::var("RESGUARDO_LINE_BYTES").ok().and_then(|text| text.parse().ok());
    let stage = Stage::set();
    // The receiver fetches the directory over its line; the sender has it.
    stage.well(SENDER, &["office", "list"]);
    let (up, down) = (modem(&stage, SENDER), modem(&stage, RECEIVER));
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe", "--count", "1"]);
    let file = stage.file("long", &described("long", bytes.unwrap_or(24_000)));
    let ran = stage.run(SENDER, &["--json", "publish", "alert", &file, "--to", RECEIVER]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let published = objects(&ran.out);
    let seen = watch.objects_until(&["message", "acknowledged"]);
    assert!(seen.iter().all(|it| it["object"] != "lost"), "{seen:?}");
    assert!(watch.end().success());
    println!("a long alert: {} bytes up, {} down", up.passed_bytes(Way::Up), down.passed_bytes(Way::Down));
    assert_eq!(up.connections(), 1, "it was not given up");
    holds(&stage, &published, &[SENDER], &["received"]);
}

/// A stage whose offices know the directory, with such a line each, and a watch that runs over one of them.
fn set() -> (Stage, [Line; 2], Running) {
    let stage = Stage::set();
    for home in [SENDER, RECEIVER] {
        stage.well(home, &["office", "list"]);
    }
    let lines = [modem(&stage, SENDER), modem(&stage, RECEIVER)];
    let watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    (stage, lines, watch)
}

/// A packet's file goes up and down.
pub(crate) fn packet() {
    let (stage, _lines, mut watch) = set();
    let path = stage.path("file");
    std::fs::write(&path, "palabra ".repeat(FILE_BYTES / 8)).unwrap();
    let packet = ["publish", "packet", path.to_str().unwrap(), "--title", "Slow", "--to", RECEIVER];
    let mut confirmed = stage.objects(SENDER, &packet);
    confirmed.retain(|it| it["object"] == "published");
    let seen = watch.objects_until(&["files", "acknowledged"]);
    assert!(seen.iter().all(|it| it["object"] != "lost"), "{seen:?}");
    watch.signal("TERM");
    assert!(watch.end().success());
    holds(&stage, &confirmed, &[SENDER], &["received"]);
}

/// A sender waits until an alert is received, and a person states that it is read, while a watch runs on the same line.
pub(crate) fn stated() {
    let (stage, _lines, mut watch) = set();
    let alert = ["publish", "alert", &stage.alert("slow"), "--to", RECEIVER, "--wait", "received"];
    let mut confirmed = stage.objects(SENDER, &alert);
    confirmed.retain(|it| it["object"] == "published");
    let seen = watch.objects_until(&["message", "acknowledged"]);
    assert!(seen.iter().all(|it| it["object"] != "lost"), "{seen:?}");
    stage.well(RECEIVER, &["ack", confirmed[0]["message_id"].as_str().unwrap(), "--stage", "read"]);
    watch.signal("TERM");
    assert!(watch.end().success());
    holds(&stage, &confirmed, &[SENDER], &["read", "received"]);
}
