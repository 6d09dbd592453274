//! One file on its way, up or down, until it is whole: resumed as often as the line is cut.
//!
//! Owns what is tried again and after which pause. Never has more of a file in memory than what the line has on its way
//! and a piece. At a crash: see [`crate::files`]; the next run goes on from what is there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::desk::dial::Dial;
use crate::desk::hand_in::passes_after_ms;
use crate::desk::session::pause_ms;
use crate::files::DiskError;
use crate::files::partial::{Digested, Partial, PartialError};
use crate::files::shelf::{Growing, Shelf};
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::host::random::Random;
use crate::model::envelope::{FileDigest, FileRef};
use crate::model::receipt::MessageRef;
use crate::model::refusal::Reason;
use crate::wire::connect_error::{ConnectError, Outcome};
use crate::wire::proto::file_service_client::FileServiceClient;
use crate::wire::proto::upload_request::Frame;
use crate::wire::status::CallError;
use crate::wire::{convert, proto};

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the line.
const PIECES_WAITING_MAX: usize = 2;
/// How long another process that fetches the same file is waited for before it is looked again.
const OTHER_PAUSE: Duration = Duration::from_millis(200);

/// Why a file is not whole at the other side.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The hub did not go on.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The file to be sent cannot be read.
    #[error("{}: {source}: put it back there, then `resguardo publish pending`", path.display())]
    Unreadable {
        /// Where it was.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file to be sent is another one by now.
    #[error("{} has changed since the packet was written: publish it again as it is now", path.display())]
    Changed {
        /// Where it is.
        path: PathBuf,
    },
    /// This desk's disk did not do what was asked.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The hub sent other bytes, twice.
    #[error("the hub sent other bytes than those of file {0}: tell its operator")]
    Other(FileDigest),
}

impl TransferError {
    /// Tells whether it may take long and is of this file alone: others need not wait for it.
    fn is_of_this_file(&self) -> bool {
        let alone = |reason| matches!(reason, Reason::FileMissing | Reason::QuotaExceeded);
        matches!(self, Self::Call(CallError::Refused(refused)) if refused.known_reason().is_some_and(alone))
    }

    /// Tells whether another try may help, and after how many milliseconds at the earliest.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Call(CallError::Refused(refused)) => passes_after_ms(refused),
            Self::Call(CallError::Fault { retry_after_ms, .. }) => Some(retry_after_ms.unwrap_or(0)),
            Self::Call(CallError::Unreachable { .. }) => Some(0),
            Self::Call(CallError::Connect(error)) => (error.outcome() == Outcome::Unreachable).then_some(0),
            _ => None,
        }
    }
}

impl From<ConnectError> for TransferError {
    fn from(error: ConnectError) -> Self {
        Self::Call(error.into())
    }
}

impl From<tonic::Status> for TransferError {
    fn from(status: tonic::Status) -> Self {
        Self::Call(status.into())
    }
}

/// How often it is tried again when nothing has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes, unless others' files could go on meanwhile: then it is left for later.
    ForEver,
    /// So many times without a byte, then it is left.
    Tries(u32),
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file.
    pub file: FileRef,
    /// Bytes that are at the other side, or on the line.
    pub done_bytes: u64,
}

/// What moves files.
pub struct Mover<'a> {
    /// The way to the hub, for files alone.
    pub dial: &'a dyn Dial,
    /// Randomness, for pauses.
    pub random: &'a dyn Random,
    /// How often it is tried again.
    pub patience: Patience,
    /// Hears how far it is, for each piece.
    pub tell: &'a (dyn Fn(Progress) + Sync),
    /// Hears why nothing goes on for now, and when the next try is, in milliseconds.
    pub lost: &'a (dyn Fn(&TransferError, u64) + Sync),
}

/// One file's way, as far as one connection brings it.
trait Journey {
    /// Goes on.
    async fn go_on(
        &mut self,
        channel: Channel,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), TransferError>;
    /// Bytes that have moved so far.
    fn moved(&self) -> u64;
}

impl Mover<'_> {
    /// Hands a file up until the hub has it whole.
    ///
    /// # Errors
    /// [`TransferError`]; what is at the hub stays there for a day.
    pub async fn up(&self, disk: &Arc<dyn Disk>, path: &Path, file: FileRef) -> Result<(), TransferError> {
        self.travel(&mut Up { disk, path, file, moved: 0 }).await
    }

    /// Fetches a file of a message until it is whole on the store.
    ///
    /// # Errors
    /// [`TransferError`]; what is here stays.
    pub async fn down(
        &self,
        store: &Shelf,
        message: &MessageRef,
        file: FileRef,
    ) -> Result<(), TransferError> {
        loop {
            if store.has(&file)? {
                (self.tell)(Progress { file, done_bytes: file.bytes });
                return Ok(());
            }
            if let Some(held) = store.grow(&file)? {
                return self
                    .travel(&mut Down { store, message, file, held, partial: None, moved: 0, other: false })
                    .await;
            }
            // Another process of this home fetches it.
            tokio::time::sleep(OTHER_PAUSE).await;
        }
    }

    async fn travel(&self, journey: &mut impl Journey) -> Result<(), TransferError> {
        let (mut tries, mut channel) = (0, None);
        loop {
            let moved = journey.moved();
            let gone = async {
                let open = match channel.take() {
                    Some(open) => open,
                    None => self.dial.dial().await?,
                };
                channel = Some(open.clone());
                journey.go_on(open, self.tell).await
            };
            let Err(error) = gone.await else { return Ok(()) };
            tries = if journey.moved() > moved { 0 } else { tries + 1 };
            let Some(at_least) = error.retry_after_ms() else { return Err(error) };
            let left = match self.patience {
                Patience::ForEver => error.is_of_this_file(),
                Patience::Tries(most) => tries >= most,
            };
            if left {
                return Err(error);
            }
            // A new connection, for one that is half dead answers nothing.
            channel = None;
            let pause = pause_ms(self.random, tries).max(at_least);
            (self.lost)(&error, pause);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

struct Up<'a> {
    disk: &'a Arc<dyn Disk>,
    path: &'a Path,
    file: FileRef,
    moved: u64,
}

impl Journey for Up<'_> {
    fn moved(&self) -> u64 {
        self.moved
    }

    async fn go_on(
        &mut self,
        channel: Channel,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), TransferError> {
        let mut client = FileServiceClient::new(channel);
        let file = Some(convert::wire_file_ref(&self.file));
        let begun = client.begin_upload(proto::BeginUploadRequest { file: file.clone() }).await?.into_inner();
        if begun.whole {
            tell(Progress { file: self.file, done_bytes: self.file.bytes });
            return Ok(());
        }
        let source = self.open()?;
        self.moved = self.moved.max(begun.have_bytes);
        let (up, frames) = mpsc::channel(PIECES_WAITING_MAX);
        let start = Frame::Start(proto::UploadStart { file, from_bytes: begun.have_bytes });
        up.try_send(proto::UploadRequest { frame: Some(start) }).expect("its other end is in this function");
        let mut down = client.upload(ReceiverStream::new(frames)).await?.into_inner();
        let (mut sent, mut open) = (begun.have_bytes, true);
        loop {
            tokio::select! {
                permit = up.reserve(), if open && sent < self.file.bytes => {
                    let Ok(permit) = permit else {
                        // The line has gone: the answer says why.
                        open = false;
                        continue;
                    };
                    let chunk = self.piece(source.as_ref(), sent)?;
                    sent += chunk.len() as u64;
                    permit.send(proto::UploadRequest { frame: Some(Frame::Chunk(chunk)) });
                    tell(Progress { file: self.file, done_bytes: sent });
                }
                frame = down.message() => match frame {
                    Ok(Some(frame)) if frame.whole => return Ok(()),
                    Ok(Some(frame)) => self.moved = self.moved.max(frame.synced_bytes),
                    Ok(None) => return Err(ended()),
                    Err(status) => return Err(self.told(status.into(), source.as_ref(), begun.have_bytes)),
                },
            }
        }
    }
}

impl Up<'_> {
    fn open(&self) -> Result<Arc<dyn DiskFile>, TransferError> {
        let unreadable = |source| TransferError::Unreadable { path: self.path.to_owned(), source };
        let open = self.disk.open(self.path, OpenMode::Read).map_err(unreadable)?;
        if open.len().map_err(unreadable)? == self.file.bytes { Ok(open) } else { Err(self.changed()) }
    }

    fn changed(&self) -> TransferError {
        TransferError::Changed { path: self.path.to_owned() }
    }

    fn piece(&self, source: &dyn DiskFile, from: u64) -> Result<Bytes, TransferError> {
        let left = usize::try_from(self.file.bytes - from).unwrap_or(PIECE_BYTES);
        let mut piece = vec![0; PIECE_BYTES.min(left)];
        source.read_exact_at(&mut piece, from).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => TransferError::Unreadable { path: self.path.to_owned(), source: error },
        })?;
        Ok(piece.into())
    }

    /// What the hub's answer means: other bytes than announced are either a file that has changed here, or what a crash of
    /// the hub's machine left there, which it has dropped.
    fn told(&self, error: CallError, source: &dyn DiskFile, began_at: u64) -> TransferError {
        let mismatch = Some(Reason::FileMismatch);
        if !matches!(&error, CallError::Refused(refused) if refused.known_reason() == mismatch) {
            return error.into();
        }
        let mut digested = Digested::nothing();
        while digested.bytes() < self.file.bytes {
            match self.piece(source, digested.bytes()) {
                Ok(piece) => digested.take(&piece),
                Err(error) => return error,
            }
        }
        if digested.finish() != self.file.digest {
            return self.changed();
        }
        if began_at > 0 { ended() } else { error.into() }
    }
}

struct Down<'a> {
    store: &'a Shelf,
    message: &'a MessageRef,
    file: FileRef,
    held: Growing,
    partial: Option<Partial>,
    moved: u64,
    /// Other bytes came once: what was here may have been spoilt by a crash.
    other: bool,
}

impl Journey for Down<'_> {
    fn moved(&self) -> u64 {
        self.moved
    }

    async fn go_on(
        &mut self,
        channel: Channel,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), TransferError> {
        if self.partial.is_none() {
            let mut partial = self.store.partial(&self.held, self.file)?;
            while !partial.catch_up()? {
                tokio::task::yield_now().await;
            }
            self.partial = Some(partial);
        }
        let Some(partial) = &mut self.partial else { return Err(ended()) };
        let request = proto::DownloadRequest {
            message: Some(convert::message_ref(self.message)),
            sha256: Bytes::copy_from_slice(&self.file.digest.0),
            from_bytes: partial.have(),
        };
        let mut down = FileServiceClient::new(channel).download(request).await?.into_inner();
        while let Some(frame) = down.message().await? {
            match partial.append(&frame.chunk) {
                Ok(()) => {}
                Err(PartialError::Disk(error)) => return Err(error.into()),
                Err(_) => return Err(TransferError::Other(self.file.digest)),
            }
            self.moved = partial.have();
            tell(Progress { file: self.file, done_bytes: partial.have() });
        }
        if partial.have() < self.file.bytes {
            return Err(ended());
        }
        let Some(partial) = self.partial.take() else { return Err(ended()) };
        match partial.finish() {
            Ok(()) => Ok(()),
            Err(PartialError::Disk(error)) => Err(error.into()),
            Err(_) if self.other => Err(TransferError::Other(self.file.digest)),
            Err(_) => {
                self.other = true;
                Err(ended())
            }
        }
    }
}

fn ended() -> TransferError {
    CallError::Unreachable { message: "the transfer ended before the file was whole".into() }.into()
}
