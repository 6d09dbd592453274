//! The bare echo below gRPC: 1 KiB there and back over TCP, and over the hub's TLS, and nothing else.
//!
//! Its server is this program again, in a process of its own.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use resguardo::host::clock::SystemClock;
use resguardo::wire::tls::{client_config, server_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::common::child::READY;
use crate::common::hub;
use crate::common::latency::Latency;
use crate::common::stopwatch::Stopwatch;
use crate::common::sync::BYTES;

/// What is between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Raw {
    Tcp,
    Tls,
}

/// Serves one connection.
pub(crate) async fn serve(home: &Path, raw: Raw) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout().lock(), "{READY}{}", listener.local_addr()?)?;
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    match raw {
        Raw::Tcp => give_back(socket).await,
        Raw::Tls => {
            let config = server_config(&hub::credentials(home)?, None, Arc::new(SystemClock::new()))?;
            give_back(TlsAcceptor::from(config).accept(socket).await?).await
        }
    }
}

async fn give_back(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut bytes = [0; BYTES];
    loop {
        stream.read_exact(&mut bytes).await?;
        stream.write_all(&bytes).await?;
        stream.flush().await?;
    }
}

/// Times echoes, the first of which do not count.
pub(crate) async fn probe(
    (address, home): (&str, &Path),
    raw: Raw,
    (warm_up, samples): (u32, u32),
    watch: Stopwatch,
) -> Result<Latency> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    match raw {
        Raw::Tcp => echoes(socket, (warm_up, samples), watch).await,
        Raw::Tls => {
            let config = client_config(&hub::credentials(home)?, Arc::new(SystemClock::new()))?;
            let name = ServerName::try_from("localhost")?;
            let stream = TlsConnector::from(config).connect(name, socket).await?;
            echoes(stream, (warm_up, samples), watch).await
        }
    }
}

async fn echoes(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    (warm_up, samples): (u32, u32),
    watch: Stopwatch,
) -> Result<Latency> {
    let (mut latency, mut bytes) = (Latency::new(), [7; BYTES]);
    for number in 0..warm_up + samples {
        let from = watch.ns();
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        stream.read_exact(&mut bytes).await?;
        if number >= warm_up {
            latency.record_ns(watch.ns() - from);
        }
    }
    Ok(latency)
}
