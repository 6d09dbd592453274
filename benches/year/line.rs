//! A line between a desk and its hub that counts what goes through it, on the loopback interface.
//!
//! Owns a port. Counts the bytes of TCP's content, which is TLS's records: headers of IP and TCP come on top on a real line.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes forwarded at once.
const PIECE_BYTES: usize = 16 * 1024;

/// The line. Dropped, it ends.
pub(crate) struct Line {
    address: SocketAddr,
    _carrying: JoinSet<()>,
    passed: Arc<[AtomicU64; 2]>,
}

/// Bytes that went through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// To the hub.
    pub(crate) up: u64,
    /// To the desk.
    pub(crate) down: u64,
}

impl Line {
    /// Leads to a hub.
    pub(crate) async fn to(hub: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, passed) = (listener.local_addr()?, Arc::default());
        let mut carrying = JoinSet::new();
        carrying.spawn(carry(listener, hub, Arc::clone(&passed)));
        Ok(Self { address, _carrying: carrying, passed })
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went through so far.
    pub(crate) fn passed(&self) -> Passed {
        let [up, down] = [0, 1].map(|way: usize| self.passed[way].load(Ordering::Relaxed));
        Passed { up, down }
    }
}

async fn carry(listener: TcpListener, hub: SocketAddr, passed: Arc<[AtomicU64; 2]>) {
    let mut ways = JoinSet::new();
    while let Ok((desk, _)) = listener.accept().await {
        // A hub that is not there is a line that ends at once.
        let Ok(hub) = TcpStream::connect(hub).await else { continue };
        let ((from_desk, to_desk), (from_hub, to_hub)) = (desk.into_split(), hub.into_split());
        ways.spawn(forward(from_desk, to_hub, Arc::clone(&passed), 0));
        ways.spawn(forward(from_hub, to_desk, Arc::clone(&passed), 1));
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passed: Arc<[AtomicU64; 2]>, way: usize) {
    let mut piece = [0; PIECE_BYTES];
    // Where one end has gone, the other hears of it by what is dropped here.
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        passed[way].fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}
