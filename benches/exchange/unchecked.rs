//! The hub as the program runs it, but that it looks at no signature: in a process of its own, which is this program again.
//!
//! Source: [`run::run_without_checking_signatures`], which the program itself cannot reach.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use resguardo::host::clock::SystemClock;
use resguardo::host::disk::OsDisk;
use resguardo::host::network::TcpNetwork;
use resguardo::host::random::OsRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::hub::run::{self, Host};
use resguardo::ledger::store::sled::SledStores;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::common::child::READY;

/// How the line in its log begins that says what it is.
pub(crate) const SAID: &str = "SIGNATURES ARE NOT CHECKED";

/// Serves until the process is ended.
pub(crate) async fn serve(home: &Path) -> Result<()> {
    // As the program logs: what it costs belongs to the hub.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(io::stderr)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .init();
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(OsRandom),
        network: Arc::new(TcpNetwork),
        tasks: Arc::new(TokioTasks::on(Handle::current())),
        // Founded anew each time, and never opened again.
        stores: Arc::new(SledStores { boot_id: String::new() }),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    };
    let ready = |address| {
        // Whoever started it waits for this line; if it has gone, so does this process.
        let _ = writeln!(io::stdout().lock(), "{READY}{address}");
    };
    Ok(run::run_without_checking_signatures(&host, home, &mut |_| {}, ready).await?)
}
