//! `atoll put`

use atoll_types::limits::BATCH_OPS_MAX as PAIRS_MAX;
use bytes::Bytes;
use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::{Connect, Session, Shape, ValueSource};

const EXAMPLES: &str = "\
Examples:
  atoll put greeting hello
  atoll put photo --file photo.jpg
  date | atoll put now -
  atoll put 00ff cafe --encoding hex
  atoll put a 1 b 2 c 3                     three keys, each by itself: not atomic together
  atoll put greeting hello --session s      reads with --session s see it, on any replica

Returns when a majority has the write on disk. Prints the version it got; of several keys one line each, with what
became of it.";

/// Write keys, whatever they held before.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Put {
    /// The key.
    key: String,

    #[command(flatten)]
    value: ValueSource,

    /// More keys with their values.
    #[arg(value_name = "KEY VALUE", allow_negative_numbers = true, requires = "value")]
    more: Vec<String>,

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
        if !self.more.is_empty() {
            return self.run_all(key, value, context).await;
        }
        let client = self.connect.client(context).await?;
        let version = client.put(key, value).await?;
        self.session.save(&client, context).await?;
        written::print(self.shape.output, version)
    }

    async fn run_all(self, key: Bytes, value: Bytes, context: &Context) -> Result {
        let mut rows = vec![(key, value)];
        for pair in self.more.chunks(2) {
            let [key, value] = pair else {
                let what = format!("the key {:?} has no value", pair.concat());
                return Err(Failure::usage(what).next("keys and values take turns: put KEY VALUE KEY VALUE"));
            };
            let value = self.shape.encoding.decode(value, "value")?;
            rows.push((self.shape.key(key)?, value));
        }
        if rows.len() > PAIRS_MAX {
            let what = format!("{} keys at once, at most {PAIRS_MAX}", rows.len());
            return Err(Failure::usage(what).next("use `atoll import` for many"));
        }
        let keys: Vec<Bytes> = rows.iter().map(|(key, _)| key.clone()).collect();
        let client = self.connect.client(context).await?;
        let outcomes = client.multi_put(rows).await;
        self.session.save(&client, context).await?;
        // Each has its own outcome, in the order of the keys.
        let mut exit = None;
        for (key, outcome) in keys.iter().zip(outcomes) {
            match outcome {
                Ok(version) => written::print(self.shape.output, version)?,
                Err(error) => {
                    let key = format!("the key '{}'", self.shape.encoding.line(key));
                    let failure = Failure::from(error).during(&key);
                    failure.tell(context.screen);
                    exit = exit.or(Some(failure.exit));
                }
            }
        }
        exit.map_or(Ok(()), |exit| Err(Failure::told(exit)))
    }
}
