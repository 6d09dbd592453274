//! Where callers take their messages from: written as they are handed in, or made before the clock starts.

use std::sync::Arc;
use std::thread;

use anyhow::{Result, anyhow};
use resguardo::wire::proto::PublishRequest;

use crate::common::messages::{Audience, Author, Flights};
use crate::common::stopwatch::Stopwatch;

/// Where messages come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// Each is written when it is handed in.
    Written(Audience),
    /// They are there.
    Pool(Arc<Pool>),
}

/// Gives one caller its messages.
pub(crate) enum Writer {
    /// By writing them.
    Author(Box<Author>, Arc<Flights>),
    /// From those that are there.
    Pool(Arc<Pool>, Arc<Flights>),
}

/// Messages that were made beforehand, by their numbers.
pub(crate) struct Pool {
    requests: Vec<PublishRequest>,
    /// How long it took on all cores, in seconds.
    pub(crate) made_s: f64,
}

impl Source {
    /// Begins to give a caller messages.
    pub(crate) fn writer(&self, flights: &Arc<Flights>, seed: u64) -> Writer {
        let flights = Arc::clone(flights);
        match self {
            Self::Written(audience) => Writer::Author(Box::new(Author::new(audience, seed)), flights),
            Self::Pool(pool) => Writer::Pool(Arc::clone(pool), flights),
        }
    }

    /// How many messages there are; none: as many as are asked for.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Self::Written(_) => None,
            Self::Pool(pool) => Some(pool.count()),
        }
    }
}

impl Writer {
    /// Gives the next message with its number; `None`: there are no more.
    pub(crate) fn next(&mut self) -> Option<(u64, PublishRequest)> {
        match self {
            Self::Author(author, flights) => {
                let number = flights.take();
                Some((number, author.write(number)))
            }
            Self::Pool(pool, flights) => {
                let number = flights.take_below(pool.count())?;
                Some((number, pool.requests[usize::try_from(number).ok()?].clone()))
            }
        }
    }
}

impl Pool {
    /// Makes so many messages on all cores: `maker` gives each core what makes the message of a number, from a seed.
    pub(crate) fn make<Make>(count: u64, watch: Stopwatch, maker: impl Fn(u64) -> Make + Sync) -> Result<Self>
    where
        Make: FnMut(u64) -> Result<PublishRequest>,
    {
        let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
        let (began_s, maker) = (watch.seconds(), &maker);
        let share = |core: u64| count * core / cores..count * (core + 1) / cores;
        let shares = thread::scope(|scope| {
            let cores: Vec<_> = (0..cores)
                .map(|core| scope.spawn(move || share(core).map(maker(core)).collect::<Result<Vec<_>>>()))
                .collect();
            cores
                .into_iter()
                .map(|core| core.join().map_err(|_| anyhow!("a maker panicked"))?)
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(Self { requests: shares.into_iter().flatten().collect(), made_s: watch.seconds() - began_s })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.requests.len() as u64
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Option<&PublishRequest> {
        self.requests.first()
    }
}
