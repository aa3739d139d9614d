//! `atoll scan`

use std::io::Write;

use atoll_client::{Row, ScanOptions};
use clap::Args;

use super::written;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{Connect, Range, Reading, Shape};
use crate::output::{Cell, Format, Output, Table};
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  atoll scan                                every key, in bytewise order
  atoll scan --prefix user/ --limit 10
  atoll scan user/a user/m --keys-only      from START up to, without, END
  atoll scan --reverse --limit 1            the last key
  atoll scan --prefix user/ --count         how many
  atoll scan --output json > backup.jsonl   can be given to atoll import

Rows are printed as they arrive; the whole is no snapshot.";

/// Read keys in order, by prefix or range.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Scan {
    #[command(flatten)]
    range: Range,

    /// Stop after so many rows.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// From the last key to the first.
    #[arg(long)]
    reverse: bool,

    /// Leave the values out.
    #[arg(long)]
    keys_only: bool,

    /// Print only how many rows there are.
    #[arg(long, conflicts_with_all = ["keys_only", "reverse"])]
    count: bool,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    connect: Connect,
}

impl Scan {
    /// Prints page after page.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let options = ScanOptions {
            limit: self.limit,
            reverse: self.reverse,
            keys_only: self.keys_only,
            ..self.range.options(self.shape)?
        };
        let client = self.reading.client(&self.connect, context).await?;
        if self.count {
            let count = client.count(options).await?;
            self.reading.done(&client, context).await?;
            return written::print_number(self.shape.output, "count", count);
        }
        let mut scan = client.scan(options);
        let mut output = Output::stdout();
        while let Some(page) = scan.next_page().await? {
            self.print(&page, &mut output, context.screen)?;
            // The first rows are seen before the last ones are read.
            output.flush()?;
        }
        self.reading.done(&client, context).await?;
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
        let mut table = Table::new(&["KEY", "VALUE"])
            .giving_way(&["VALUE"])
            .without_head();
        for row in page {
            let key = Cell::from(encoding.line(&row.key));
            let value = (!self.keys_only).then(|| Cell::from(encoding.line(&row.value)));
            table.row(std::iter::once(key).chain(value));
        }
        table.fitted(screen).iter().try_for_each(|line| output.line(line))
    }
}
