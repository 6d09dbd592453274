//! The bare gRPC echo: what a call costs that does nothing, over the same TLS as the hub's.
//!
//! Its server is this program again, in a process of its own, which serves the bare exchange too. It has none of the
//! hub's own parts but TLS: no door, no identities, no bounds.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Write as _;
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
use tokio::sync::mpsc;
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

const PATH: PathAndQuery = PathAndQuery::from_static("/echo.Echo/Echo");

/// Serves the echo and the bare exchange with a home's TLS files until the process is ended.
pub(crate) async fn serve(home: &Path) -> Result<()> {
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
    let server = Server::builder().add_service(Echo).add_service(exchange);
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

#[derive(Clone, Copy)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(async move {
            let codec = ProstCodec::<Bytes, Bytes>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Same, request).await)
        })
    }
}

struct Same;

impl UnaryService<Bytes> for Same {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}
