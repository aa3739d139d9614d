//! `atoll put`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Session, Shape, ValueSource};

const EXAMPLES: &str = "\
Examples:
  atoll put greeting hello
  atoll put photo --file photo.jpg
  date | atoll put now -
  atoll put 00ff cafe --encoding hex
  atoll put greeting hello --session s      reads with --session s see it, on any replica

Returns when a majority has the write on disk. Prints the version it got.";

/// Write one key, whatever it held before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Put {
    /// The key.
    key: String,

    #[command(flatten)]
    value: ValueSource,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    session: Session,

    #[command(flatten)]
    connect: Connect,
}

impl Put {
    /// Writes and prints the version.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let value = self.value.read(&context.env, self.shape.encoding)?;
        let client = self.connect.client(context).await?;
        let version = client.put(key, value).await?;
        self.session.save(&client, context).await?;
        written::print(self.shape.output, version)
    }
}
