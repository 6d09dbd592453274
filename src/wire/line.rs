//! The bytes of a connection below TLS, and how long the other side may be silent.
//!
//! Owns when the other side counts as gone: nothing of it could be read for [`Silence::ms`], on a slow line for
//! [`Silence::slow_ms`]. Never asks: pings of HTTP/2 see to it that a side that is there says something.
//!
//! An unanswered ping is no sign by itself: it waits behind what was to go up before it, and on a line of 9,600 bit/s 64 KiB
//! take a minute. A line is slow whose handshake took long: that also tells of others that share it. And one is
//! on which a write that was held up has gone on since something was last read: that tells of a line that was fast before. On a dead line
//! no write that is held up goes on.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ConnectionCommon;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Of a handshake: its 8 KiB and its round trips take 11 to 15 s at 9,600 bit/s with 2 s latency, 2 s by a satellite.
const SLOW_HANDSHAKE: Duration = Duration::from_secs(5);
/// Of a write: a line on which the 17 KiB that are held up at once take longer may need longer for a ping than a good one.
const HELD_UP: Duration = Duration::from_secs(1);
/// Bytes that TLS keeps for the socket: a frame of HTTP/2. They go before a ping, as does what the system keeps.
const UNSENT_BYTES_MAX: usize = 17 * 1024;
/// And on a slow line: four seconds of it.
const SLOW_UNSENT_BYTES_MAX: usize = 4 * 1024;

/// How long the other side may be silent, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// On a line that is not slow.
    pub ms: u64,
    /// On one that is: what may go before a ping and its answer takes 70 s of it at 9,600 bit/s.
    pub slow_ms: u64,
}

impl Default for Silence {
    /// A dead peer is found in less than 30 s, at 9,600 bit/s in less than 120.
    fn default() -> Self {
        Self { ms: 28_000, slow_ms: 110_000 }
    }
}

/// A connection that fails once the other side has been silent for too long.
#[derive(Debug)]
pub struct Line<S> {
    socket: S,
    silence: Silence,
    began: Instant,
    is_slow: bool,
    last_read: Instant,
    /// Since when a write is held up.
    held_up: Option<Instant>,
    /// Whether a write that was held up for long has gone on since something was last read.
    went_on: bool,
    look: Pin<Box<Sleep>>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a silence is measured in the time by which timers go; nothing is decided from it"
)]
fn now() -> Instant {
    Instant::now()
}

impl<S> Line<S> {
    /// Takes over a connection that was just made.
    pub fn over(socket: S, silence: Silence) -> Self {
        let (began, look) = (now(), Box::pin(sleep(Duration::from_millis(silence.ms))));
        let (is_slow, held_up, went_on) = (false, None, false);
        Self { socket, silence, began, is_slow, last_read: began, held_up, went_on, look }
    }

    /// Takes notice that hands are shaken, and has TLS keep no more than the line takes soon.
    pub fn shaken<D>(&mut self, tls: &mut ConnectionCommon<D>) {
        tls.set_buffer_limit(Some(self.judge()));
    }

    /// Judges the line by the time that it took until now; gives how many bytes TLS is to keep for it.
    fn judge(&mut self) -> usize {
        self.is_slow = now() - self.began > SLOW_HANDSHAKE;
        if self.is_slow { SLOW_UNSENT_BYTES_MAX } else { UNSENT_BYTES_MAX }
    }

    /// Fails if the other side has been silent for too long; else has the task woken in time to look again.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let short = Duration::from_millis(self.silence.ms);
        while self.look.as_mut().poll(context).is_ready() {
            let slow = self.is_slow || self.went_on;
            let most = if slow { Duration::from_millis(self.silence.slow_ms) } else { short };
            let (now, until) = (now(), self.last_read + most);
            if now >= until {
                let silent_s = (now - self.last_read).as_secs();
                let words = format!("nothing came from the other side for {silent_s} s");
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            // It may be slow no more by then.
            self.look.as_mut().reset(until.min(now + short));
        }
        Ok(())
    }

    /// Takes notice of how a write went.
    fn wrote<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.held_up.get_or_insert_with(now);
            self.check(context)?;
        } else if let Some(since) = self.held_up.take() {
            self.went_on |= now() - since >= HELD_UP;
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        // What has come counts, however late it is looked at: this side may have been asleep.
        if read.is_pending() {
            self.check(context)?;
        }
        ready!(read)?;
        (self.last_read, self.went_on) = (now(), false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_secs(28);
    const LONG: Duration = Duration::from_secs(110);

    /// A line, and its other end, between which so many bytes fit.
    fn line(bytes: usize) -> (Line<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(bytes);
        (Line::over(here, Silence::default()), there)
    }

    /// Reads until the other side counts as gone; gives after how many seconds.
    async fn gone(line: &mut Line<DuplexStream>) -> u64 {
        let began = now();
        let error = line.read_u8().await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("nothing came from the other side for"), "{error}");
        (now() - began).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn side_that_says_nothing_is_gone_after_28_s_and_each_byte_counts() {
        let (mut line, mut there) = line(64);
        sleep(Duration::from_secs(20)).await;
        there.write_u8(1).await.unwrap();
        line.read_u8().await.unwrap();
        assert_eq!(gone(&mut line).await, 28);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_while_this_side_was_asleep_counts() {
        let (mut line, mut there) = line(64);
        there.write_u8(1).await.unwrap();
        sleep(LONG * 2).await;
        line.read_u8().await.unwrap();
        assert_eq!(gone(&mut line).await, 28);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_handshake_makes_a_line_slow() {
        let (mut line, _there) = line(64);
        sleep(SLOW_HANDSHAKE * 2).await;
        assert_eq!(line.judge(), SLOW_UNSENT_BYTES_MAX);
        assert_eq!(gone(&mut line).await + 10, 110);
    }

    #[tokio::test(start_paused = true)]
    async fn held_up_write_that_goes_on_has_a_silence_borne_for_longer_until_something_comes() {
        let (mut line, mut there) = line(64);
        let fill = async {
            for _ in 0..3 {
                line.write_all(&[0; 64]).await.unwrap();
            }
        };
        let drain = async {
            for _ in 0..2 {
                sleep(HELD_UP * 2).await;
                there.read_exact(&mut [0; 64]).await.unwrap();
            }
        };
        tokio::join!(fill, drain);
        // Four seconds of it are over.
        assert_eq!(gone(&mut line).await, 106);
        there.write_u8(1).await.unwrap();
        line.read_u8().await.unwrap();
        assert_eq!(gone(&mut line).await, 28);
    }

    #[tokio::test(start_paused = true)]
    async fn write_that_is_held_up_for_good_and_many_that_go_on_at_once_are_no_sign_of_life() {
        let (mut stuck, _there) = line(64);
        stuck.write_all(&[0; 64]).await.unwrap();
        let began = now();
        let error = stuck.write_all(&[0; 64]).await.expect_err("nobody takes it");
        assert_eq!((error.kind(), (now() - began).as_secs()), (io::ErrorKind::TimedOut, 28));

        let (mut line, mut there) = line(64);
        let fill = async {
            for _ in 0..100 {
                line.write_all(&[0; 64]).await.unwrap();
            }
        };
        let drain = async {
            for _ in 0..99 {
                sleep(HELD_UP / 20).await;
                there.read_exact(&mut [0; 64]).await.unwrap();
            }
        };
        tokio::join!(fill, drain);
        let silent_s = gone(&mut line).await;
        assert!((22..=24).contains(&silent_s), "{silent_s}");
    }

    #[tokio::test(start_paused = true)]
    async fn reader_is_woken_though_nothing_happens() {
        let (mut line, _there) = line(64);
        let mut bytes = [0];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| Pin::new(&mut line).poll_read(context, &mut buffer));
        assert!(timeout(SHORT + Duration::from_secs(1), read).await.expect("it is woken").is_err());
    }
}
