//! What the benchmarks share: the hub in its own process, its callers and subscribers, and how times are told.

pub(crate) mod callers;
pub(crate) mod child;
pub(crate) mod document;
pub(crate) mod hub;
pub(crate) mod latency;
pub(crate) mod machine;
pub(crate) mod messages;
pub(crate) mod stopwatch;
pub(crate) mod subscriber;
