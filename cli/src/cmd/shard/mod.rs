//! `atoll shard`: who has which slots, and where a key lives.

mod ls;
mod picture;
mod show;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Result;

const EXAMPLES: &str = "\
Examples:
  atoll shard ls
  atoll shard show user/7";

/// Show which group has which slots, and where a key lives.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Shard {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(ls::Ls),
    Show(show::Show),
}

impl Shard {
    /// Looks and prints.
    pub(crate) async fn run(self, context: &Context) -> Result {
        match self.what {
            What::Ls(ls) => ls.run(context).await,
            What::Show(show) => show.run(context).await,
        }
    }
}
