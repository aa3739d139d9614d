//! Options of `import`, and its passes: write, then verify.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{Client, ErrorKind};
use atoll_env::Env;
use atoll_types::limits::VALUE_BYTES_MAX;
use clap::Args;
use serde_json::{Map, Value, json};

use super::drive::{Window, drive};
use super::resume::Resume;
use super::verify::{Verdict, compare};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::Connect;
use crate::output::{Output, Report};
use crate::records::{Choice, Compression, Feed, Input, Layout, Progress, Record, Shape, Totals};
use crate::units::{rate, span};

const EXAMPLES: &str = r#"Examples:
  atoll import records.jsonl --verify
  atoll import people.csv.gz --key-column id --value-column name
  atoll import big.jsonl.zst --resume big.checkpoint      run it again after an interruption
  atoll export - --endpoints old:7401 | atoll import - --endpoints new:7401
  atoll import --synthetic 1000000 --value-size 256

A line is {"key": "…", "value": "…"}; bytes that are not text come as "key_base64", "value_base64";
other fields are ignored. CSV and TSV have these names in their header. Of several records with the same
key the last one wins. The checksum is the sum of the CRC-32 of key and value over all records: it does
not depend on their order, and equals that of the export. Repeating an import is safe.
Exits with 1 if --verify finds a difference."#;

/// Long enough to outlast an election and the restart of a node.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of records in flight, about.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// How often a record whose outcome is unknown is written again.
const REWRITES_MAX: u32 = 8;

/// Write many records from JSON lines, CSV or TSV, with a count and a checksum.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub(crate) struct Import {
    /// A file; `-` reads standard input.
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

    /// How records stand in the file; else told by its name (.jsonl, .csv, .tsv, before .gz or .zst).
    #[arg(long, value_enum, conflicts_with = "synthetic")]
    format: Option<Layout>,

    /// How the file is packed; else told by its name.
    #[arg(long, value_enum, conflicts_with = "synthetic", value_name = "HOW")]
    compress: Option<Compression>,

    /// The first row of CSV or TSV is a record already; columns are then numbers.
    #[arg(long, conflicts_with = "synthetic")]
    no_header: bool,

    /// The column of the key [default: key, key_base64; without header: 1].
    #[arg(long, value_name = "NAME|N", conflicts_with = "synthetic")]
    key_column: Option<String>,

    /// The column of the value [default: value, value_base64; without header: 2].
    #[arg(long, value_name = "NAME|N", conflicts_with = "synthetic")]
    value_column: Option<String>,

    /// Keep in this file how far it is, and go on from there if it exists.
    #[arg(long, value_name = "FILE", conflicts_with = "verify_only")]
    resume: Option<PathBuf>,

    /// Leave malformed records out, and count them, instead of stopping at the first.
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
    pub(crate) async fn run(self, context: &Context) -> Result {
        let env = &context.env;
        let (input, shape) = (self.input(), self.shape());
        let mut resume = Resume::load(env, self.resume.as_deref(), &input, &shape)?;
        // A bad file name shows before anything is written.
        let feed = Feed::open(env, &input, &shape, self.verify, resume.passed()).await?;
        let client = self.connect.client_within(context, DEADLINE).await?;
        let mut written = None;
        // What is to be read a second time; the input as it was opened if nothing was written.
        let mut unread = Some(feed);
        if !self.verify_only
            && let Some(feed) = unread.take()
        {
            let (pass, kept) = self.write(env, &client, feed, &mut resume).await?;
            unread = kept.map(|kept| Feed::again(env, kept, &shape)).transpose()?;
            written = Some(pass);
        }
        let mut checked = None;
        if self.verify || self.verify_only {
            let feed = match unread {
                Some(feed) => feed,
                None => Feed::open(env, &input, &shape, false, 0).await?,
            };
            checked = Some(self.check(env, &client, feed).await?);
        }
        if !context.is_lasting() {
            client.close().await;
        }
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

    fn shape(&self) -> Shape {
        let path = self.file.clone().unwrap_or_default();
        Shape {
            layout: self.format.unwrap_or_else(|| Layout::of(&path)),
            compression: self.compress.unwrap_or_else(|| Compression::of(&path)),
            choice: Choice {
                no_header: self.no_header,
                key: self.key_column.clone(),
                value: self.value_column.clone(),
            },
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
        mut feed: Feed,
        resume: &mut Resume,
    ) -> Result<(Pass, Option<File>)> {
        let start = env.clock.now();
        let mut progress = Progress::new(env, "imported", feed.length());
        let mut totals = resume.totals();
        let ended = loop {
            let rest_at = env.clock.now() + resume.every();
            let show = |totals: &Totals, read| {
                progress.show(totals, read);
                env.clock.now() >= rest_at
            };
            let act = |record| put(client.clone(), record);
            let driven = drive(&mut feed, self.window(), &mut totals, act, show).await;
            match driven {
                Ok(complete) => resume.save(env, &totals, complete).await?,
                Err(failure) => break Err(failure),
            }
            if matches!(driven, Ok(true)) {
                break Ok(());
            }
        };
        progress.end();
        ended.map_err(|failure| failure.also(resume.advice()))?;
        let pass = Pass {
            totals,
            elapsed: env.clock.now().since(start),
        };
        Ok((pass, feed.into_kept()?))
    }

    async fn check(&self, env: &Env, client: &Client, mut feed: Feed) -> Result<(Pass, Verdict)> {
        let start = env.clock.now();
        let verdict = parking_lot::Mutex::new(Verdict::default());
        let mut progress = Progress::new(env, "verified", feed.length());
        let mut totals = Totals::default();
        let show = |totals: &Totals, read| {
            progress.show(totals, read);
            false
        };
        let act = |record| compare(client.clone(), record, &verdict);
        let driven = drive(&mut feed, self.window(), &mut totals, act, show).await;
        progress.end();
        driven?;
        let pass = Pass {
            totals,
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
            Report::Table | Report::Raw => {
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
    format!(
        "{what} {} in {} ({:.0}/s), {}",
        pass.totals.amount(),
        span(pass.elapsed),
        rate(pass.totals.records, pass.elapsed),
        pass.totals.sum(),
    )
}

fn pass_json(pass: &Pass) -> Map<String, Value> {
    let mut fields = pass.totals.json();
    fields.insert("seconds".to_owned(), json!(pass.elapsed.as_secs_f64()));
    let speed = rate(pass.totals.records, pass.elapsed);
    fields.insert("records_per_second".to_owned(), json!(speed));
    fields
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
