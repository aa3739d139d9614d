//! `atoll del`

use clap::Args;
use futures_util::future::join_all;

use super::{del_range, written};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::{Connect, Session, Shape};

const EXAMPLES: &str = "\
Examples:
  atoll del greeting
  atoll del a b c                                   each by itself, not all or none
  atoll del 00ff --encoding hex
  atoll del --range 'cart:{7}:' 'cart:{7};'         from START up to, without, END

Deleting an absent key is no error. Both bounds of a range begin alike up to the end of their {tag}, so
that the range lies in one slot. It is deleted in pages of 4,096 keys, each of them atomic.";

/// Delete keys, or a range of keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Del {
    /// The keys.
    #[arg(required_unless_present = "range", value_name = "KEY")]
    keys: Vec<String>,

    /// Delete every key from START up to, without, END.
    #[arg(long, num_args = 2, value_names = ["START", "END"], conflicts_with = "keys")]
    range: Option<Vec<String>>,

    /// Do not ask before deleting a range.
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    session: Session,

    #[command(flatten)]
    connect: Connect,
}

impl Del {
    /// Deletes and prints the version of the deletion, or how many keys were deleted.
    pub(crate) async fn run(self, context: &Context) -> Result {
        if let Some([start, end]) = self.range.as_deref() {
            let bounds = (
                self.shape.bound(Some(start), "start")?,
                self.shape.bound(Some(end), "end")?,
            );
            let client = self.connect.client(context).await?;
            let deleted = del_range::run(&client, bounds, self.shape.encoding, self.yes).await?;
            self.session.save(&client, context).await?;
            return written::print_number(self.shape.output, "deleted", deleted);
        }
        let keys: Result<Vec<_>> = self.keys.iter().map(|key| self.shape.key(key)).collect();
        let keys = keys?;
        let client = self.connect.client(context).await?;
        let results = join_all(keys.iter().map(|key| client.delete(key.clone()))).await;
        self.session.save(&client, context).await?;
        // Each has its own outcome: what was done is told before what failed.
        let mut failed = Ok(());
        for (key, result) in keys.iter().zip(results) {
            match result {
                Ok(version) => written::print(self.shape.output, version)?,
                Err(error) => {
                    let key = format!("the key '{}'", self.shape.encoding.line(key));
                    failed = failed.and(Err(Failure::from(error).during(&key)));
                }
            }
        }
        failed
    }
}
