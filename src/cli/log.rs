//! What a running hub tells its surroundings: a log on standard error, and to a service manager that it is ready.
//!
//! Owns the two forms of the log. Never decides what is said at which level.

use std::io;
use std::os::unix::net::UnixDatagram;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What a library says of each client that breaks the protocol, as often as that one likes: a full disk. The hub counts
/// such clients itself.
const OTHERS: &str = "h2=error";

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogForm {
    /// Lines for people.
    Text,
    /// One object a line, for programs.
    Json,
}

impl LogForm {
    /// Begins the log. `RUST_LOG` says what is told, e.g. `info,resguardo=debug` for a line at each step of a message.
    pub(super) fn begin(self) {
        let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let wanted = if wanted.is_empty() { "info" } else { &wanted };
        let filter = EnvFilter::try_new(format!("{OTHERS},{wanted}"));
        let filter = filter.unwrap_or_else(|_| EnvFilter::new(format!("{OTHERS},info")));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        // A second hub in one process, as tests have, keeps the first one's log.
        let _ = match self {
            Self::Text => {
                let colours = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
                log.with_ansi(colours).try_init()
            }
            Self::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
        };
    }
}

/// Tells the service manager that the hub is ready, where one waits for it (sd_notify(3)).
pub(super) fn ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound().and_then(|datagram| datagram.send_to(b"READY=1", socket));
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told that the hub is ready");
    }
}
