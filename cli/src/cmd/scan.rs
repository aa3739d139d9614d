//! `atoll scan`

use atoll_client::ScanOptions;
use atoll_env::Env;
use bytes::Bytes;
use clap::Args;

use crate::args::{Connect, Shape};
use crate::failure::Result;
use crate::output::{Output, Row};

const EXAMPLES: &str = "\
Examples:
  atoll scan                                every key, in bytewise order
  atoll scan --prefix user/ --limit 10
  atoll scan user/a user/m --keys-only      from START up to, without, END
  atoll scan --reverse --limit 1            the last key
  atoll scan --output json > backup.jsonl   can be given to atoll import";

/// Read keys in order, by prefix or range.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Scan {
    /// The first key; left out: from the beginning.
    #[arg(conflicts_with = "prefix")]
    start: Option<String>,

    /// The first key not wanted any more; left out: up to the end.
    end: Option<String>,

    /// Only keys that begin like this.
    #[arg(long, conflicts_with = "end")]
    prefix: Option<String>,

    /// Stop after so many rows.
    #[arg(long)]
    limit: Option<u64>,

    /// From the last key to the first.
    #[arg(long)]
    reverse: bool,

    /// Leave the values out.
    #[arg(long)]
    keys_only: bool,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    connect: Connect,
}

impl Scan {
    /// Prints page after page.
    pub(crate) async fn run(self) -> Result {
        let decode = |text: &Option<String>, what| match text {
            Some(text) => self.shape.encoding.decode(text, what),
            None => Ok(Bytes::new()),
        };
        let options = ScanOptions {
            start: decode(&self.start, "start")?,
            end: decode(&self.end, "end")?,
            prefix: decode(&self.prefix, "prefix")?,
            limit: self.limit,
            reverse: self.reverse,
            keys_only: self.keys_only,
            ..ScanOptions::default()
        };
        let mut scan = self.connect.client(&Env::real()).await?.scan(options);
        let mut output = Output::stdout();
        while let Some(page) = scan.next_page().await? {
            for row in &page {
                let value = (!self.keys_only).then_some(&row.value);
                let row = Row {
                    key: &row.key,
                    value,
                    version: row.version.0,
                };
                output.row(self.shape.output, self.shape.encoding, &row)?;
            }
        }
        output.finish()
    }
}
