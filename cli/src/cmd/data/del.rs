//! `atoll del`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Shape};

const EXAMPLES: &str = "\
Examples:
  atoll del greeting
  atoll del 00ff --encoding hex

Deleting an absent key is no error.";

/// Delete one key.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Del {
    /// The key.
    key: String,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    connect: Connect,
}

impl Del {
    /// Deletes and prints the version of the deletion.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let version = self.connect.client(context).await?.delete(key).await?;
        written::print(self.shape.output, version)
    }
}
