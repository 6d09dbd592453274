//! The command line: flags, composition, printing; one file a command.
//!
//! Contains no rules.

pub mod certs;
pub mod hub;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::host::clock::SystemClock;
use crate::host::disk::OsDisk;
use crate::host::random::OsRandom;
use crate::host::tasks::TokioTasks;
use crate::hub::run::Host;

/// Exchange of urgent alerts.
#[derive(Debug, Parser)]
#[command(name = "resguardo", version)]
pub struct Cli {
    /// Home.
    #[arg(long, global = true, env = "RESGUARDO_HOME", default_value = ".")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hub.
    #[command(subcommand)]
    Hub(hub::HubCommand),
    /// Certs.
    #[command(subcommand)]
    Certs(certs::CertsCommand),
}

/// Main.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(OsRandom),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().into(),
    };
    let mut out = std::io::stdout();
    let result: anyhow::Result<()> = match &cli.command {
        Command::Hub(command) => runtime.block_on(async {
            let mut term =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signal");
            command
                .run(&host, &cli.home, &mut out, async move {
                    tokio::select! { _ = term.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
                })
                .await
                .map_err(Into::into)
        }),
        Command::Certs(certs::CertsCommand::Dev(dev)) => dev.run(&host, &mut out),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(1)
        }
    }
}
