//! The generated code of `proto/resguardo/v1/`, and its descriptors for server reflection.

#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, reason = "generated")]

tonic::include_proto!("resguardo.v1");

/// The compiled `FileDescriptorSet` of all files.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
