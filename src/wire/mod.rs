//! Between the network and the model: generated code, conversion, errors as gRPC statuses, TLS and identities.
//!
//! Contains no rules: what may be and what follows is decided elsewhere.

pub mod amendment;
pub mod certs;
pub mod chain;
pub mod client;
pub mod connect_error;
pub mod connection;
pub mod convert;
pub mod erasure;
pub mod fingerprint;
pub mod identity;
pub mod key_request;
pub mod listener;
mod obligation;
pub mod pem_file;
pub mod proto;
pub mod renewal;
pub mod request;
pub mod revocations;
pub mod status;
pub mod stranger;
pub mod tls;
pub mod trust;
