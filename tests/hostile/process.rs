//! What a hub's process holds, and what this one may hold.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::process::HubProcess;

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// Bytes of memory.
    pub(crate) memory_bytes: u64,
    /// Open sockets.
    pub(crate) sockets: usize,
    /// Threads.
    pub(crate) threads: usize,
}

impl Held {
    /// Asks the system.
    pub(crate) fn of(hub: &HubProcess) -> Self {
        let of = |what: &str| fs::read_dir(format!("/proc/{}/{what}", hub.id())).expect("it runs").flatten();
        let is_socket = |entry: &fs::DirEntry| {
            // One that has just been closed is none.
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        let sockets = of("fd").filter(is_socket).count();
        Self { memory_bytes: hub.memory_bytes(), sockets, threads: of("task").count() }
    }
}

/// The most that a hub holds at one time until something is over.
pub(crate) async fn most(hub: &HubProcess, over: &AtomicBool) -> Held {
    let mut most = Held::default();
    while !over.load(Ordering::Relaxed) {
        let now = Held::of(hub);
        most.memory_bytes = most.memory_bytes.max(now.memory_bytes);
        most.sockets = most.sockets.max(now.sockets);
        most.threads = most.threads.max(now.threads);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}

/// Lets this process have as many descriptors as it may: ten thousand sockets are more than it usually has.
pub(crate) fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum is allowed");
}
