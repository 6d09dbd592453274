//! The directory, as gRPC, for every enrolled identity.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::Hub;
use crate::wire::convert;
use crate::wire::proto::directory_service_server::DirectoryService;
use crate::wire::proto::{DescribeDirectoryRequest, DescribeDirectoryResponse};

/// The service.
#[derive(Clone)]
pub(super) struct Directory {
    hub: Arc<Hub>,
}

impl Directory {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn describe_directory(
        &self,
        request: Request<DescribeDirectoryRequest>,
    ) -> Result<Response<DescribeDirectoryResponse>, Status> {
        self.hub.door.admit(&request)?;
        let policy = self.hub.door.view.policy();
        let facts = policy.facts().iter().map(convert::wire_fact).collect();
        Ok(Response::new(DescribeDirectoryResponse { version: policy.version().0, facts }))
    }
}
