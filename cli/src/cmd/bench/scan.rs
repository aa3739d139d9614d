//! `bench scan`: reads all keys in order, again and again, and checks the order.

use std::path::Path;
use std::time::Duration;

use atoll_client::{Bytes, Client, ScanOptions};
use atoll_env::vfs::OpenMode;
use atoll_env::{Env, Instant};
use clap::Args;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::command::Bench;
use super::figures::{self, Cpu};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, Report, Table};
use crate::screen::Screen;
use crate::survey::Survey;
use crate::units::{bytes, count, per_second, rate, span};

/// How to scan.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ScanPlan {
    /// Scans at a time, of `scan`.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    scans: u16,

    /// Leave the values out, of `scan`.
    #[arg(long)]
    keys_only: bool,

    /// From the last key to the first, of `scan`.
    #[arg(long)]
    reverse: bool,

    /// Rows of a page, about, of `scan`.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4096))]
    #[arg(value_name = "ROWS")]
    page_rows: u32,
}

/// What one task read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Read {
    rows: u64,
    bytes: u64,
    passes: u64,
    /// Rows of the last whole pass.
    rows_of_pass: u64,
}

/// What all of them read, and what it took.
#[derive(Clone, Debug, Default)]
struct Scanned {
    read: Read,
    elapsed: Duration,
    client_cpu_us: u64,
    servers_cpu_us: u64,
    /// The most this process ever held.
    client_peak_bytes: u64,
    /// What the largest server holds afterwards.
    server_bytes: u64,
}

impl Bench {
    /// Scans until the time is over, at least once, and reports.
    pub(super) async fn measure_scan(&self, context: &Context) -> Result {
        let env = &context.env;
        let client = self.connect.client(context).await?;
        let before = Survey::take(env, &self.connect.endpoints).await?.counters();
        let (cpu, start) = (Cpu::now(), env.clock.now());
        let until = start + self.duration;
        let scans = (0..self.scan.scans).map(|_| passes(env, &client, self, until));
        let reads = try_join_all(scans)
            .await
            .map_err(|failure| failure.during("scanning"))?;
        let elapsed = env.clock.now().since(start);
        let client_cpu_us = Cpu::now().since(cpu);
        let after = Survey::take(env, &self.connect.endpoints).await?.counters();
        client.close().await;
        let nodes = figures::nodes(&before, &after);
        self.print(&Scanned {
            read: reads.into_iter().fold(Read::default(), Read::and),
            elapsed,
            client_cpu_us,
            servers_cpu_us: nodes.values().map(|node| node.cpu_us).sum(),
            client_peak_bytes: peak_bytes(env).unwrap_or(0),
            server_bytes: after.values().map(|node| node.resident_bytes).max().unwrap_or(0),
        })
    }

    fn print(&self, scanned: &Scanned) -> Result {
        let mut output = Output::stdout();
        match self.output {
            Report::Table | Report::Raw => {
                for line in scanned.table().fitted(self.output.screen(Screen::NONE)) {
                    output.line(&line)?;
                }
            }
            Report::Json => output.json(&scanned.json())?,
        }
        output.finish()
    }

    fn scan_options(&self) -> ScanOptions {
        ScanOptions {
            keys_only: self.scan.keys_only,
            reverse: self.scan.reverse,
            page_rows: self.scan.page_rows,
            ..ScanOptions::default()
        }
    }
}

/// Pass after pass; the last one begun before `until` is finished.
async fn passes(env: &Env, client: &Client, bench: &Bench, until: Instant) -> Result<Read> {
    let mut read = Read::default();
    while read.passes == 0 || env.clock.now() < until {
        let rows = pass(client, bench.scan_options(), &mut read).await?;
        read.passes += 1;
        read.rows_of_pass = rows;
    }
    Ok(read)
}

async fn pass(client: &Client, options: ScanOptions, read: &mut Read) -> Result<u64> {
    let reverse = options.reverse;
    let mut scan = client.scan(options);
    let mut last: Option<Bytes> = None;
    let mut rows = 0;
    while let Some(page) = scan.next_page().await? {
        for row in page {
            if last
                .as_ref()
                .is_some_and(|last| (row.key < *last) != reverse || row.key == *last)
            {
                let what = format!("key \"{}\" is out of order", row.key.escape_ascii());
                return Err(Failure::new(Exit::Internal, what));
            }
            rows += 1;
            read.rows += 1;
            read.bytes += (row.key.len() + row.value.len()) as u64;
            last = Some(row.key);
        }
    }
    Ok(rows)
}

/// The high-water mark of this process' memory, as Linux tells it.
fn peak_bytes(env: &Env) -> Option<u64> {
    let file = env
        .vfs
        .open(Path::new("/proc/self/status"), OpenMode::Read)
        .ok()?;
    let mut buffer = [0; 4096];
    let len = file.read_at(&mut buffer, 0).ok()?;
    high_water(str::from_utf8(buffer.get(..len)?).ok()?)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

impl Read {
    fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            passes: self.passes + other.passes,
            rows_of_pass: self.rows_of_pass.max(other.rows_of_pass),
        }
    }
}

impl Scanned {
    fn per_row(&self, micros: u64) -> f64 {
        if self.read.rows == 0 {
            return 0.0;
        }
        micros as f64 / self.read.rows as f64
    }

    fn table(&self) -> Table {
        let read = self.read;
        let speed = count(per_second(read.rows, self.elapsed));
        let volume = bytes(per_second(read.bytes, self.elapsed));
        let mut table = Table::new(&["throughput", &format!("{speed} rows/s, {volume}/s")]);
        table.row([
            "rows".to_owned(),
            format!(
                "{} in {} and {} passes, {} in the last; in order",
                count(read.rows),
                span(self.elapsed),
                count(read.passes),
                count(read.rows_of_pass)
            ),
        ]);
        table.row([
            "CPU per row".to_owned(),
            format!(
                "client {:.2} µs, servers {:.2} µs",
                self.per_row(self.client_cpu_us),
                self.per_row(self.servers_cpu_us)
            ),
        ]);
        table.row([
            "memory".to_owned(),
            format!(
                "client {} at most, largest server {}",
                bytes(self.client_peak_bytes),
                bytes(self.server_bytes)
            ),
        ]);
        table
    }

    fn json(&self) -> Value {
        json!({
            "seconds": self.elapsed.as_secs_f64(),
            "rows": self.read.rows.to_string(),
            "rows_per_second": rate(self.read.rows, self.elapsed),
            "bytes": self.read.bytes.to_string(),
            "passes": self.read.passes.to_string(),
            "rows_of_last_pass": self.read.rows_of_pass.to_string(),
            "cpu_us_per_row": {
                "client": self.per_row(self.client_cpu_us),
                "servers": self.per_row(self.servers_cpu_us),
            },
            "client_peak_bytes": self.client_peak_bytes.to_string(),
            "server_bytes_max": self.server_bytes.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_found() {
        let status = "Name:\tatoll\nVmPeak:\t  20 kB\nVmHWM:\t   12 kB\nVmRSS:\t 3 kB\n";
        assert_eq!(high_water(status), Some(12 * 1024));
        assert_eq!(high_water("Name:\tatoll\n"), None);
    }

    #[test]
    fn what_tasks_read_adds_up() {
        let one = Read {
            rows: 10,
            bytes: 50,
            passes: 2,
            rows_of_pass: 5,
        };
        let both = one.and(Read {
            rows_of_pass: 6,
            ..one
        });
        assert_eq!(
            (both.rows, both.bytes, both.passes, both.rows_of_pass),
            (20, 100, 4, 6)
        );
        let scanned = Scanned {
            read: both,
            elapsed: Duration::from_secs(2),
            client_cpu_us: 40,
            ..Scanned::default()
        };
        assert_eq!(scanned.json()["rows_per_second"], 10.0);
        assert_eq!(scanned.json()["cpu_us_per_row"]["client"], 2.0);
        let lines = scanned.table().lines().join("\n");
        assert!(
            lines.contains("10 rows/s") && lines.contains("4 passes"),
            "{lines}"
        );
    }
}
