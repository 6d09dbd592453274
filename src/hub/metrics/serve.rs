//! The page with the metrics, over plain HTTP on this machine.
//!
//! Owns its bounds: a few connections at once, one request each, a short time. Never answers anything but the page; who
//! may read it is whoever is on the machine, so it is open on no other address (the configuration sees to that).

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::host::network::{Listener, Socket};
use crate::hub::Hub;

/// Connections at once: one or two programs ask, every few seconds.
const CONNECTIONS_MAX: usize = 8;
/// How long the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take, its answer read.
const CONNECTION_MAX: Duration = Duration::from_secs(20);
/// Bytes of a request's head at most; the least that the server takes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How long a failed accept waits before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The form of the page.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers who comes until the hub stops.
pub(in crate::hub) async fn serve(hub: Arc<Hub>, mut listener: Box<dyn Listener>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // A place first: who comes when all are taken waits in the system's own queue.
        let accepted = tokio::select! {
            () = hub.stop.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listener.accept().await?.0, place))
            } => accepted,
        };
        let Ok((stream, place)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let serving = Arc::clone(&hub);
        hub.tasks.spawn(
            "metrics-page",
            Box::pin(async move {
                let _place = place;
                tokio::select! {
                    () = serving.stop.cancelled() => {}
                    // Who hung up or was too slow has no page.
                    _ = timeout(CONNECTION_MAX, answer_one(Arc::clone(&serving), stream)) => {}
                }
            }),
        );
    }
}

async fn answer_one(hub: Arc<Hub>, stream: Socket) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(Arc::clone(&hub), request));
    let mut server = http1::Builder::new();
    server
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    server.serve_connection(TokioIo::new(stream), service).await
}

async fn answer(hub: Arc<Hub>, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let (status, form, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match hub.meters.page(&hub).await {
            Ok(page) => (StatusCode::OK, OPEN_METRICS, page),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, "the hub is stopping\n".to_owned()),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET is answered here\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, PLAIN, "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, form);
    Ok(response)
}
