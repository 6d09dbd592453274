//! The bare gRPC echo: what a call costs that does nothing, over the same TLS as the hub's.
//!
//! Its server is this program again, in a process of its own, which serves the bare exchange too. It has none of the
//! hub's own parts but TLS: no door, no identities, no bounds. It may append what it is sent to a file, and sync that, before it
//! answers.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http::uri::PathAndQuery;
use resguardo::host::clock::SystemClock;
use resguardo::wire::proto::exchange_service_server::ExchangeServiceServer;
use resguardo::wire::tls::server_config;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::bare::Bare;
use crate::common::child::READY;
use crate::common::hub;
use crate::common::sync::BYTES;

/// Appends for which there is room in the file, which is there before they come.
const APPENDS: u64 = 16 * 1024;
/// Appends that wait.
const APPENDS_WAITING_MAX: usize = 64;

const PATH: PathAndQuery = PathAndQuery::from_static("/echo.Echo/Echo");

/// Serves the echo and the bare exchange with a home's TLS files until the process is ended; the echo appends to a file, where one
/// is named.
pub(crate) async fn serve(home: &Path, appended: Option<&Path>) -> Result<()> {
    let appends = appended.map(appends).transpose()?;
    let config = server_config(&hub::credentials(home)?, None, Arc::new(SystemClock::new()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout().lock(), "{READY}{}", listener.local_addr()?)?;
    let (ready, incoming) = mpsc::channel(1);
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let tls = TlsAcceptor::from(config.clone()).accept(socket).await;
            if ready.send(tls).await.is_err() {
                return Ok::<_, std::io::Error>(());
            }
        }
    });
    let exchange = ExchangeServiceServer::new(Bare::default());
    let server = Server::builder().add_service(Echo { appends }).add_service(exchange);
    server.serve_with_incoming(ReceiverStream::new(incoming)).await?;
    Ok(())
}

/// Sends bytes and waits until they are back.
pub(crate) async fn call(client: &mut Grpc<Channel>, bytes: Bytes) -> Result<Bytes> {
    client.ready().await?;
    let codec = ProstCodec::<Bytes, Bytes>::default();
    let response: Response<Bytes> = client.unary(Request::new(bytes), PATH, codec).await?;
    Ok(response.into_inner())
}

/// What is to be appended, and who waits for it.
type Append = (Bytes, oneshot::Sender<()>);

/// Starts a thread that appends and syncs, one after the other.
fn appends(path: &Path) -> Result<mpsc::Sender<Append>> {
    let file = File::create(path)?;
    for number in 0..APPENDS {
        file.write_all_at(&[0; BYTES], number * BYTES as u64)?;
    }
    file.sync_all()?;
    let (appends, mut waiting) = mpsc::channel::<Append>(APPENDS_WAITING_MAX);
    std::thread::Builder::new().name("appends".into()).spawn(move || {
        let mut number = 0;
        while let Some((bytes, synced)) = waiting.blocking_recv() {
            let at = number % APPENDS * BYTES as u64;
            if file.write_all_at(&bytes, at).and_then(|()| file.sync_data()).is_err() {
                return;
            }
            number += 1;
            // Who asked may have gone.
            let _ = synced.send(());
        }
    })?;
    Ok(appends)
}

#[derive(Clone)]
struct Echo {
    appends: Option<mpsc::Sender<Append>>,
}

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let same = Same(self.clone());
        Box::pin(async move {
            let codec = ProstCodec::<Bytes, Bytes>::default();
            Ok(tonic::server::Grpc::new(codec).unary(same, request).await)
        })
    }
}

struct Same(Echo);

impl UnaryService<Bytes> for Same {
    type Response = Bytes;
    type Future = Answer<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (bytes, appends) = (request.into_inner(), self.0.appends.clone());
        Box::pin(async move {
            if let Some(appends) = appends {
                let (synced, done) = oneshot::channel();
                let failed = |_| Status::internal("it was not appended");
                let nobody = |_| Status::internal("nobody appends");
                appends.send((bytes.clone(), synced)).await.map_err(nobody)?;
                done.await.map_err(failed)?;
            }
            Ok(Response::new(bytes))
        })
    }
}
