//! `atoll min`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Session, Shape};

const EXAMPLES: &str = "\
Examples:
  atoll min fastest-lap 83120

Prints the number stored now. An absent key takes the number.";

/// Store a number if it is below the one that is stored, atomically.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Min {
    /// The key.
    key: String,

    /// The number.
    #[arg(allow_negative_numbers = true)]
    number: i64,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    session: Session,

    #[command(flatten)]
    connect: Connect,
}

impl Min {
    /// Compares, possibly stores, and prints what is there now.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let client = self.connect.client(context).await?;
        let number = client.store_min(key, self.number).await?;
        self.session.save(&client, context).await?;
        written::print_number(self.shape.output, "number", number)
    }
}
