//! Two verifiers of evidence agree: `resguardo verify`, and `examples/python/verify_evidence.py`, which was written from
//! `docs/evidence.md`.
//!
//! Random histories, half of them with a forgery; of each, the verdict and what is said are compared. A seed that is told makes the
//! same history again. `RESGUARDO_HISTORIES` says how many, `RESGUARDO_SEED` from which seed on. Needs `examples/python/setup`.

#![cfg(test)]

mod agree;
mod colluding;
mod file;
mod forged;
mod happens;
mod in_file;
mod world;
