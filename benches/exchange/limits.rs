//! The limits of the machine: what no exchange that syncs before it confirms can beat.
//!
//! L is the median `fdatasync` of a 1 KiB append into a preallocated, zero-filled file, and the median bare gRPC echo of
//! 1 KiB over mutual TLS. Both are measured again before each measurement of the hub: disks and neighbours change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use bytes::Bytes;
use resguardo::wire::client::ConnectLimits;
use tonic::client::Grpc;
use tonic::transport::Channel;

use crate::common::child::Child;
use crate::common::hub::{self, DevSet, SENDER};
use crate::common::latency::{Latency, Quantiles};
use crate::common::stopwatch::Stopwatch;
use crate::common::sync::{self, BYTES};
use crate::echo;

/// Echoes before those that count: the connection's first calls grow its buffers.
pub(crate) const WARM_UP_ECHOES: u32 = 200;

/// Measures the limits, over and over.
pub(crate) struct Limits {
    client: Grpc<Channel>,
    file: PathBuf,
    samples: u32,
    watch: Stopwatch,
    _server: Child,
}

/// The limits, measured once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) sync: Quantiles,
    pub(crate) echo: Quantiles,
}

impl Limit {
    /// L, in milliseconds.
    pub(crate) fn ms(self) -> f64 {
        self.sync.p50_ms + self.echo.p50_ms
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sync, echo } = self;
        write!(
            f,
            "L {:.3} ms (sync {:.3} / {:.3}, echo {:.3} / {:.3})",
            self.ms(),
            sync.p50_ms,
            sync.p99_ms,
            echo.p50_ms,
            echo.p99_ms
        )
    }
}

impl Limits {
    /// Starts the echo's server and connects to it.
    pub(crate) async fn start(dev: &DevSet, folder: &Path, watch: Stopwatch, quick: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare-server").arg(dev.hub_home());
        let server = Child::start(&mut command, &folder.join("echo.log"))?;
        let client = Grpc::new(
            hub::connect(&server.address, &dev.office_home(SENDER), ConnectLimits::default()).await?,
        );
        let samples = if quick { 50 } else { 1_000 };
        Ok(Self { client, file: folder.join("appended"), samples, watch, _server: server })
    }

    pub(crate) async fn probe(&self) -> Result<Limit> {
        let sync = sync::probe(&self.file, self.samples, self.watch)?;
        let echoes = echoes(self.client.clone(), (WARM_UP_ECHOES, 2 * self.samples), self.watch).await?;
        Ok(Limit { sync: sync.quantiles(), echo: echoes.quantiles() })
    }
}

/// Times echoes, the first of which do not count.
pub(crate) async fn echoes(
    mut client: Grpc<Channel>,
    (warm_up, samples): (u32, u32),
    watch: Stopwatch,
) -> Result<Latency> {
    let (bytes, mut latency) = (Bytes::from_static(&[7; BYTES]), Latency::new());
    for number in 0..warm_up + samples {
        let from = watch.ns();
        let back = echo::call(&mut client, bytes.clone()).await?;
        if number >= warm_up {
            latency.record_ns(watch.ns() - from);
        }
        ensure!(back.len() == BYTES, "an echo of {} bytes; {BYTES} were sent", back.len());
    }
    Ok(latency)
}
