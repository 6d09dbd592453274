//! What a file costs in memory, at the hub and at both desks, however large it is.

use std::fs;
use std::time::Duration;

use super::stage::{Running, Stage};

/// Bytes of the large file: far beyond what may be in memory of it.
const LARGE: u64 = 256 << 20;
/// What a transfer may cost at each end.
const MOST: u64 = 8 << 20;

/// The most memory that hub, sender and receiver had.
#[derive(Debug)]
struct Peaks {
    hub: u64,
    sender: u64,
    receiver: u64,
}

/// Moves a file of so many bytes from a desk to another.
fn moved(stage: &Stage, title: &str, bytes: u64) -> Peaks {
    let path = stage.path(title);
    fs::File::create(&path).unwrap().set_len(bytes).unwrap();
    let path = path.to_str().unwrap();
    let command = ["--json", "publish", "packet", path, "--title", title, "--to", "iachr"];
    let sender = peak_until_the_end(stage.start("ohchr-guatemala", &command));
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.objects_until(&["files", "acknowledged"]);
    Peaks {
        hub: peak(stage.hub_id()).expect("it runs"),
        sender,
        receiver: peak(watch.id()).expect("it runs"),
    }
}

/// The most memory that a process has had so far, in bytes; `None`: it has ended.
fn peak(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024)
}

/// Looks every few milliseconds: once a process has ended, the system tells nothing of it.
fn peak_until_the_end(running: Running) -> u64 {
    let mut most = 0;
    while let Some(bytes) = peak(running.id()) {
        most = bytes;
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(running.end().success());
    most
}

#[test]
fn large_file_takes_less_than_8_mib_of_memory_at_hub_sender_and_receiver() {
    let stage = Stage::set();
    let (small, large) = (moved(&stage, "small", 1_000), moved(&stage, "large", LARGE));
    println!("{small:?} {large:?}");
    for (who, small, large) in [
        ("hub", small.hub, large.hub),
        ("sender", small.sender, large.sender),
        ("receiver", small.receiver, large.receiver),
    ] {
        let more = large.saturating_sub(small);
        assert!(more < MOST, "the {who} took {more} bytes more: {large} for {LARGE}, {small} for 1,000");
    }
}
