//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::bytes_text;
use crate::dataset::VALUE_BYTES_MIN;
use crate::engine::EngineName;

/// The storage engine of Atoll measured side by side with fjall, redb and sled.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put, get, scan, overwrite and restart, one engine after the other.
    ///
    /// Phases of each run: load all keys in durable batches; get keys that are there, then keys that are not; scan everything
    /// for the first time, again warm, then reopened and with the page cache dropped; a mix of half puts and half gets that goes to a fifth of the
    /// keys four times out of five; puts to that fifth alone; close and open again, warm and with the page cache dropped; at last every row is
    /// read and checked. After the load and after the mix the engine is given time until it writes nothing any more.
    Storage(StorageArgs),
    /// Overwrite for a long time within a disk budget, and draw how the directory grew.
    ///
    /// Writes one CSV per engine with a row per second, and one SVG for all. Fails if a directory outgrew its budget.
    Soak(SoakArgs),
    /// One engine's run, in a process of its own.
    #[command(hide = true)]
    Child(ChildArgs),
}

/// What the rows are and how they are put.
#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct Workload {
    /// Keys, of 24 random bytes each.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(5..))]
    pub(crate) keys: u32,
    /// Bytes of a value.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(VALUE_BYTES_MIN as i64..=65536))]
    pub(crate) value_size: u32,
    /// Of a hundred bytes of a value, how many repeat and can be compressed away; the others are random.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) compressible: u32,
    /// Rows that are put at once and made durable together.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch: u32,
    /// Bytes that an engine may use to cache what it has on disk (KiB, MiB, GiB); 0: its own default.
    #[arg(long, default_value = "128MiB", value_parser = bytes_text::parse)]
    pub(crate) cache: u64,
    /// The same seed gives the same rows in the same order.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What both programs are told about engines and folders.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Where {
    /// Engines, separated by commas. `atoll-plain` compresses nothing, `atoll-sealed` encrypts its files,
    /// `atoll-history` keeps the last million versions, `fjall-kv` is fjall with its
    /// key-value separation for values above 64 bytes.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "atoll,fjall,redb,sled"
    )]
    pub(crate) engine: Vec<EngineName>,
    /// Folder for the databases; must be on the disk that is to be measured. Default: the system's temporary folder.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Leave the databases where they are instead of removing them after each run.
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StorageArgs {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) settings: StorageSettings,
    /// Runs of every engine, interleaved. The table shows medians and, from two on, the smallest and the largest.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct StorageSettings {
    #[command(flatten)]
    pub(crate) workload: Workload,
    /// Gets of each kind; default: as many as there are keys, at most a million.
    #[arg(long)]
    pub(crate) gets: Option<u64>,
    /// Bytes of keys and values that the mix puts (KiB, MiB, GiB), to the next whole batch, and the hot phase after it again; 0: neither.
    /// Default: as many as the load.
    #[arg(long, value_parser = bytes_text::parse)]
    pub(crate) write_bytes: Option<u64>,
    /// Seconds to wait at most after the load and after the mix for an engine to write nothing for a second.
    #[arg(long, default_value_t = 60)]
    pub(crate) settle_seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people.
    Table,
    /// One JSON document with every run.
    Json,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    pub(crate) place: Where,
    #[command(flatten)]
    pub(crate) settings: SoakSettings,
    /// Folder for `soak-<engine>.csv` and `soak.svg`.
    #[arg(long, default_value = ".")]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Debug, clap::Args, Serialize, Deserialize)]
pub(crate) struct SoakSettings {
    #[command(flatten)]
    pub(crate) workload: Workload,
    /// Minutes per engine, after the keys are loaded.
    #[arg(long, default_value_t = 30.0, value_parser = minutes)]
    pub(crate) minutes: f64,
    /// Bytes that the directory may take on disk (KiB, MiB, GiB). An engine that needs more is stopped there.
    #[arg(long, default_value = "4GiB", value_parser = bytes_text::parse)]
    pub(crate) budget: u64,
    /// Rows put per second on average at most; 0: as many as the engine takes. With a rate all engines have the same to clean up.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rate: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    /// What to do, as JSON.
    pub(crate) job: String,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.01..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("minutes are a number from 0.01 to 100000".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn engines_are_a_list() {
        let args = Args::try_parse_from([
            "benches",
            "storage",
            "--engine",
            "redb,atoll",
            "--write-bytes",
            "1MiB",
        ]);
        let Command::Storage(args) = args.unwrap().command else {
            panic!("another command")
        };
        assert_eq!(args.place.engine, [EngineName::Redb, EngineName::Atoll]);
        assert_eq!(args.settings.write_bytes, Some(1 << 20));
        assert_eq!(args.settings.workload.keys, 1_000_000);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for wrong in [
            ["--keys", "4"],
            ["--batch", "0"],
            ["--value-size", "11"],
            ["--engine", "none"],
        ] {
            let args = ["benches", "storage"].into_iter().chain(wrong);
            assert!(Args::try_parse_from(args).is_err(), "{wrong:?}");
        }
        assert!(Args::try_parse_from(["benches", "soak", "--minutes", "NaN"]).is_err());
    }
}
