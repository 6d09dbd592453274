//! A hub that shows what its new owner wants: with the certificate and the key of the real one, and a directory of its own.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::host::clock::SystemClock;
use resguardo::host::tasks::{Tasks as _, TokioTasks};
use resguardo::model::id::DirectoryVersion;
use resguardo::model::policy::Policy;
use resguardo::wire::listener::{Door, ListenerLimits, listen};
use resguardo::wire::proto;
use resguardo::wire::proto::directory_service_server::{DirectoryService, DirectoryServiceServer};
use resguardo::wire::stranger::{Observer, Stranger};
use resguardo::wire::tls::{Credentials, server_config};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// It runs until it is dropped.
pub(super) struct Teller {
    _runtime: Runtime,
    pub(super) address: String,
}

struct Directory {
    /// What is true.
    policy: Policy,
    /// What it tells.
    entries: Vec<Bytes>,
}

struct Nobody;

impl Observer for Nobody {
    fn turned_away(&self, _: &Stranger) {}

    fn accept_failed(&self, _: &std::io::Error) {}
}

impl Teller {
    /// Tells these entries, and of what a desk knows already that it is as it was.
    pub(super) fn of(hub: &Path, policy: Policy, entries: Vec<Bytes>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let credentials = Credentials::read(&hub.join("tls")).unwrap();
        let config = server_config(&credentials, None, Arc::new(SystemClock::new())).unwrap();
        let address = runtime.block_on(async move {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap().to_string();
            let (_, config) = watch::channel(config);
            let door = Door {
                config,
                limits: ListenerLimits::default(),
                tasks: Arc::new(TokioTasks::on(Handle::current())),
                clock: Arc::new(SystemClock::new()),
                observer: Arc::new(Nobody),
                stop: CancellationToken::new(),
                end: CancellationToken::new(),
            };
            let (incoming, _) = listen(Box::new(socket), door);
            let directory = DirectoryServiceServer::new(Directory { policy, entries });
            let serving = Server::builder().add_service(directory).serve_with_incoming(incoming);
            let serving = async move { serving.await.unwrap() };
            drop(TokioTasks::on(Handle::current()).spawn("teller", Box::pin(serving)));
            address
        });
        Self { _runtime: runtime, address }
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn describe_directory(
        &self,
        request: Request<proto::DescribeDirectoryRequest>,
    ) -> Result<Response<proto::DescribeDirectoryResponse>, Status> {
        let after = request.into_inner().after_version;
        let head = self.policy.head_at(DirectoryVersion(after));
        let after = usize::try_from(after).unwrap();
        Ok(Response::new(proto::DescribeDirectoryResponse {
            version: self.entries.len() as u64,
            entries: self.entries.iter().skip(after).cloned().collect(),
            digest_after: head.map(|it| it.to_vec().into()).unwrap_or_default(),
            now_unix_us: 9,
        }))
    }

    async fn amend_directory(
        &self,
        _: Request<proto::AmendDirectoryRequest>,
    ) -> Result<Response<proto::AmendDirectoryResponse>, Status> {
        Err(Status::permission_denied("not from here"))
    }
}
