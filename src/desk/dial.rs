//! The way to the hub: handed in, so that a simulation, or a test, can give its own.
//!
//! Owns nothing but the choice of hub and credentials. Never tries again: that is the session's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tonic::transport::Channel;

use super::home::Home;
use crate::host::clock::Clock;
use crate::wire::client::{ConnectLimits, connect};
use crate::wire::connect_error::ConnectError;

/// A connection to be.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = Result<Channel, ConnectError>> + Send + 'a>>;

/// Makes connections to the hub.
pub trait Dial: Send + Sync {
    /// Makes one.
    fn dial(&self) -> Dialled<'_>;
}

/// The hub and the credentials that a home names. They are read anew for each connection, so a renewed certificate
/// serves without a restart.
pub struct HomeDial {
    home: Home,
    limits: ConnectLimits,
    clock: Arc<dyn Clock>,
}

impl HomeDial {
    /// Goes where the home says.
    pub fn of(home: &Home, limits: ConnectLimits, clock: Arc<dyn Clock>) -> Self {
        Self { home: home.clone(), limits, clock }
    }
}

impl Dial for HomeDial {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async {
            let settings = self.home.settings();
            let credentials = self.home.credentials().map_err(ConnectError::Credentials)?;
            connect(&settings.hub, &settings.server_name, &credentials, self.limits, self.clock.clone()).await
        })
    }
}
