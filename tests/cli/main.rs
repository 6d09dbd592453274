//! The command line with real processes: a hub, offices, an auditor, on this machine.

#![cfg(test)]

mod alerts;
mod audit_watch;
mod clock;
mod deadlines;
mod demo;
mod directory;
mod enrol;
mod erase;
mod examples;
mod exchange;
mod exits;
mod kills;
#[path = "../stage/line.rs"]
mod line;
mod metrics;
mod objects;
mod obligations;
mod operator;
mod packet_cuts;
mod packet_memory;
mod packets;
mod python;
mod real;
mod renew;
mod restore;
mod stage;
mod unread;
mod watch;
