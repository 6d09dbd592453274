//! A running hub, from its home to its orderly stop.
//!
//! Start: lock → configuration → TLS → journal and ledger → sequence → services → listen.
//! Stop: refuse new publishes → end streams → drain what had come in → sync and mark the journal closed → close the ledger.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Hub;
use super::audit::Audit;
use super::config::Config;
use super::door::Door;
use super::exchange::Exchange;
use super::home::{Home, HomeError};
use super::lane::Lane;
use super::live::Live;
use super::open::{self, OpenError, Opened, Progress};
use super::refusals::Refusals;
use super::sequence::{Sequence, SequenceError};
use super::submit::Submitter;
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::host::tasks::{TaskError, Tasks};
use crate::model::identity::Identity;
use crate::order::local;
use crate::wire::listener;
use crate::wire::tls;

/// What the machine gives.
#[derive(Clone)]
pub struct Host {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
}
