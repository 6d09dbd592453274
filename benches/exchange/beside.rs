//! Alerts beside files: how long an urgent alert takes while packets' files move up to the hub, and down from it.
//!
//! Six subscribers acknowledge, one caller hands in some alerts a second; first alone, then while files move at a fixed
//! pace by the hub's own service, on connections of their own.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest;
use bytes::Bytes;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use resguardo::wire::proto::file_service_client::FileServiceClient;
use resguardo::wire::proto::upload_request::Frame;
use resguardo::wire::proto::{
    BeginUploadRequest, DescribeDirectoryRequest, DownloadRequest, FileRef, MessageRef, UploadRequest,
    UploadStart,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::common::hub::{DevSet, Hub, SENDER};
use crate::common::latency::{Latency, Quantiles};
use crate::common::messages::{self, Audience, Author, Flights};
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;
use crate::common::sync::{self, PIECE_BYTES};

/// Alerts a second: a pause after each, in which the line is idle.
const ALERTS_PER_S: f64 = 10.0;
/// Alerts of each phase before those that count.
const WARM_UP: u32 = 10;
/// Beside nothing, files up, files down.
const PHASES: usize = 3;
/// Bytes of files a second, of all transfers together: 40 MiB.
pub(crate) const FILES_PER_S: f64 = 40.0 * 1024.0 * 1024.0;
/// Transfers at once, each with a connection of its own.
const TRANSFERS: usize = 2;
/// Pieces of a file.
const PIECES: u64 = 512;
/// Bytes of a file: 32 MiB, so that beginnings and ends of files are among what is measured.
const FILE_BYTES: u64 = PIECES * PIECE_BYTES as u64;
/// Pieces that wait for the line.
const PIECES_WAITING_MAX: usize = 2;

/// What goes on beside the alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// Files on their way to the hub, from one office.
    FilesUp,
    /// Files on their way from the hub, to two offices.
    FilesDown,
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::FilesUp => "files up",
            Self::FilesDown => "files down",
        })
    }
}

/// What one phase gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) beside: Beside,
    /// From handing in to being confirmed.
    pub(crate) confirm: Quantiles,
    /// From handing in to a subscriber's having it; over all six.
    pub(crate) end_to_end: Quantiles,
    /// Bytes of files that moved, a second.
    pub(crate) files_per_s: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { beside, confirm, end_to_end, files_per_s } = self;
        write!(
            f,
            "alerts beside {beside}: confirm {:.3} / {:.3} ms  end to end {:.3} / {:.3} ms  files {:.1} MiB/s",
            confirm.p50_ms,
            confirm.p99_ms,
            end_to_end.p50_ms,
            end_to_end.p99_ms,
            files_per_s / 1024.0 / 1024.0
        )
    }
}

/// Files as fast as they go, and the disk alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlatOut {
    /// MiB a second up to the hub, each file whole and synced there; down from it; and of the same files written and synced one
    /// after the other by this process.
    pub(crate) up: f64,
    pub(crate) down: f64,
    pub(crate) disk: f64,
}

impl fmt::Display for FlatOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { up, down, disk } = self;
        write!(f, "files as fast as they go: {up:.0} MiB/s up, {down:.0} down; the disk alone {disk:.0}")
    }
}

/// Measures files as fast as they go, with no alert, and what the disk takes alone.
pub(crate) async fn flat_out(each: u64, dev: &DevSet, watch: Stopwatch) -> Result<FlatOut> {
    let hub = dev.start_hub()?;
    let mut exchange = Exchange::over(hub, dev, (1, 0), watch).await?;
    #[expect(clippy::cast_precision_loss, reason = "some GiB are exact in an f64")]
    let mib = (TRANSFERS as u64 * each * FILE_BYTES) as f64 / 1024.0 / 1024.0;
    let files = files(each);

    let disk_s = sync::write_files(&dev.hub_home().join("alone"), (TRANSFERS as u64 * each, PIECES), watch)?;
    let (moving, began_s) = (Moving::begin(f64::INFINITY, watch), watch.seconds());
    let mut up = JoinSet::new();
    for files in files {
        up.spawn(hand_up(exchange.file_client(SENDER).await?, files, Arc::clone(&moving)));
    }
    while let Some(ended) = up.join_next().await {
        ended??;
    }
    let up_s = watch.seconds() - began_s;
    let whole = moving.whole.lock().map(|whole| whole.clone()).unwrap_or_default();
    let packet = exchange.publish(&whole).await?;
    let (moving, began_s) = (Moving::begin(f64::INFINITY, watch), watch.seconds());
    let mut down = JoinSet::new();
    for (transfer, files) in whole.chunks(whole.len() / TRANSFERS).enumerate() {
        let client = exchange.file_client(&exchange.offices[transfer]).await?;
        down.spawn(fetch(client, packet.clone(), files.to_vec(), Arc::clone(&moving)));
    }
    while let Some(ended) = down.join_next().await {
        ended??;
    }
    let down_s = watch.seconds() - began_s;
    exchange.hub.stop()?;
    Ok(FlatOut { up: mib / up_s, down: mib / down_s, disk: mib / disk_s })
}

/// Files of each transfer, made before anything is measured: digests take their time.
fn files(each: u64) -> Vec<Vec<File>> {
    let of = |transfer| (0..each).map(|it| File::of(transfer * each + it)).collect();
    (0..TRANSFERS as u64).map(of).collect()
}

/// Measures alerts beside nothing, beside files on their way up, and beside these on their way down.
pub(crate) async fn measure(alerts: u32, dev: &DevSet, watch: Stopwatch) -> Result<Vec<Measured>> {
    let hub = dev.start_hub()?;
    let per_phase = usize::try_from(alerts + WARM_UP)?;
    let mut exchange = Exchange::over(hub, dev, (PHASES * per_phase + 1, alerts), watch).await?;

    let seconds = f64::from(alerts + WARM_UP) / ALERTS_PER_S;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some GiB")]
    let each = (seconds * FILES_PER_S) as u64 / FILE_BYTES / TRANSFERS as u64 + 2;
    let files = files(each);

    let idle = exchange.phase(Beside::Nothing, JoinSet::new(), &Moving::begin(FILES_PER_S, watch)).await?;
    let moving = Moving::begin(FILES_PER_S, watch);
    let mut up = JoinSet::new();
    for files in &files {
        up.spawn(hand_up(exchange.file_client(SENDER).await?, files.clone(), Arc::clone(&moving)));
    }
    let beside_up = exchange.phase(Beside::FilesUp, up, &moving).await?;
    let whole = moving.whole.lock().map(|whole| whole.clone()).unwrap_or_default();
    let packet = exchange.publish(&whole).await?;
    let moving = Moving::begin(FILES_PER_S, watch);
    let mut down = JoinSet::new();
    for transfer in 0..TRANSFERS {
        let client = exchange.file_client(&exchange.offices[transfer]).await?;
        down.spawn(fetch(client, packet.clone(), whole.clone(), Arc::clone(&moving)));
    }
    let beside_down = exchange.phase(Beside::FilesDown, down, &moving).await?;
    exchange.dev.check_nothing_outstanding(&exchange.hub).await?;
    Ok(vec![idle, beside_up, beside_down])
}

/// A hub, its subscribers to be, and the one caller.
struct Exchange<'a> {
    dev: &'a DevSet,
    hub: Hub,
    flights: Arc<Flights>,
    watch: Stopwatch,
    offices: Vec<String>,
    author: Author,
    client: ExchangeServiceClient<Channel>,
    alerts: u32,
    /// Messages whose receipts are on the hub's disk.
    acknowledged: u64,
}

impl<'a> Exchange<'a> {
    /// Begins at a hub, with room for so many messages.
    async fn over(hub: Hub, dev: &'a DevSet, (room, alerts): (usize, u32), watch: Stopwatch) -> Result<Self> {
        let flights = Arc::new(Flights::new(watch, room));
        let channel = hub.connect(&dev.office_home(SENDER)).await?;
        let directory = DirectoryServiceClient::new(channel.clone())
            .describe_directory(DescribeDirectoryRequest::default())
            .await?;
        let audience = Audience::of(&directory.into_inner(), dev)?;
        let author = Author::new(&audience, 1);
        let client = ExchangeServiceClient::new(channel);
        let offices = audience.offices;
        Ok(Self { dev, hub, flights, watch, offices, author, client, alerts, acknowledged: 0 })
    }

    async fn file_client(&self, office: &str) -> Result<FileServiceClient<Channel>> {
        Ok(FileServiceClient::new(self.hub.connect_for_files(&self.dev.office_home(office)).await?))
    }

    /// Hands in alerts at their pace while files move.
    async fn phase(
        &mut self,
        beside: Beside,
        mut transfers: JoinSet<Result<()>>,
        moving: &Moving,
    ) -> Result<Measured> {
        self.flights.discount_times();
        let mut subscribers = Subscribers::open(self.dev, &self.hub, &self.offices, &self.flights).await?;
        let mut confirm = Latency::new();
        let (mut moved_before, mut began_s) = (0, 0.0);
        for number in 0..WARM_UP + self.alerts {
            if number == WARM_UP {
                self.flights.count_times();
                (moved_before, began_s) = (moving.bytes.load(Ordering::Relaxed), self.watch.seconds());
            }
            let due = self.watch.seconds() + 1.0 / ALERTS_PER_S;
            let flight = self.flights.take();
            let request = self.author.write(flight);
            let begun_ns = self.flights.begin(flight)?;
            self.client.publish(request).await?;
            if number >= WARM_UP {
                confirm.record_ns(self.flights.now_ns() - begun_ns);
            }
            sleep(Duration::from_secs_f64((due - self.watch.seconds()).max(0.0))).await;
        }
        let moved = moving.bytes.load(Ordering::Relaxed) - moved_before;
        let lasted_s = self.watch.seconds() - began_s;
        moving.stop.cancel();
        while let Some(ended) = transfers.join_next().await {
            ended??;
        }
        subscribers.drain(self.flights.count() - self.acknowledged).await?;
        self.acknowledged = self.flights.count();
        let end_to_end = subscribers.end().await?;
        ensure!(end_to_end.count() == 6 * u64::from(self.alerts), "{} deliveries came", end_to_end.count());
        #[expect(clippy::cast_precision_loss, reason = "some GiB are exact in an f64")]
        let files_per_s = moved as f64 / lasted_s;
        Ok(Measured { beside, confirm: confirm.quantiles(), end_to_end: end_to_end.quantiles(), files_per_s })
    }

    /// Publishes the packet that files belong to.
    async fn publish(&mut self, files: &[FileRef]) -> Result<MessageRef> {
        let flight = self.flights.take();
        let request = self.author.write_packet(flight, files);
        self.flights.begin(flight)?;
        let message_id =
            Bytes::copy_from_slice(messages::covered(0, &request.envelope)?.message_id.as_bytes());
        let accepted = self.client.publish(request).await?.into_inner().accepted;
        Ok(MessageRef { index: accepted.context("a packet that is accepted")?.index, message_id })
    }
}

/// Transfers of one phase.
struct Moving {
    watch: Stopwatch,
    began_s: f64,
    /// Bytes a second, of all transfers together.
    per_s: f64,
    stop: CancellationToken,
    bytes: AtomicU64,
    /// Files that the hub has whole.
    whole: Mutex<Vec<FileRef>>,
}

impl Moving {
    fn begin(per_s: f64, watch: Stopwatch) -> Arc<Self> {
        let (stop, bytes, whole) = (CancellationToken::new(), AtomicU64::new(0), Mutex::default());
        Arc::new(Self { watch, began_s: watch.seconds(), per_s, stop, bytes, whole })
    }

    /// Counts bytes of one transfer that has moved so many until now, and waits until they are due.
    async fn pace(&self, bytes: usize, moved: &mut u64) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        *moved += bytes as u64;
        #[expect(clippy::cast_precision_loss, reason = "some GiB are exact in an f64")]
        let due_s = self.began_s + *moved as f64 / (self.per_s / TRANSFERS as f64);
        let early_s = due_s - self.watch.seconds();
        if early_s > 0.0 {
            sleep(Duration::from_secs_f64(early_s)).await;
        }
    }
}

/// A file that is made up as it goes.
#[derive(Clone)]
struct File {
    number: u64,
    reference: FileRef,
}

impl File {
    fn of(number: u64) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for piece in 0..PIECES {
            context.update(&Self::piece(number, piece));
        }
        let sha256 = Bytes::copy_from_slice(context.finish().as_ref());
        Self { number, reference: FileRef { sha256, bytes: FILE_BYTES } }
    }

    fn piece(number: u64, piece: u64) -> Vec<u8> {
        let mut bytes = vec![7; PIECE_BYTES];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..16].copy_from_slice(&piece.to_be_bytes());
        bytes
    }
}

/// Hands files up, one after the other, until it is stopped; the one that it is at becomes whole.
async fn hand_up(
    mut client: FileServiceClient<Channel>,
    files: Vec<File>,
    moving: Arc<Moving>,
) -> Result<()> {
    let mut moved = 0;
    for File { number, reference } in files {
        if moving.stop.is_cancelled() {
            return Ok(());
        }
        let file = Some(reference.clone());
        client.begin_upload(BeginUploadRequest { file: file.clone() }).await?;
        let (up, frames) = mpsc::channel(PIECES_WAITING_MAX);
        let start = Frame::Start(UploadStart { file, from_bytes: 0 });
        up.send(UploadRequest { frame: Some(start) }).await?;
        let mut down = client.upload(ReceiverStream::new(frames)).await?.into_inner();
        for piece in 0..PIECES {
            let chunk = Frame::Chunk(File::piece(number, piece).into());
            up.send(UploadRequest { frame: Some(chunk) }).await.context("the hub ended an upload")?;
            moving.pace(PIECE_BYTES, &mut moved).await;
        }
        drop(up);
        while !down.message().await?.context("the hub ended an upload")?.whole {}
        moving.whole.lock().unwrap_or_else(PoisonError::into_inner).push(reference);
    }
    let paced = moving.per_s.is_finite();
    ensure!(!paced || moving.stop.is_cancelled(), "the files were handed up too soon");
    Ok(())
}

/// Fetches a packet's files, one after the other; at a pace again from the first, until it is stopped.
async fn fetch(
    mut client: FileServiceClient<Channel>,
    packet: MessageRef,
    files: Vec<FileRef>,
    moving: Arc<Moving>,
) -> Result<()> {
    let mut moved = 0;
    let rounds = if moving.per_s.is_finite() { usize::MAX } else { 1 };
    for file in (0..rounds).flat_map(|_| &files) {
        let request =
            DownloadRequest { message: Some(packet.clone()), sha256: file.sha256.clone(), from_bytes: 0 };
        let mut down = client.download(request).await?.into_inner();
        let mut came = 0;
        while let Some(frame) = down.message().await? {
            came += frame.chunk.len() as u64;
            moving.pace(frame.chunk.len(), &mut moved).await;
            if moving.stop.is_cancelled() {
                return Ok(());
            }
        }
        ensure!(came == file.bytes, "{came} of {} bytes of a file came", file.bytes);
    }
    ensure!(rounds == 1, "the packet has no file");
    Ok(())
}
