//! Messages of which a part has come: how much of them the hub holds.
//!
//! Owns the places of one call's unfinished message, by the length that stands before it: a client may say any length, send all
//! but the last byte, and do that on as many calls as it may make. Where there is no room the call is refused, and what had come of
//! it is dropped. Never looks into a message. Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;

use super::submit;
use crate::wire::status;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// KiB that one message takes at most: more is never read.
const KIB_MAX: u32 = 4 * 1024;

/// A call's body with the places of what it has not finished.
pub(super) struct Parts {
    body: Body,
    /// Of the caller, and of everybody.
    rooms: [Arc<Semaphore>; 2],
    held: Vec<OwnedSemaphorePermit>,
    walk: Walk,
    refused: Box<dyn Fn() + Send + Sync>,
}

impl Parts {
    /// Takes over a body; `refused` hears when there was no room.
    pub(super) fn of(body: Body, rooms: [Arc<Semaphore>; 2], refused: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { body, rooms, held: Vec::new(), walk: Walk::default(), refused }
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        self.held.clear();
        if bytes == 0 {
            return Ok(());
        }
        // Longer than any room is longer than what is read: that is told by who reads it.
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX).min(KIB_MAX);
        for room in &self.rooms {
            let Ok(place) = Arc::clone(room).try_acquire_many_owned(kib) else {
                self.held.clear();
                (self.refused)();
                return Err(status::refused(&submit::busy()));
            };
            self.held.push(place);
        }
        Ok(())
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let before = self.walk.message;
            let left = self.walk.over(data);
            // The same message goes on: its places are held.
            if self.walk.message != before || left == 0 || self.held.is_empty() {
                self.hold(left)?;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where in a body of messages its reader is.
#[derive(Default)]
struct Walk {
    prefix: [u8; PREFIX_BYTES],
    have: usize,
    /// Bytes of the present message that are to come.
    left: usize,
    /// Its length.
    length: usize,
    /// How many began.
    message: u64,
}

impl Walk {
    /// Goes over bytes; gives the length of the message of which only a part has come, or 0.
    fn over(&mut self, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = &bytes[passed..];
            if self.left > 0 {
                break;
            }
            let taken = (PREFIX_BYTES - self.have).min(bytes.len());
            self.prefix[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == PREFIX_BYTES {
                self.have = 0;
                let [_, length @ ..] = self.prefix;
                self.length = u32::from_be_bytes(length) as usize;
                self.left = self.length;
                self.message += 1;
            }
        }
        if self.left > 0 { self.length } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(u32::try_from(bytes).unwrap().to_be_bytes());
        message.resize(PREFIX_BYTES + bytes, 0xff);
        message
    }

    #[test]
    fn walk_knows_the_unfinished_message_however_its_bytes_come() {
        let bytes = [message(10), message(0), message(3_000), message(1)].concat();
        for piece in [1, 4, 5, 6, 100, bytes.len()] {
            let mut walk = Walk::default();
            let mut seen = std::collections::BTreeSet::new();
            let mut last = 0;
            for piece in bytes.chunks(piece) {
                last = walk.over(piece);
                seen.insert(last);
            }
            assert_eq!((walk.message, last), (4, 0), "in pieces of {piece}");
            assert!(seen.is_subset(&[0, 1, 10, 3_000].into()), "{seen:?}");
            assert_eq!(seen.contains(&3_000), piece < bytes.len());
        }
    }
}
