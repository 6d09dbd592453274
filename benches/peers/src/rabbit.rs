//! RabbitMQ: a fanout exchange with a quorum queue for each subscriber, publisher confirms, manual acknowledgements.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio_util::sync::CancellationToken;

use crate::common::stopwatch::Stopwatch;
use crate::peer::{Caller, Office, Peer, Running, SUBSCRIBERS, Stream};
use crate::server::{Server, Starting, TlsFiles, free_port, version};

/// Debian's start of the server without its change of user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Deliveries that may be on the way to one subscriber.
const PREFETCH: u16 = 2_000;
/// Of a message that is kept over a restart.
const PERSISTENT: u8 = 2;

/// RabbitMQ, running.
pub(crate) struct Rabbit {
    server: Server,
    tls: OwnedTLSConfig,
    control: Connection,
}

impl Rabbit {
    pub(crate) fn version() -> Result<String> {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat", "${Package} ${Version} ", "rabbitmq-server", "erlang-base"]);
        version(&mut query)
    }

    pub(crate) async fn start(folder: &Path, tls: &TlsFiles, watch: Stopwatch) -> Result<Self> {
        let mut starting = Starting::new(folder, "rabbit-")?;
        let folder = starting.folder.path().to_owned();
        let [certificate, key] = tls.server.each_ref().map(|it| it.display());
        let config = format!(
            "listeners.tcp = none\nlisteners.ssl.default = 127.0.0.1:{}\nssl_options.cacertfile = {}\nssl_options.certfile = {certificate}\n\
             ssl_options.keyfile = {key}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
             ssl_options.versions.1 = tlsv1.3\nlog.console = true\nlog.console.level = warning\nlog.file = false\n",
            starting.port,
            tls.authority.display()
        );
        fs::write(folder.join("rabbitmq.conf"), config)?;
        // Its nodes are found by a daemon, which is started here: else it would start one that stays.
        let names = free_port()?.to_string();
        starting.beside(Command::new("epmd").args(["-port", &names, "-address", "127.0.0.1"]))?;
        let mut command = Command::new(PROGRAM);
        command
            .env("HOME", &folder)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_NODENAME", "peers@localhost")
            .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
            .env("ERL_EPMD_PORT", names)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Without a shell between: what is started is the server.
            .env("RUNNING_UNDER_SYSTEMD", "true");
        fs::write(folder.join("plugins"), "[].\n")?;
        let server = starting.start(&mut command, watch).await?;
        let [pem, key] = tls.client.each_ref().map(fs::read);
        let tls = OwnedTLSConfig {
            identity: Some(OwnedIdentity::PKCS8 { pem: pem?, key: key? }),
            cert_chain: Some(fs::read_to_string(&tls.authority)?),
        };
        let control = connect(&server, &tls).await?;
        Ok(Self { server, tls, control })
    }
}

async fn connect(server: &Server, tls: &OwnedTLSConfig) -> Result<Connection> {
    let uri = format!("amqps://guest:guest@localhost:{}/%2f?heartbeat=0", server.port);
    let runtime = lapin::runtime::default_runtime()?;
    let connected =
        Connection::connect_with_config(&uri, ConnectionProperties::default(), tls.clone(), runtime);
    connected.await.with_context(|| server.said())
}

impl Peer for Rabbit {
    type Caller = Publisher;

    fn server(&self) -> &Server {
        &self.server
    }

    fn into_server(self) -> Server {
        self.server
    }

    async fn prepare(&self, stream: Stream) -> Result<()> {
        let channel = self.control.create_channel().await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(stream.into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        for number in 0..SUBSCRIBERS {
            let mut quorum = FieldTable::default();
            quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue(stream, number).into(), durable, quorum).await?;
            let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue(stream, number).into(), stream.into(), "".into(), bind, none).await?;
        }
        Ok(())
    }

    async fn callers(&self, stream: Stream, callers: u32, connections: u32) -> Result<Vec<Publisher>> {
        let mut shared = Vec::new();
        for _ in 0..connections {
            shared.push(Arc::new(connect(&self.server, &self.tls).await?));
        }
        let mut publishers = Vec::new();
        for connection in shared.iter().cycle().take(usize::try_from(callers)?) {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            publishers.push(Publisher { stream, channel, _connection: Arc::clone(connection) });
        }
        Ok(publishers)
    }

    async fn subscribe(
        &self,
        stream: Stream,
        number: usize,
        office: Office,
        stop: CancellationToken,
    ) -> Result<Running> {
        let connection = connect(&self.server, &self.tls).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        Ok(Box::pin(subscriber(connection, channel, queue(stream, number), office, stop)))
    }

    async fn outstanding(&self, stream: Stream) -> Result<u64> {
        let channel = self.control.create_channel().await?;
        let mut outstanding = 0;
        for number in 0..SUBSCRIBERS {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let told =
                channel.queue_declare(queue(stream, number).into(), passive, FieldTable::default()).await?;
            outstanding += u64::from(told.message_count());
        }
        Ok(outstanding)
    }
}

fn queue(stream: Stream, number: usize) -> String {
    format!("{stream}-{number}")
}

/// A caller, with a channel of its own.
pub(crate) struct Publisher {
    stream: Stream,
    channel: Channel,
    _connection: Arc<Connection>,
}

impl Caller for Publisher {
    async fn publish(&mut self, payload: Bytes) -> Result<()> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let properties = properties.with_delivery_mode(PERSISTENT);
        let confirm =
            self.channel.basic_publish(self.stream.into(), "".into(), options, &payload, properties).await?;
        ensure!(confirm.await?.is_ack(), "a message was not taken");
        Ok(())
    }
}

async fn subscriber(
    connection: Connection,
    channel: Channel,
    queue: String,
    mut office: Office,
    stop: CancellationToken,
) -> Result<Office> {
    let acknowledged = office.acknowledged();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = channel.basic_consume(queue.into(), "desk-1".into(), options, arguments).await?;
    loop {
        let mut delivery = tokio::select! {
            delivery = deliveries.next() => delivery.context("the server ended a consumer")??,
            () = stop.cancelled() => break,
        };
        office.receive(&delivery.data)?;
        let mut count = 1;
        // One acknowledgement for all that are here.
        while let Some(Some(next)) = deliveries.next().now_or_never() {
            delivery = next?;
            office.receive(&delivery.data)?;
            count += 1;
        }
        delivery.ack(BasicAckOptions { multiple: true }).await?;
        acknowledged.send_modify(|all| *all += count);
    }
    connection.close(200, "".into()).await?;
    Ok(office)
}
