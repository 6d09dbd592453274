//! What the benchmarks share: the hub in its own process, its callers and subscribers, and how times are told.

#![expect(dead_code, reason = "each benchmark uses its own part of this")]

pub(crate) mod callers;
pub(crate) mod child;
pub(crate) mod document;
pub(crate) mod hub;
pub(crate) mod latency;
pub(crate) mod machine;
pub(crate) mod messages;
pub(crate) mod source;
pub(crate) mod stopwatch;
pub(crate) mod subscriber;
pub(crate) mod subscribers;
pub(crate) mod svg;
pub(crate) mod sync;
