//! Files on their way to and from the hub, frame by frame.

use bytes::Bytes;
use resguardo::wire::proto::file_service_client::FileServiceClient;
use resguardo::wire::proto::upload_request::Frame;
use resguardo::wire::proto::{
    Accepted, BeginUploadRequest, BeginUploadResponse, DownloadRequest, DownloadResponse, FileRef,
    MessageClass, MessageRef, UploadRequest, UploadResponse, UploadStart,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::chance::sha256;
use super::client::Desk;
use super::draft::Draft;
use super::wait::within;

/// Bytes in a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// The name of a file with this content.
pub(crate) fn file_of(content: &[u8]) -> FileRef {
    FileRef { sha256: sha256(content).into(), bytes: content.len() as u64 }
}

/// An upload under way.
pub(crate) struct Upload {
    /// Takes frames.
    pub(crate) up: mpsc::Sender<UploadRequest>,
    /// Gives how far the hub is.
    pub(crate) down: Streaming<UploadResponse>,
}

impl Upload {
    /// Sends a frame; nobody may be there any more.
    pub(crate) async fn send(&self, frame: Frame) {
        let _ = within("a frame is taken", self.up.send(UploadRequest { frame: Some(frame) })).await;
    }

    /// Sends content piece by piece.
    pub(crate) async fn send_all(&self, content: &[u8]) {
        for piece in content.chunks(PIECE_BYTES) {
            self.send(Frame::Chunk(Bytes::copy_from_slice(piece))).await;
        }
    }

    /// Waits until the file is whole.
    pub(crate) async fn whole(mut self) -> Result<(), Status> {
        loop {
            match within("the hub says how far it is", self.down.message()).await? {
                Some(frame) if frame.whole => return Ok(()),
                Some(_) => {}
                None => return Err(Status::cancelled("it ended before the file was whole")),
            }
        }
    }

    /// Waits until so many bytes are at the hub for good.
    pub(crate) async fn synced(&mut self, bytes: u64) {
        while let Some(frame) =
            within("the hub says how far it is", self.down.message()).await.expect("it goes on")
        {
            if frame.synced_bytes >= bytes {
                return;
            }
        }
        panic!("the upload ended before {bytes} bytes were there");
    }
}

impl Desk {
    /// The files.
    pub(crate) fn files(&self) -> FileServiceClient<Channel> {
        FileServiceClient::new(self.channel.clone())
    }

    /// Announces a file.
    pub(crate) async fn begin_upload(&self, file: FileRef) -> Result<BeginUploadResponse, Status> {
        let request = BeginUploadRequest { file: Some(file) };
        Ok(within("an announcement is answered", self.files().begin_upload(request)).await?.into_inner())
    }

    /// Opens an upload.
    pub(crate) async fn upload(&self, file: FileRef, from_bytes: u64) -> Result<Upload, Status> {
        let (up, frames) = mpsc::channel(4);
        let start = Frame::Start(UploadStart { file: Some(file), from_bytes });
        up.send(UploadRequest { frame: Some(start) }).await.expect("its other end is here");
        let mut files = self.files();
        let call = files.upload(ReceiverStream::new(frames));
        let down = within("an upload is opened", call).await?.into_inner();
        Ok(Upload { up, down })
    }

    /// Hands up a whole file.
    pub(crate) async fn hand_up(&self, content: &[u8]) -> Result<FileRef, Status> {
        let file = file_of(content);
        let have = self.begin_upload(file.clone()).await?;
        if !have.whole {
            let upload = self.upload(file.clone(), have.have_bytes).await?;
            upload.send_all(&content[usize::try_from(have.have_bytes).expect("a short file")..]).await;
            upload.whole().await?;
        }
        Ok(file)
    }

    /// Begins a packet of this desk with these files.
    pub(crate) fn packet(&self, recipients: &[&str], mut files: Vec<FileRef>) -> Draft {
        files.sort_by(|a, b| a.sha256.cmp(&b.sha256));
        self.draft(recipients).stream("studies").edit(|envelope| {
            envelope.message_class = MessageClass::Packet.into();
            envelope.files = files;
        })
    }

    /// Opens a download.
    pub(crate) async fn open_download(
        &self,
        packet: &Draft,
        accepted: &Accepted,
        file: &FileRef,
        from_bytes: u64,
    ) -> Result<Streaming<DownloadResponse>, Status> {
        let message = MessageRef { index: accepted.index, message_id: packet.id() };
        let request = DownloadRequest { message: Some(message), sha256: file.sha256.clone(), from_bytes };
        Ok(within("a download is opened", self.files().download(request)).await?.into_inner())
    }

    /// Fetches a file from a byte on.
    pub(crate) async fn download(
        &self,
        packet: &Draft,
        accepted: &Accepted,
        file: &FileRef,
        from_bytes: u64,
    ) -> Result<Vec<u8>, Status> {
        let mut down = self.open_download(packet, accepted, file, from_bytes).await?;
        let mut content = Vec::new();
        while let Some(frame) = within("the file goes on", down.message()).await? {
            content.extend_from_slice(&frame.chunk);
        }
        Ok(content)
    }
}
