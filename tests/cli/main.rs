//! The command line with real processes: a hub, offices, an auditor, on this machine.

#![cfg(test)]

mod alerts;
mod attacks;
mod audit_watch;
mod clear_text;
mod clock;
mod deadlines;
mod demo;
mod directory;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod disk;
mod enrol;
mod erase;
mod evidence;
mod examples;
mod exchange;
mod exits;
mod export;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "../stage/failing_disk.rs"]
mod failing_disk;
mod keys;
mod kills;
#[path = "../stage/line.rs"]
#[expect(dead_code, reason = "shared with the tests of bad lines, which use all of it")]
mod line;
mod logs;
mod metrics;
mod months;
mod objects;
mod obligations;
mod operator;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "../stage/other_clock.rs"]
mod other_clock;
mod packet_cuts;
mod packet_memory;
mod packets;
mod persons;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "../stage/preload.rs"]
mod preload;
mod python;
mod python_receipts;
mod real;
mod renew;
mod reseal;
mod restore;
mod stage;
mod unread;
mod watch;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod wrong_clocks;
