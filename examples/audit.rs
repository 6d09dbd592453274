//! Asks what became of every message: who was owed it, and what each office stated.
//!
//! ```sh
//! cargo run --example audit -- certs-dev/auditor-iachr
//! ```
//!
//! Here the generated client is used as it is: whatever the protocol has can be called in this way.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to read and run")]

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use resguardo::desk::dial::{Dial as _, HomeDial};
use resguardo::desk::home::Home;
use resguardo::host::clock::SystemClock;
use resguardo::host::disk::OsDisk;
use resguardo::wire::client::ConnectLimits;
use resguardo::wire::proto::audit_service_client::AuditServiceClient;
use resguardo::wire::proto::{ListDeliveriesRequest, Selection};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [home] = &arguments[..] else { bail!("give an auditor's or a desk's home") };
    let home = Home::open(Arc::new(OsDisk), Path::new(home))?;
    let dial = HomeDial::of(&home, ConnectLimits::default(), Arc::new(SystemClock::new()));

    let request = ListDeliveriesRequest { selection: Some(Selection::default()) };
    let answer = AuditServiceClient::new(dial.dial().await?).list_deliveries(request).await;
    let mut frames = answer?.into_inner();
    while let Some(frame) = frames.message().await? {
        for delivery in frame.deliveries {
            let stages: Vec<_> = delivery.stages.iter().map(|it| it.stage().as_str_name()).collect();
            let index = delivery.message.map(|message| message.index).unwrap_or_default();
            println!("{index:>8}  {:<24}  {}", delivery.office, stages.join(" "));
        }
    }
    Ok(())
}
