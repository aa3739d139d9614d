//! `atoll get`

use clap::Args;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::options::{Connect, Shape};
use crate::output::{Format, JsonRow, Output};

const EXAMPLES: &str = "\
Examples:
  atoll get greeting
  atoll get greeting --output json          with the version; base64 where it is not text
  atoll get photo --output raw > photo.jpg
  atoll get 00ff --encoding hex

Exits with 1 if the key is absent.";

/// Read one key; sees every write that returned before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    /// The key.
    key: String,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    connect: Connect,
}

impl Get {
    /// Reads and prints.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let key = self.shape.key(&self.key)?;
        let client = self.connect.client(context).await?;
        let Some(value) = client.get(key.clone()).await? else {
            return Err(Failure::new(
                Exit::Negative,
                format!("the key '{}' is absent", self.shape.encoding.line(&key)),
            ));
        };
        let mut output = Output::stdout();
        match self.shape.output {
            Format::Table => output.line(&self.shape.encoding.text(&value.bytes))?,
            Format::Raw => output.raw(&value.bytes)?,
            Format::Json => output.json(&JsonRow::new(&key, Some(&value.bytes), value.version.0))?,
        }
        output.finish()
    }
}
