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
        let (start, end) = self.range()?;
        let client = self.connect.client(&Env::real()).await?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut scan = client.scan(ScanOptions {
            start,
            end,
            limit: self.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            reverse: self.reverse,
            keys_only: self.keys_only,
            ..ScanOptions::default()
        });
        let mut output = Output::stdout();
        while left > 0 {
            let Some(page) = scan.next_page().await? else { break };
            for row in page.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                let value = (!self.keys_only).then_some(&row.value);
                let row = Row { key: &row.key, value, version: row.version.0 };
                output.row(self.shape.output, self.shape.encoding, &row)?;
                left -= 1;
            }
        }
        output.finish()
    }

    /// The wanted range; an empty end has no bound.
    fn range(&self) -> Result<(Bytes, Bytes)> {
        let decode = |text: &Option<String>, what| match text {
            Some(text) => self.shape.encoding.decode(text, what),
            None => Ok(Bytes::new()),
        };
        match &self.prefix {
            Some(_) => {
                let prefix = decode(&self.prefix, "prefix")?;
                let end = prefix_end(&prefix);
                Ok((prefix, end))
            }
            None => Ok((decode(&self.start, "start")?, decode(&self.end, "end")?)),
        }
    }
}

/// The first key after all keys with this prefix; empty if there is none.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX).map_or(0, |last| last + 1);
    let mut end = prefix.get(..kept).unwrap_or_default().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(prefix_end(b"user/"), &b"user0"[..]);
        assert_eq!(prefix_end(b"a\xff\xff"), &b"b"[..]);
        assert_eq!(prefix_end(b"\xff"), &b""[..]);
        assert_eq!(prefix_end(b""), &b""[..]);
    }
}
