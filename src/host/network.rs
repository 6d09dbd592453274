//! Sockets, handed in.
//!
//! Owns the calls. Never knows what goes through one, nor who is on the other side.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// The bytes of a connection, both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection.
pub type Socket = Box<dyn Stream>;

/// What is waited for.
pub type Waited<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Takes connections.
pub trait Listener: Send {
    /// Waits for the next one; also tells where it comes from. Dropped before it is done, it loses none.
    ///
    /// # Errors
    /// Any error of the system; the next may be fine.
    fn accept(&mut self) -> Waited<'_, (Socket, SocketAddr)>;
}

/// A network.
pub trait Network: Send + Sync {
    /// Listens on an address; also tells which one it is, where the port is 0.
    ///
    /// # Errors
    /// Any error of the system.
    fn bind(&self, address: SocketAddr) -> Waited<'_, (Box<dyn Listener>, SocketAddr)>;

    /// Finds the addresses of `host:port`.
    ///
    /// # Errors
    /// `InvalidInput` where it is none; any error of the system.
    fn lookup<'a>(&'a self, host: &'a str) -> Waited<'a, Vec<SocketAddr>>;

    /// Makes a connection.
    ///
    /// # Errors
    /// Any error of the system.
    fn connect(&self, address: SocketAddr) -> Waited<'_, Socket>;
}

/// Bytes that the system keeps before it has sent them, about; what is sent and not yet acknowledged comes on top. A ping goes behind all of
/// them. On a fast line the next are there in time: the system asks for more at half of them.
const UNSENT_BYTES: u32 = 4 * 1024;

/// The machine's network, by TCP. Small frames go out at once: waiting for an acknowledgement costs up to 40 ms a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpNetwork;

impl Network for TcpNetwork {
    fn bind(&self, address: SocketAddr) -> Waited<'_, (Box<dyn Listener>, SocketAddr)> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((Box::new(listener) as _, address))
        })
    }

    fn lookup<'a>(&'a self, host: &'a str) -> Waited<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(lookup_host(host).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> Waited<'_, Socket> {
        Box::pin(async move { Ok(at_once(TcpStream::connect(address).await?)) })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> Waited<'_, (Socket, SocketAddr)> {
        Box::pin(async move {
            let (socket, peer) = Self::accept(self).await?;
            Ok((at_once(socket), peer))
        })
    }
}

fn at_once(socket: TcpStream) -> Socket {
    // One that cannot has gone already, which its first byte tells.
    let _ = socket.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    let _ = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES);
    Box::new(socket)
}
