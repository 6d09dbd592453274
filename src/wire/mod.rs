//! Between the network and the model: generated code, conversion, errors as gRPC statuses, TLS and identities.
//!
//! Contains no rules: what may be and what follows is decided elsewhere.

pub mod amendment;
pub mod certs;
pub mod chain;
pub mod client;
pub mod connect_error;
pub mod connection;
pub mod content;
pub mod convert;
pub mod erasure;
mod fact;
pub mod fingerprint;
#[cfg(test)]
mod formats;
pub mod identity;
pub mod key_request;
pub mod line;
pub mod listener;
pub mod log;
pub mod manifest;
pub mod note;
mod obligation;
pub mod open_key;
pub mod pace;
pub mod pem_file;
pub mod promise;
pub mod proto;
pub mod renewal;
pub mod request;
pub mod reseal;
pub mod restored;
pub mod revocations;
pub mod signed;
pub mod status;
pub mod stranger;
pub mod tls;
pub mod trust;
