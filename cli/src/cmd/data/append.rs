//! `atoll append`

use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Session, Shape, ValueSource};

const EXAMPLES: &str = "\
Examples:
  atoll append log 'one more, '
  date | atoll append log -

Prints how many bytes are stored now. An absent key counts as empty.";

/// Put bytes behind the value that is stored, atomically.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Append {
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

impl Append {
    /// Appends and prints the length.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let value = self.value.read(&context.env, self.shape.encoding)?;
        let client = self.connect.client(context).await?;
        let length = client.append(key, value).await?;
        self.session.save(&client, context).await?;
        written::print_number(self.shape.output, "length", length)
    }
}
