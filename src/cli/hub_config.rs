//! `hub config`: whether a home's `hub.toml` is right, and what is in effect with it.

use clap::Args;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::hub::home::Home;

/// `hub config`
#[derive(Debug, Args)]
pub struct HubConfig {
    /// Print every key with what is in effect, as a `hub.toml` that means the same.
    #[arg(long)]
    print: bool,
}

impl HubConfig {
    /// Does it.
    ///
    /// # Errors
    /// Usage: the file is not there or not right, with the line.
    pub(super) fn run(&self, context: &Context, home: &Home) -> Result<Exit, Failure> {
        let config = home.config(context.disk.as_ref())?;
        if self.print {
            context.screen.raw(config.to_text().as_bytes())?;
        } else {
            context.screen.line("hub.toml is right")?;
        }
        Ok(Exit::Done)
    }
}
