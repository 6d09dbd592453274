//! Redis: a stream, a consumer group for each subscriber, XADD, XREADGROUP, XACK; every write is synced before it is answered.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, IntoConnectionInfo as _, TlsCertificates, Value, cmd,
};
use tokio_util::sync::CancellationToken;

use crate::common::stopwatch::Stopwatch;
use crate::peer::{Caller, Office, Peer, Running, SUBSCRIBERS, Stream};
use crate::server::{Server, Starting, TlsFiles, version};

/// The program.
const PROGRAM: &str = "redis-server";
/// Messages that a subscriber takes at once, at most.
const COUNT: u32 = 64;

/// Redis, running.
pub(crate) struct Redis {
    server: Server,
    client: Client,
    control: MultiplexedConnection,
}

impl Redis {
    pub(crate) fn version() -> Result<String> {
        version(Command::new(PROGRAM).arg("--version"))
    }

    pub(crate) async fn start(folder: &Path, tls: &TlsFiles, watch: Stopwatch) -> Result<Self> {
        let starting = Starting::new(folder, "redis-")?;
        let (folder, port) = (starting.folder.path().display(), starting.port);
        let [certificate, key] = tls.server.each_ref().map(|it| it.display());
        let config = format!(
            "bind 127.0.0.1\nport 0\ntls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\n\
             tls-ca-cert-file {}\ntls-auth-clients yes\ntls-protocols TLSv1.3\ndir {folder}\nsave \"\"\n\
             appendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0\n",
            tls.authority.display()
        );
        let path = starting.folder.path().join("redis.conf");
        fs::write(&path, config)?;
        let server = starting.start(Command::new(PROGRAM).arg(path), watch).await?;
        let info = format!("rediss://localhost:{}", server.port).into_connection_info()?;
        let mut settings = redis::io::tcp::TcpSettings::default();
        settings = settings.set_nodelay(true);
        let [client_cert, client_key] = tls.client.each_ref().map(fs::read);
        let certificates = TlsCertificates {
            client_tls: Some(ClientTlsConfig { client_cert: client_cert?, client_key: client_key? }),
            root_cert: Some(fs::read(&tls.authority)?),
        };
        let client = Client::build_with_tls(info.set_tcp_settings(settings), certificates)?;
        let control = connect(&client).await?;
        Ok(Self { server, client, control })
    }
}

async fn connect(client: &Client) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

impl Peer for Redis {
    type Caller = Publisher;

    fn server(&self) -> &Server {
        &self.server
    }

    fn into_server(self) -> Server {
        self.server
    }

    async fn prepare(&self, stream: Stream) -> Result<()> {
        let mut connection = self.control.clone();
        for number in 0..SUBSCRIBERS {
            let mut create = cmd("XGROUP");
            create.arg("CREATE").arg(stream).arg(group(number)).arg("0").arg("MKSTREAM");
            create.query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    async fn callers(&self, stream: Stream, callers: u32, connections: u32) -> Result<Vec<Publisher>> {
        let mut shared = Vec::new();
        for _ in 0..connections {
            shared.push(connect(&self.client).await?);
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
        let connection = connect(&self.client).await?;
        Ok(Box::pin(subscriber(connection, (stream, number), office, stop)))
    }

    async fn outstanding(&self, stream: Stream) -> Result<u64> {
        let mut connection = self.control.clone();
        let groups: Vec<std::collections::HashMap<String, Value>> =
            cmd("XINFO").arg("GROUPS").arg(stream).query_async(&mut connection).await?;
        let of = |group: &std::collections::HashMap<String, Value>, name: &str| -> Result<u64> {
            Ok(redis::from_redis_value_ref(
                group.get(name).with_context(|| format!("a group has no {name}"))?,
            )?)
        };
        groups.iter().map(|group| Ok(of(group, "pending")? + of(group, "lag")?)).sum()
    }
}

fn group(number: usize) -> String {
    format!("office-{number}")
}

/// A caller.
pub(crate) struct Publisher(Stream, MultiplexedConnection);

impl Caller for Publisher {
    async fn publish(&mut self, payload: Bytes) -> Result<()> {
        let mut add = cmd("XADD");
        add.arg(self.0).arg("*").arg("m").arg(&payload[..]);
        match self.1.send_packed_command(&add).await? {
            Value::BulkString(_) => Ok(()),
            other => bail!("XADD is answered with {other:?}"),
        }
    }
}

async fn subscriber(
    connection: MultiplexedConnection,
    (stream, number): (Stream, usize),
    mut office: Office,
    stop: CancellationToken,
) -> Result<Office> {
    let (group, acknowledged) = (group(number), office.acknowledged());
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(&group).arg("desk-1").arg("COUNT").arg(COUNT).arg("BLOCK").arg(0);
    read.arg("STREAMS").arg(stream).arg(">");
    let (mut reading, mut acknowledging) = (connection.clone(), connection);
    let mut ids: Vec<Vec<u8>> = Vec::new();
    loop {
        // The acknowledgement goes first, and on the same connection: the next read, which may wait, follows it at once.
        let acknowledge = async {
            if ids.is_empty() {
                return Ok(());
            }
            let answer = acknowledging.send_packed_command(&xack(stream, &group, &ids)).await?;
            let Value::Int(count) = answer else { bail!("XACK is answered with {answer:?}") };
            acknowledged.send_modify(|all| *all += count.unsigned_abs());
            Ok(())
        };
        let both =
            async { tokio::try_join!(acknowledge, async { Ok(reading.send_packed_command(&read).await?) }) };
        let came = tokio::select! {
            came = both => came?.1,
            () = stop.cancelled() => return Ok(office),
        };
        ids.clear();
        for (id, payload) in entries(came)? {
            office.receive(&payload)?;
            ids.push(id);
        }
    }
}

fn xack(stream: Stream, group: &str, ids: &[Vec<u8>]) -> Cmd {
    let mut acknowledge = cmd("XACK");
    acknowledge.arg(stream).arg(group);
    for id in ids {
        acknowledge.arg(&id[..]);
    }
    acknowledge
}

/// Takes ids and payloads out of what XREADGROUP answers for one stream.
fn entries(answer: Value) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let entries = array(answer)
        .and_then(|streams| array(streams.into_iter().next()?))
        .and_then(|it| array(it.into_iter().nth(1)?));
    let entry = |entry: Value| {
        let mut parts = array(entry)?.into_iter();
        let (Value::BulkString(id), fields) = (parts.next()?, array(parts.next()?)?) else { return None };
        let Value::BulkString(payload) = fields.into_iter().nth(1)? else { return None };
        Some((id, payload))
    };
    entries
        .context("XREADGROUP is answered without a stream")?
        .into_iter()
        .map(|it| entry(it).context("an entry without a message"))
        .collect()
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}
