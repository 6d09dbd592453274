//! A connection of somebody whose certificate an authority of the hub's signed.
//!
//! Owns its bytes, how fast they are read, its place among the connections and its end: cancelling its token ends it at the next poll, without
//! waiting for the other side. Never decides who may do what: a caller that is refused is told so call by call.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::certs::Serial;
use super::fingerprint::Fingerprint;
use super::line::Line;
use super::pace::{Pace, Scales};
use crate::host::network::Socket;
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::refusal::Refusal;

/// A connection's number: 1 for the listener's first, never used again while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is calling: stands as `Arc<Caller>` among each request's extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is, or what every call of this connection is to be answered with.
    pub identity: Result<Identity, Refusal>,
    /// The fingerprint of the certificate.
    pub fingerprint: Fingerprint,
    /// The certificate's number with its authority.
    pub serial: Serial,
    /// The last second of the certificate's validity.
    pub not_after: UnixMicros,
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// The connection.
    pub connection: ConnectionId,
    /// Places for streams on this connection.
    pub streams: Arc<Semaphore>,
    /// Ends the connection when cancelled; cancelled by itself when the connection has ended.
    pub ended: CancellationToken,
}

/// A connection, ready for `tonic`'s `serve_with_incoming`.
pub struct Connection {
    tls: TlsStream<Line<Socket>>,
    caller: Arc<Caller>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Pin<Box<Sleep>>>,
    pace: Option<Arc<Pace>>,
    scales: Scales,
    /// Until when nothing more is read.
    waits: Option<Pin<Box<Sleep>>>,
    place: OwnedSemaphorePermit,
    /// The places of those that are only told why they are refused.
    told: Arc<Semaphore>,
}

impl Connection {
    /// Takes over a connection; it ends if its first bytes take longer than `first_bytes`.
    ///
    /// Keep-alive of HTTP/2 begins with those bytes, so without this a client that vanished before them would keep
    /// its place for ever.
    pub(super) fn new(
        tls: TlsStream<Line<Socket>>,
        caller: Caller,
        first_bytes: Duration,
        place: OwnedSemaphorePermit,
        told: Arc<Semaphore>,
    ) -> Self {
        let cancelled = Box::pin(caller.ended.clone().cancelled_owned());
        let deadline = Some(Box::pin(sleep(first_bytes)));
        let (caller, scales) = (Arc::new(caller), Scales::new());
        Self { tls, caller, cancelled, deadline, pace: None, scales, waits: None, place, told }
    }

    /// Who is calling.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Has what it sends weighed, and reads no faster than this allows.
    #[must_use]
    pub fn paced(mut self, pace: Arc<Pace>) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Leaves its place to others, for it is only told why it is refused: where too many are being told already, it ends
    /// without a word.
    #[must_use]
    pub fn without_place(mut self) -> Self {
        match Arc::clone(&self.told).try_acquire_owned() {
            Ok(place) => self.place = place,
            Err(_) => self.caller.ended.cancel(),
        }
        self
    }

    /// Has every call on this connection refused, and ends it after `told_within`: long enough to be told why.
    #[must_use]
    pub fn refuse(mut self, refusal: Refusal, told_within: Duration) -> Self {
        Arc::make_mut(&mut self.caller).identity = Err(refusal);
        self.deadline = Some(Box::pin(sleep(told_within)));
        self
    }

    /// Fails once the connection is to end.
    ///
    /// Reading and writing both ask: the side that waits for the other's window must wake up as well.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the hub ended the connection"));
        }
        let timed_out = self.deadline.as_mut().is_some_and(|at| at.as_mut().poll(context).is_ready());
        if timed_out {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection had its time"));
        }
        Ok(())
    }
}

impl Connection {
    /// Waits until nothing is owed any more. It is asked before each read: many connections may draw on one balance, and a read of each
    /// would overdraw it many times over.
    fn wait_for_pace(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waits) = &mut self.waits {
                ready!(waits.as_mut().poll(context));
                self.waits = None;
            }
            let wait = self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.take(0));
            if wait.is_zero() {
                return Poll::Ready(());
            }
            self.waits = Some(Box::pin(sleep(wait)));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.caller.ended.cancel();
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Caller>;

    fn connect_info(&self) -> Arc<Caller> {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        ready!(self.wait_for_pace(context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tls).poll_read(context, buffer))?;
        let units = self.scales.weigh(&buffer.filled()[before..]);
        if let Some(pace) = &self.pace {
            pace.take(units);
        }
        if buffer.filled().len() > before && self.caller.identity.is_ok() {
            self.deadline = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.tls).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.tls).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.tls).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}
