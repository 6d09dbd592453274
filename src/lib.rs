//! Resguardo: an exchange of urgent alerts, in which every acknowledgement can be audited.
//!
//! Everything that happens is an entry in one journal; all else is derived from it. `ARCHITECTURE.md` is the map.

pub mod ca;
pub mod cap;
pub mod cli;
pub mod desk;
pub mod evidence;
pub mod files;
pub mod host;
pub mod hub;
pub mod journal;
pub mod ledger;
pub mod model;
pub mod order;
pub mod proof;
pub mod registrar;
pub mod seal;
pub mod wire;
