//! NATS JetStream: a stream in files that is synced for each message, a durable pull consumer for each subscriber, explicit
//! acknowledgements; these are sent, or sent and confirmed by the server (AckSync).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::StorageType;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::common::stopwatch::Stopwatch;
use crate::peer::{Caller, Office, Peer, Running, SUBSCRIBERS, Stream};
use crate::server::{Server, Starting, TlsFiles, version};

/// The environment's word on where the program is.
const PROGRAM: &str = "RESGUARDO_NATS_SERVER";
/// Messages that a subscriber asks for at once.
const BATCH: usize = 1_000;
/// Deliveries that may be on the way to one subscriber: never what this load waits for.
const IN_FLIGHT_MAX: i64 = 65_536;
/// What acknowledges a message.
const ACK: &[u8] = b"+ACK";

/// How messages are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Sent; nobody answers.
    Sent,
    /// The server answers each.
    Confirmed,
}

/// NATS, running.
pub(crate) struct Nats {
    server: Server,
    tls: TlsFiles,
    acks: Acks,
    control: Client,
}

fn program() -> PathBuf {
    env::var_os(PROGRAM).map_or_else(|| PathBuf::from("nats-server"), PathBuf::from)
}

impl Nats {
    pub(crate) fn version() -> Result<String> {
        version(Command::new(program()).arg("--version"))
    }

    pub(crate) async fn start(folder: &Path, tls: &TlsFiles, acks: Acks, watch: Stopwatch) -> Result<Self> {
        let starting = Starting::new(folder, "nats-")?;
        let [certificate, key] = tls.server.each_ref().map(|it| it.display());
        let config = format!(
            "listen: \"127.0.0.1:{}\"\njetstream {{\n  store_dir: {:?}\n  sync_interval: always\n}}\n\
             tls {{\n  cert_file: \"{certificate}\"\n  key_file: \"{key}\"\n  ca_file: {:?}\n  verify: true\n  min_version: \"1.3\"\n}}\n",
            starting.port,
            starting.folder.path(),
            tls.authority
        );
        let path = starting.folder.path().join("nats.conf");
        fs::write(&path, config)?;
        let server = starting.start(Command::new(program()).arg("--config").arg(path), watch).await?;
        let control = connect(&server, tls).await?;
        Ok(Self { server, tls: tls.clone(), acks, control })
    }
}

async fn connect(server: &Server, tls: &TlsFiles) -> Result<Client> {
    let [certificate, key] = tls.client.clone();
    let options = ConnectOptions::new()
        .require_tls(true)
        .add_root_certificates(tls.authority.clone())
        .add_client_certificate(certificate, key);
    Ok(options.connect(format!("tls://localhost:{}", server.port)).await?)
}

impl Peer for Nats {
    type Caller = Publisher;

    fn server(&self) -> &Server {
        &self.server
    }

    fn into_server(self) -> Server {
        self.server
    }

    async fn prepare(&self, stream: Stream) -> Result<()> {
        let context = jetstream::new(self.control.clone());
        let config = stream::Config {
            name: stream.to_owned(),
            subjects: vec![stream.to_owned()],
            storage: StorageType::File,
            ..stream::Config::default()
        };
        let stream = context.create_stream(config).await?;
        for number in 0..SUBSCRIBERS {
            let config = pull::Config {
                durable_name: Some(durable(number)),
                ack_policy: AckPolicy::Explicit,
                max_ack_pending: IN_FLIGHT_MAX,
                ..pull::Config::default()
            };
            stream.create_consumer(config).await?;
        }
        Ok(())
    }

    async fn callers(&self, stream: Stream, callers: u32, connections: u32) -> Result<Vec<Publisher>> {
        let mut shared = Vec::new();
        for _ in 0..connections {
            shared.push(jetstream::new(connect(&self.server, &self.tls).await?));
        }
        Ok(shared
            .iter()
            .cycle()
            .take(usize::try_from(callers)?)
            .map(|it| Publisher(stream, it.clone()))
            .collect())
    }

    async fn subscribe(
        &self,
        stream: Stream,
        number: usize,
        office: Office,
        stop: CancellationToken,
    ) -> Result<Running> {
        let client = connect(&self.server, &self.tls).await?;
        let consumer: jetstream::consumer::PullConsumer = jetstream::new(client.clone())
            .get_consumer_from_stream(durable(number), stream)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
        Ok(match self.acks {
            Acks::Sent => Box::pin(sending(messages, client, office, stop)),
            Acks::Confirmed => Box::pin(confirming(messages, client, office, stop)),
        })
    }

    async fn outstanding(&self, stream: Stream) -> Result<u64> {
        let stream = jetstream::new(self.control.clone()).get_stream(stream).await?;
        let mut outstanding = 0;
        for number in 0..SUBSCRIBERS {
            let info = stream.consumer_info(durable(number)).await?;
            outstanding += info.num_pending + u64::try_from(info.num_ack_pending)?;
        }
        Ok(outstanding)
    }
}

fn durable(number: usize) -> String {
    format!("office-{number}")
}

/// A caller.
pub(crate) struct Publisher(Stream, jetstream::Context);

impl Caller for Publisher {
    async fn publish(&mut self, payload: Bytes) -> Result<()> {
        self.1.publish(self.0, payload).await?.await?;
        Ok(())
    }
}

async fn sending(
    mut messages: pull::Stream,
    client: Client,
    mut office: Office,
    stop: CancellationToken,
) -> Result<Office> {
    let acknowledged = office.acknowledged();
    loop {
        let message = tokio::select! {
            message = messages.next() => message.context("the server ended a consumer")??,
            () = stop.cancelled() => return Ok(office),
        };
        office.receive(&message.payload)?;
        let reply = message.message.reply.context("a message that cannot be acknowledged")?;
        client.publish(reply, Bytes::from_static(ACK)).await?;
        acknowledged.send_modify(|all| *all += 1);
    }
}

async fn confirming(
    mut messages: pull::Stream,
    client: Client,
    mut office: Office,
    stop: CancellationToken,
) -> Result<Office> {
    let acknowledged = office.acknowledged();
    let mut waiting = FuturesUnordered::new();
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.context("the server ended a consumer")??;
                office.receive(&message.payload)?;
                let reply = message.message.reply.context("a message that cannot be acknowledged")?;
                // By the client's one inbox, which is cheaper for both than the library's `double_ack`, with one for each.
                waiting.push(client.request(reply, Bytes::from_static(ACK)));
            }
            Some(answer) = waiting.next() => {
                answer?;
                acknowledged.send_modify(|all| *all += 1);
            }
            () = stop.cancelled() => return Ok(office),
        }
    }
}
