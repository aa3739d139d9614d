//! Options of `import`, and its passes: write, then verify.

use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{Client, ErrorKind};
use atoll_env::Env;
use atoll_types::limits::VALUE_BYTES_MAX;
use clap::Args;
use serde_json::{Map, Value, json};

use super::drive::{Totals, Window, drive};
use super::progress::Progress;
use super::record::Record;
use super::source::{Input, Source};
use super::verify::{Verdict, compare};
use crate::args::Connect;
use crate::failure::{Failure, Result};
use crate::output::{Output, Report};
use crate::units::{bytes, count, rate, span};

const EXAMPLES: &str = r#"Examples:
  atoll import records.jsonl --verify
  zcat records.jsonl.gz | atoll import -
  atoll scan --output json --endpoints old:7401 | atoll import - --endpoints new:7401
  atoll import --synthetic 1000000 --value-size 256
  atoll import --synthetic 1000000 --value-size 256 --verify-only

A line is {"key": "…", "value": "…"}; bytes that are not text come as "key_base64", "value_base64";
other fields are ignored. Of several lines with the same key the last one wins. The checksum is the
sum of the CRC-32 of key and value over all records, so it does not depend on their order.
Repeating an import that failed is safe. Exits with 1 if --verify finds a difference."#;

/// Long enough to outlast an election and the restart of a node.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of records in flight, about.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How often a record whose outcome is unknown is written again.
const REWRITES_MAX: u32 = 8;

/// Write many records from JSON lines, with a count and a checksum.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// A file of JSON lines; `-` reads standard input.
    #[arg(required_unless_present = "synthetic", value_name = "FILE|-")]
    file: Option<PathBuf>,

    /// Make up so many records instead.
    #[arg(long, value_name = "COUNT", conflicts_with = "file")]
    synthetic: Option<u64>,

    /// Bytes of a made-up value.
    #[arg(long, default_value_t = 256, requires = "synthetic", value_parser = parse_value_size)]
    value_size: usize,

    /// Made-up records are the same for the same seed.
    #[arg(long, default_value_t = 1, requires = "synthetic")]
    seed: u64,

    /// Writes in flight.
    #[arg(long, default_value_t = 256, value_parser = parse_in_flight, value_name = "N")]
    in_flight: usize,

    /// Read every record back afterwards and compare.
    #[arg(long)]
    verify: bool,

    /// Write nothing; compare what an earlier import wrote.
    #[arg(long, conflicts_with = "verify")]
    verify_only: bool,

    /// Count malformed lines instead of stopping at the first.
    #[arg(long, conflicts_with = "synthetic")]
    skip_bad: bool,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

/// Parses a number of operations in flight.
pub(crate) fn parse_in_flight(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=65_536) => Ok(number),
        _ => Err(format!("'{text}' is not a number from 1 to 65536")),
    }
}

/// Parses the size of a value.
pub(crate) fn parse_value_size(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(size) if size <= VALUE_BYTES_MAX => Ok(size),
        _ => Err(format!("'{text}' is not a number from 0 to {VALUE_BYTES_MAX}")),
    }
}

/// One pass over the input.
struct Pass {
    totals: Totals,
    elapsed: Duration,
}

impl Import {
    /// Writes, verifies, reports.
    pub(crate) async fn run(self) -> Result {
        let env = Env::real();
        let input = self.input();
        // A bad file name shows before anything is written.
        let source = Source::open(&input, self.verify).await?;
        let client = self.connect.client_within(&env, DEADLINE).await?;
        let mut spool = None;
        let mut written = None;
        if !self.verify_only {
            let (pass, rest) = self.write(&env, &client, source).await?;
            spool = rest;
            written = Some(pass);
        }
        let mut checked = None;
        if self.verify || self.verify_only {
            let source = match spool {
                Some(spool) => Source::from_spool(spool)?,
                None => Source::open(&input, false).await?,
            };
            checked = Some(self.check(&env, &client, source).await?);
        }
        client.close().await;
        self.print(written.as_ref(), checked.as_ref())?;
        checked.map_or(Ok(()), |(_, verdict)| verdict.into_result())
    }

    fn input(&self) -> Input {
        match (&self.file, self.synthetic) {
            (_, Some(count)) => Input::Synthetic {
                count,
                value_size: self.value_size,
                seed: self.seed,
            },
            (Some(path), None) if path.as_os_str() != "-" => Input::File(path.clone()),
            _ => Input::Stdin,
        }
    }

    fn window(&self) -> Window {
        Window {
            operations: self.in_flight,
            bytes: WINDOW_BYTES,
            skip_bad: self.skip_bad,
        }
    }

    async fn write(
        &self,
        env: &Env,
        client: &Client,
        mut source: Source,
    ) -> Result<(Pass, Option<std::fs::File>)> {
        let start = env.clock.now();
        let mut progress = Progress::new(env, "imported", source.length());
        let totals = drive(
            &mut source,
            self.window(),
            |record| put(client.clone(), record),
            |totals: &Totals, read| progress.show(totals, read),
        )
        .await;
        progress.end();
        let totals = totals.map_err(|failure| failure.also("repeating the import is safe"))?;
        let pass = Pass {
            totals,
            elapsed: env.clock.now().since(start),
        };
        Ok((pass, source.into_spool()?))
    }

    async fn check(&self, env: &Env, client: &Client, mut source: Source) -> Result<(Pass, Verdict)> {
        let start = env.clock.now();
        let verdict = parking_lot::Mutex::new(Verdict::default());
        let mut progress = Progress::new(env, "verified", source.length());
        let totals = drive(
            &mut source,
            self.window(),
            |record| compare(client.clone(), record, &verdict),
            |totals: &Totals, read| progress.show(totals, read),
        )
        .await;
        progress.end();
        let pass = Pass {
            totals: totals?,
            elapsed: env.clock.now().since(start),
        };
        Ok((pass, verdict.into_inner()))
    }

    fn print(&self, written: Option<&Pass>, checked: Option<&(Pass, Verdict)>) -> Result {
        let mut output = Output::stdout();
        match self.output {
            Report::Json => output.json(&json!({
                "imported": written.map(pass_json),
                "verified": checked.map(|(pass, verdict)| {
                    let mut fields = pass_json(pass);
                    fields.insert("differences".to_owned(), json!(verdict.differences().to_string()));
                    fields
                }),
            }))?,
            Report::Table => {
                if let Some(pass) = written {
                    output.line(&pass_line("imported", pass))?;
                }
                if let Some((pass, verdict)) = checked {
                    output.line(&pass_line("verified", pass))?;
                    output.line(&format!("differences: {}", verdict.differences()))?;
                }
            }
        }
        output.finish()
    }
}

fn pass_line(what: &str, pass: &Pass) -> String {
    let Totals {
        records,
        bytes: size,
        checksum,
        skipped,
    } = pass.totals;
    let skipped = if skipped == 0 {
        String::new()
    } else {
        format!(", {} malformed lines skipped", count(skipped))
    };
    format!(
        "{what} {} records, {} in {} ({:.0}/s), checksum {checksum:016x}{skipped}",
        count(records),
        bytes(size),
        span(pass.elapsed),
        rate(records, pass.elapsed),
    )
}

fn pass_json(pass: &Pass) -> Map<String, Value> {
    [
        ("records", json!(pass.totals.records.to_string())),
        ("bytes", json!(pass.totals.bytes.to_string())),
        ("skipped", json!(pass.totals.skipped.to_string())),
        ("checksum", json!(format!("{:016x}", pass.totals.checksum))),
        ("seconds", json!(pass.elapsed.as_secs_f64())),
        (
            "records_per_second",
            json!(rate(pass.totals.records, pass.elapsed)),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// Writes one record; again if nobody can say whether it was written.
async fn put(client: Client, record: Record) -> Result {
    let mut rewrites = 0;
    loop {
        let Err(error) = client.put(record.key.clone(), record.value.clone()).await else {
            return Ok(());
        };
        let unknown = matches!(error.kind(), ErrorKind::Unknown | ErrorKind::SessionExpired);
        if !unknown || rewrites == REWRITES_MAX {
            return Err(Failure::from(error).during(&format!("record {}", record.number)));
        }
        rewrites += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_everything() {
        let totals = Totals {
            records: 60_000,
            bytes: 5 << 20,
            checksum: 0xabc,
            skipped: 0,
        };
        let pass = Pass {
            totals,
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(
            pass_line("imported", &pass),
            "imported 60,000 records, 5.0 MiB in 2.0 s (30000/s), checksum 0000000000000abc"
        );
        assert_eq!(pass_json(&pass)["records"], "60000");
        assert_eq!(pass_json(&pass)["checksum"], "0000000000000abc");
    }

    #[test]
    fn option_bounds() {
        assert_eq!(parse_in_flight("256"), Ok(256));
        assert!(parse_in_flight("0").is_err());
        assert!(parse_in_flight("65537").is_err());
        assert_eq!(parse_value_size("0"), Ok(0));
        assert!(parse_value_size("1048577").is_err());
    }
}
