//! `atoll put`

use atoll_env::Env;
use clap::Args;

use super::written;
use crate::args::{Connect, Shape, ValueSource};
use crate::failure::Result;

const EXAMPLES: &str = "\
Examples:
  atoll put greeting hello
  atoll put photo --file photo.jpg
  date | atoll put now -
  atoll put 00ff cafe --encoding hex

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
    connect: Connect,
}

impl Put {
    /// Writes and prints the version.
    pub(crate) async fn run(self) -> Result {
        let env = Env::real();
        let key = self.shape.key(&self.key)?;
        let value = self.value.read(&env, self.shape.encoding)?;
        let version = self.connect.client(&env).await?.put(key, value).await?;
        written::print(self.shape.output, version)
    }
}
