//! Who is measured, each in turn: ours by what the messages are and how they are handed in, and the exchanges of others.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::bulk;
use crate::common::callers::Mode;
use crate::common::hub::DevSet;
use crate::common::stopwatch::Stopwatch;
use crate::nats::{Acks, Nats};
use crate::point::{self, Content, Exchange, Load, Measured, Point};
use crate::rabbit::Rabbit;
use crate::redis::Redis;
use crate::server::TlsFiles;
use crate::supply::Supply;
use crate::{beside, load};

/// One of those that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// This exchange.
    Ours(Content, Mode),
    Redis,
    Nats(Acks),
    Rabbit,
}

/// All, in the order of the table.
pub(crate) const ALL: [Contestant; 10] = [
    Contestant::Redis,
    Contestant::Nats(Acks::Sent),
    Contestant::Nats(Acks::Confirmed),
    Contestant::Rabbit,
    Contestant::Ours(Content::Opaque, Mode::Calls),
    Contestant::Ours(Content::Opaque, Mode::Stream),
    Contestant::Ours(Content::Signed, Mode::Calls),
    Contestant::Ours(Content::Signed, Mode::Stream),
    Contestant::Ours(Content::Sealed, Mode::Calls),
    Contestant::Ours(Content::Sealed, Mode::Stream),
];

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(content, mode) => {
                let mode = match mode {
                    Mode::Calls => "single calls",
                    Mode::Stream => "publishing stream",
                };
                f.pad(&format!("ours, {content}: {mode}"))
            }
            Self::Redis => f.pad("Redis"),
            Self::Nats(Acks::Sent) => f.pad("NATS"),
            Self::Nats(Acks::Confirmed) => f.pad("NATS, confirmed acks"),
            Self::Rabbit => f.pad("RabbitMQ"),
        }
    }
}

/// What every measurement needs.
pub(crate) struct Ring<'a> {
    pub(crate) dev: &'a DevSet,
    pub(crate) supply: &'a Supply,
    pub(crate) tls: &'a TlsFiles,
    pub(crate) folder: &'a Path,
    pub(crate) watch: Stopwatch,
}

impl Contestant {
    /// Connections that its callers share at most.
    pub(crate) fn connections(self) -> u32 {
        4
    }

    /// Whether it is one of the exchanges of others.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Self::Ours(..))
    }

    /// Measures so many callers, against a server that is started anew.
    pub(crate) async fn measure(self, ring: &Ring<'_>, callers: u32, load: Load) -> Result<Measured> {
        let Ring { dev, supply, tls, folder, watch } = *ring;
        match self {
            Self::Ours(content, mode) => {
                let point = Point { exchange: Exchange::Hub, content, mode, callers };
                point::measure(point, (dev, supply), load, watch).await
            }
            Self::Redis => load::measure(Redis::start(folder, tls, watch).await?, callers, load, watch).await,
            Self::Nats(acks) => {
                load::measure(Nats::start(folder, tls, acks, watch).await?, callers, load, watch).await
            }
            Self::Rabbit => {
                load::measure(Rabbit::start(folder, tls, watch).await?, callers, load, watch).await
            }
        }
    }
    /// Measures alerts beside bulk, at servers that are started anew: of ours beside files, which is what is big here.
    pub(crate) async fn beside_bulk(self, ring: &Ring<'_>, alerts: u32) -> Result<Vec<bulk::Measured>> {
        let Ring { dev, tls, folder, watch, .. } = *ring;
        let name = self.to_string();
        let mut phases = Vec::new();
        if let Self::Ours(..) = self {
            for it in beside::measure(alerts, dev, watch).await? {
                let (beside, bulk_per_s) = (it.beside.to_string(), it.files_per_s);
                let (name, confirm, end_to_end) = ("ours, signed".to_owned(), it.confirm, it.end_to_end);
                phases.push(bulk::Measured { name, beside, ours: true, confirm, end_to_end, bulk_per_s });
            }
            return Ok(phases);
        }
        for beside in bulk::ALL {
            let name = name.clone();
            phases.push(match self {
                Self::Redis => {
                    bulk::measure((name, Redis::start(folder, tls, watch).await?), beside, alerts, watch)
                        .await?
                }
                Self::Nats(acks) => {
                    bulk::measure((name, Nats::start(folder, tls, acks, watch).await?), beside, alerts, watch)
                        .await?
                }
                _ => {
                    bulk::measure((name, Rabbit::start(folder, tls, watch).await?), beside, alerts, watch)
                        .await?
                }
            });
        }
        Ok(phases)
    }
}
