//! `atoll incr`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Session, Shape};

const EXAMPLES: &str = "\
Examples:
  atoll incr visits
  atoll incr stock -3

Prints the number stored now. An absent key counts as 0. The number is stored as decimal text, so that
`get` and `put` work with it. If it is no number, or the sum does not fit into 64 bits, nothing is changed.";

/// Add to a number, atomically.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Incr {
    /// The key.
    key: String,

    /// What to add.
    #[arg(allow_negative_numbers = true, default_value_t = 1)]
    by: i64,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    session: Session,

    #[command(flatten)]
    connect: Connect,
}

impl Incr {
    /// Adds and prints the sum.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let client = self.connect.client(context).await?;
        let number = client.increment(key, self.by).await?;
        self.session.save(&client, context).await?;
        written::print_number(self.shape.output, "number", number)
    }
}
