//! `atoll count`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Range, Reading, Shape};

const EXAMPLES: &str = "\
Examples:
  atoll count                               every key
  atoll count --prefix user/
  atoll count user/a user/m                 from START up to, without, END

The servers count; no keys are sent. It is no snapshot.";

/// Count keys, all of them or by prefix or range.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Count {
    #[command(flatten)]
    range: Range,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    connect: Connect,
}

impl Count {
    /// Counts and prints.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let options = self.range.options(self.shape)?;
        let client = self.reading.client(&self.connect, context).await?;
        let count = client.count(options).await?;
        self.reading.done(&client, context).await?;
        written::print_number(self.shape.output, "count", count)
    }
}
