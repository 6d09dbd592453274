//! `completions`: what a shell needs to complete commands.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::context::Context;
use super::exit::{Exit, Failure};

/// Writes completions for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  resguardo completions bash > ~/.local/share/bash-completion/completions/resguardo"
)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut bytes = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "resguardo", &mut bytes);
        context.screen.raw(&bytes)?;
        Ok(Exit::Done)
    }
}
