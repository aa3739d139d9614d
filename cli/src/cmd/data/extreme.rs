//! `atoll min` and `atoll max`

use atoll_client::{Bytes, Client, Error};
use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Session, Shape};

/// Store a number if it is below the one that is stored, atomically.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoll min fastest-lap 83120

Prints the number stored now. An absent key takes the number.")]
pub(crate) struct Min {
    #[command(flatten)]
    candidate: Candidate,
}

/// Store a number if it is above the one that is stored, atomically.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atoll max high-score 4711

Prints the number stored now. An absent key takes the number.")]
pub(crate) struct Max {
    #[command(flatten)]
    candidate: Candidate,
}

/// A number that may be stored.
#[derive(Debug, Args)]
struct Candidate {
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
        let store = async |client: &Client, key: Bytes, number| client.store_min(key, number).await;
        self.candidate.run(context, store).await
    }
}

impl Max {
    /// Compares, possibly stores, and prints what is there now.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let store = async |client: &Client, key: Bytes, number| client.store_max(key, number).await;
        self.candidate.run(context, store).await
    }
}

impl Candidate {
    async fn run(
        self,
        context: &Context,
        store: impl AsyncFnOnce(&Client, Bytes, i64) -> std::result::Result<i64, Error>,
    ) -> Result {
        let key = self.shape.key(&self.key)?;
        let client = self.connect.client(context).await?;
        let number = store(&client, key, self.number).await?;
        self.session.save(&client, context).await?;
        written::print_number(self.shape.output, "number", number)
    }
}
