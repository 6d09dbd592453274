//! What an envelope, an entry, a receipt and a right *are*: pure types and rules.
//!
//! Owns ids, times, entries, envelopes, receipts, epochs, policy and the limits of each.
//! Never knows protobuf, TLS, disks, tasks or the time of day: time is an argument.

pub mod amendment;
pub mod clock;
pub mod deadline;
pub mod entry;
pub mod envelope;
pub mod epoch;
pub mod erasure;
pub mod expiry;
pub mod fact;
pub mod id;
pub mod identity;
pub mod obligation;
pub mod overdue;
pub mod person;
pub mod policy;
pub mod receipt;
pub mod refusal;
pub mod renewal;
