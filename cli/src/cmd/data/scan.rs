//! `atoll scan`

use std::io::Write;

use atoll_client::{Row, ScanOptions};
use clap::Args;

use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Shape};
use crate::output::{Cell, Format, Output, Table};
use crate::screen::Screen;

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
    pub(crate) async fn run(self, context: &Context) -> Result {
        let options = ScanOptions {
            start: self.shape.bound(self.start.as_deref(), "start")?,
            end: self.shape.bound(self.end.as_deref(), "end")?,
            prefix: self.shape.bound(self.prefix.as_deref(), "prefix")?,
            limit: self.limit,
            reverse: self.reverse,
            keys_only: self.keys_only,
            ..ScanOptions::default()
        };
        let mut scan = self.connect.client(context).await?.scan(options);
        let mut output = Output::stdout();
        while let Some(page) = scan.next_page().await? {
            self.print(&page, &mut output, context.screen)?;
            // The first rows are seen before the last ones are read.
            output.flush()?;
        }
        output.finish()
    }

    fn print(&self, page: &[Row], output: &mut Output, screen: Screen) -> Result {
        let Shape {
            encoding,
            output: format,
        } = self.shape;
        if format != Format::Table {
            return page.iter().try_for_each(|row| {
                let value = (!self.keys_only).then_some(&row.value);
                output.row(format, &row.key, value, row.version)
            });
        }
        let mut table = Table::new(&["KEY", "VALUE"]).without_head();
        for row in page {
            let key = Cell::from(encoding.line(&row.key));
            let value = (!self.keys_only).then(|| Cell::from(encoding.line(&row.value)));
            table.row(std::iter::once(key).chain(value));
        }
        table.fitted(screen).iter().try_for_each(|line| output.line(line))
    }
}
