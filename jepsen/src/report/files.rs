//! The files of a report.
#![expect(
    clippy::disallowed_methods,
    reason = "a report is written to the real disk, after the run; nothing of a node depends on it"
)]

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use atoll_history::{Error, export};

use super::{page, results};
use crate::record::Record;

/// Writes all files of a report into a folder that exists; logs of nodes are there already, as `node-<number>.log`.
/// Files of these names are replaced.
pub fn write(record: &Record, dir: &Path) -> io::Result<()> {
    // The history first: it is what cannot be made again.
    let history = BufWriter::new(File::create(dir.join("history.jsonl"))?);
    record.history.write(history).map_err(plain)?;
    let edn = BufWriter::new(File::create(dir.join("history.edn"))?);
    export::edn(&record.history, edn).map_err(plain)?;
    fs::write(dir.join("faults.json"), results::faults(record)?)?;
    fs::write(dir.join("results.json"), results::results(record)?)?;
    let page = page::page(record).map_err(io::Error::other)?;
    fs::write(dir.join("report.html"), page)
}

fn plain(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other @ Error::Line { .. } => io::Error::other(other),
    }
}
