//! Options of `export`, and its one pass.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_client::{Client, Row, Scan, ScanOptions};
use atoll_env::Env;
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::range::Range;
use crate::context::Context;
use crate::encoding::Encoding;
use crate::failure::{Failure, Result};
use crate::options::Connect;
use crate::output::{Output, Report};
use crate::records::{
    Checkpoint, Column, Compression, Layout, Place, Progress, Record, Target, Totals, Writer, parse_columns,
};
use crate::units::{rate, span};

const EXAMPLES: &str = "\
Examples:
  atoll export all.jsonl
  atoll export users.csv.gz --prefix user/
  atoll export names.csv --columns key,value
  atoll export big.jsonl.zst --resume big.checkpoint      run it again after an interruption
  atoll export - | wc -l

Keys come in bytewise order. What is written meanwhile may or may not be in the file: it is no snapshot.
In CSV and TSV, keys and values that are not text stand in the columns key_base64 and value_base64.
Count and checksum equal those of an import of the file.";

/// Long enough to outlast an election and the restart of a node.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a checkpoint is written; each waits for the disk.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// Write keys and values to a file of JSON lines, CSV or TSV, with a count and a checksum.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// A new file; `-` writes standard output.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Only keys that begin like this.
    #[arg(long, conflicts_with_all = ["start", "end"])]
    prefix: Option<String>,

    /// The first key; left out: from the beginning.
    #[arg(long)]
    start: Option<String>,

    /// The first key not wanted any more; left out: up to the end.
    #[arg(long)]
    end: Option<String>,

    /// How prefix, start and end are written here.
    #[arg(long, value_enum, default_value_t)]
    encoding: Encoding,

    /// How records stand in the file; else told by its name (.jsonl, .csv, .tsv, before .gz or .zst).
    #[arg(long, value_enum)]
    format: Option<Layout>,

    /// How the file is packed; else told by its name.
    #[arg(long, value_enum, value_name = "HOW")]
    compress: Option<Compression>,

    /// Columns of CSV and TSV, of key, key_base64, value, value_base64, version.
    #[arg(long, value_delimiter = ',', value_parser = parse_columns, value_name = "NAME,…")]
    #[arg(default_value = "key,value,key_base64,value_base64")]
    columns: Vec<Column>,

    /// No header in CSV and TSV.
    #[arg(long)]
    no_header: bool,

    /// Replace the file if it exists.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,

    /// Keep in this file how far it is, and go on from there if it exists.
    #[arg(long, value_name = "CHECKPOINT")]
    resume: Option<PathBuf>,

    /// The form of the output.
    #[arg(long, short, value_enum, default_value_t)]
    output: Report,

    #[command(flatten)]
    connect: Connect,
}

/// A pass that goes on, or begins.
struct Begin {
    totals: Totals,
    after: Option<Bytes>,
    target: Target,
    complete: bool,
}

impl Export {
    /// Scans and writes.
    pub(crate) async fn run(self, context: &Context) -> Result {
        let env = &context.env;
        let begin = self.begin(env)?;
        let options = self.options()?;
        let client = self.connect.client_within(context, DEADLINE).await?;
        let start = env.clock.now();
        let mut totals = begin.totals;
        if !begin.complete {
            self.write(env, &client, options, &begin, &mut totals).await?;
        }
        if !context.is_lasting() {
            client.close().await;
        }
        self.print(&totals, env.clock.now().since(start))
    }

    fn options(&self) -> Result<ScanOptions> {
        let bytes = |text: &Option<String>, what| match text {
            Some(text) => self.encoding.decode(text, what),
            None => Ok(Bytes::new()),
        };
        Ok(ScanOptions {
            prefix: bytes(&self.prefix, "prefix")?,
            start: bytes(&self.start, "start")?,
            end: bytes(&self.end, "end")?,
            ..ScanOptions::default()
        })
    }

    fn is_stdout(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn begin(&self, env: &Env) -> Result<Begin> {
        let fresh = |target| Begin {
            totals: Totals::default(),
            after: None,
            target,
            complete: false,
        };
        if self.is_stdout() {
            if self.resume.is_some() {
                return Err(Failure::usage(
                    "--resume needs a file: standard output cannot be cut and continued",
                ));
            }
            return Ok(fresh(Target::Stdout));
        }
        let found = match &self.resume {
            Some(path) => Checkpoint::load(env, path, &self.pass())?,
            None => None,
        };
        let Some(found) = found else {
            let target = if self.overwrite {
                Target::Replaced
            } else {
                Target::New
            };
            return Ok(fresh(target(self.file.clone())));
        };
        let Place::Key(after, length) = found.place else {
            return Err(Failure::usage("the checkpoint is of an import"));
        };
        Ok(Begin {
            totals: found.totals,
            after: (found.totals.records > 0).then_some(after),
            target: Target::Continued(self.file.clone(), length),
            complete: found.complete,
        })
    }

    async fn write(
        &self,
        env: &Env,
        client: &Client,
        options: ScanOptions,
        begin: &Begin,
        totals: &mut Totals,
    ) -> Result {
        let range = Range::new(options, begin.after.clone());
        let mut scan = client.scan(range.options());
        // The file is made only when the cluster has answered.
        let first = scan.next_page().await?;
        let mut writer = self.open(&begin.target)?;
        let mut last = begin.after.clone().unwrap_or_default();
        self.rows(env, (scan, first), &range, &mut writer, (totals, &mut last))
            .await
            .map_err(|failure| failure.also(self.advice()))?;
        self.checkpoint(env, &mut writer, totals, &last, true).await?;
        writer.finish()
    }

    /// Writes page after page.
    async fn rows(
        &self,
        env: &Env,
        (mut scan, mut page): (Scan, Option<Vec<Row>>),
        range: &Range,
        writer: &mut Writer,
        (totals, last): (&mut Totals, &mut Bytes),
    ) -> Result {
        let mut progress = Progress::new(env, "exported", None);
        self.checkpoint(env, writer, totals, last, false).await?;
        let mut due = env.clock.now() + CHECKPOINT_EVERY;
        while let Some(rows) = page {
            for row in rows.into_iter().filter(|row| !range.is_done(row)) {
                let record = Record {
                    number: totals.records + 1,
                    key: row.key,
                    value: row.value,
                };
                writer.write(&record, row.version.0)?;
                totals.add(&record);
                *last = record.key;
            }
            progress.show(totals, totals.records);
            if env.clock.now() >= due {
                self.checkpoint(env, writer, totals, last, false).await?;
                due = env.clock.now() + CHECKPOINT_EVERY;
            }
            page = scan.next_page().await?;
        }
        progress.end();
        Ok(())
    }

    fn open(&self, target: &Target) -> Result<Writer> {
        let layout = self.format.unwrap_or_else(|| Layout::of(&self.file));
        let compression = self.compress.unwrap_or_else(|| Compression::of(&self.file));
        Writer::open(target, layout, compression, self.columns.clone(), !self.no_header)
    }

    async fn checkpoint(
        &self,
        env: &Env,
        writer: &mut Writer,
        totals: &Totals,
        last: &Bytes,
        complete: bool,
    ) -> Result {
        let Some(path) = &self.resume else {
            return Ok(());
        };
        let length = writer.settle()?;
        let checkpoint = Checkpoint {
            pass: self.pass(),
            totals: *totals,
            place: Place::Key(last.clone(), length),
            complete,
        };
        checkpoint.save(env, path).await
    }

    /// What must be the same for a checkpoint to fit.
    fn pass(&self) -> String {
        let bound = |bound: &Option<String>| bound.clone().unwrap_or_default();
        let columns: Vec<_> = self.columns.iter().map(|column| column.name()).collect();
        format!(
            "export to {}, prefix '{}', from '{}' to '{}' ({:?}), columns {}",
            self.file.display(),
            bound(&self.prefix),
            bound(&self.start),
            bound(&self.end),
            self.encoding,
            columns.join(","),
        )
    }

    fn advice(&self) -> &'static str {
        if self.resume.is_some() {
            "the same command goes on where it stopped"
        } else {
            "what was written so far is not complete"
        }
    }

    /// On stderr where the records are on stdout.
    fn print(&self, totals: &Totals, elapsed: Duration) -> Result {
        let line = match self.output {
            Report::Table | Report::Raw => {
                let speed = rate(totals.records, elapsed);
                let (amount, sum) = (totals.amount(), totals.sum());
                format!("exported {amount} in {} ({speed:.0}/s), {sum}", span(elapsed))
            }
            Report::Json => {
                let mut fields = totals.json();
                fields.insert("seconds".to_owned(), json!(elapsed.as_secs_f64()));
                json!({ "exported": fields, "file": Path::display(&self.file).to_string() }).to_string()
            }
        };
        let mut output = if self.is_stdout() {
            Output::stderr()
        } else {
            Output::stdout()
        };
        output.line(&line)?;
        output.finish()
    }
}
