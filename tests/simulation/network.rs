//! The simulated network, as hub and offices are handed it, and time on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use resguardo::desk::dial::{Dial, Dialled};
use resguardo::desk::home::Home;
use resguardo::host::clock::Clock;
use resguardo::host::network::{Listener, Network, Socket, Waited};
use resguardo::model::id::UnixMicros;
use resguardo::wire::client::{ConnectLimits, connect_over};
use resguardo::wire::connect_error::ConnectError;
use turmoil::net::{TcpListener, TcpStream};

use crate::set::HUB;

/// Where the hub listens.
const PORT: u16 = 4443;

/// The network between the machines of a run.
pub(crate) struct Wires;

struct Listens(TcpListener);

impl Network for Wires {
    fn bind(&self, _: SocketAddr) -> Waited<'_, (Box<dyn Listener>, SocketAddr)> {
        Box::pin(async {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
            let address = listener.local_addr()?;
            Ok((Box::new(Listens(listener)) as _, address))
        })
    }

    fn lookup<'a>(&'a self, host: &'a str) -> Waited<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            let (name, port) = host.split_once(':').ok_or(io::ErrorKind::InvalidInput)?;
            let port = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok(vec![SocketAddr::new(turmoil::lookup(name), port)])
        })
    }

    fn connect(&self, address: SocketAddr) -> Waited<'_, Socket> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as _) })
    }
}

impl Listener for Listens {
    fn accept(&mut self) -> Waited<'_, (Socket, SocketAddr)> {
        Box::pin(async {
            let (socket, peer) = self.0.accept().await?;
            Ok((Box::new(socket) as _, peer))
        })
    }
}

/// An office's way to the hub.
pub(crate) struct Way {
    pub(crate) home: Home,
    pub(crate) clock: Arc<SimClock>,
}

impl Dial for Way {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async {
            let credentials = self.home.credentials().map_err(ConnectError::Credentials)?;
            let hub = format!("{HUB}:{PORT}");
            let limits = ConnectLimits::default();
            connect_over(Arc::new(Wires), (&hub, "localhost"), &credentials, limits, self.clock.clone()).await
        })
    }
}

/// A machine's clock: simulated time, and what it is wrong by.
#[derive(Debug)]
pub(crate) struct SimClock {
    begun_us: u64,
    wrong_by_us: AtomicI64,
}

impl SimClock {
    pub(crate) fn at(begun: UnixMicros) -> Self {
        Self { begun_us: begun.0, wrong_by_us: AtomicI64::new(0) }
    }

    /// Puts it forward or back.
    pub(crate) fn set_wrong_by_us(&self, us: i64) {
        self.wrong_by_us.store(us, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> UnixMicros {
        let right = self.begun_us + self.monotonic_us();
        UnixMicros(right.saturating_add_signed(self.wrong_by_us.load(Ordering::Relaxed)))
    }

    fn monotonic_us(&self) -> u64 {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }
}
