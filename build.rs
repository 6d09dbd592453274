//! Compiles `proto/` without a `protoc` binary.

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 11] = [
    "resguardo/v1/message.proto",
    "resguardo/v1/exchange.proto",
    "resguardo/v1/audit.proto",
    "resguardo/v1/directory.proto",
    "resguardo/v1/enrolment.proto",
    "resguardo/v1/operator.proto",
    "resguardo/v1/files.proto",
    "resguardo/v1/packet.proto",
    "resguardo/v1/content.proto",
    "resguardo/v1/evidence.proto",
    "resguardo/v1/log.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let set = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Served by server reflection.
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(set)?;
    Ok(())
}
