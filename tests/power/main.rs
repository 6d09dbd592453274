//! Power cuts: real processes are recorded, their disks made again as a cut at some moment may leave them, and real processes
//! started on those.
//!
//! `RESGUARDO_CUTS` says how many cuts there are in all (60), `RESGUARDO_CUT_SEED` chooses the same ones of a record. Two records
//! are never the same: threads and processes take their turns as they come.

#![cfg(all(test, target_os = "linux", target_env = "gnu"))]

#[path = "../stage/mod.rs"]
mod stage;

mod check;
mod disk;
mod disks;
mod homes;
mod hub;
mod life;
mod logs;
mod offices;
mod plan;
mod tape;
