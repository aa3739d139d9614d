//! What commands print: tables for people, JSON for programs, raw bytes for pipes.
//!
//! Only results go to stdout; progress and errors go to stderr. In JSON every 64-bit number is a
//! string (readers that parse numbers as doubles would round versions), and bytes that are not UTF-8
//! stand in base64 under the field's name with `_base64` behind it, so that `scan --output json` can
//! be fed to `import`.

use std::io::{self, BufWriter, StdoutLock, Write};

use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;

use crate::encoding::{Encoding, base64_encode};
use crate::failure::{Exit, Failure, Result};

/// The form of the output of commands on data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// The bytes themselves and nothing else.
    Raw,
}

/// The form of the output of commands that report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// For people.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// A key with or without its value, as JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JsonRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    version: String,
}

impl JsonRow {
    /// A row; `value` is absent where only the key is told.
    pub(crate) fn new(key: &[u8], value: Option<&[u8]>, version: u64) -> Self {
        let (key, key_base64) = json_bytes(key);
        let (value, value_base64) = value.map(json_bytes).unwrap_or_default();
        Self {
            key,
            key_base64,
            value,
            value_base64,
            version: version.to_string(),
        }
    }
}

/// Text under the plain name, anything else under the `_base64` name.
fn json_bytes(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(base64_encode(bytes))),
    }
}

/// Buffered stdout.
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    /// Locks stdout until dropped.
    pub(crate) fn stdout() -> Self {
        Self(BufWriter::with_capacity(64 * 1024, io::stdout().lock()))
    }

    /// A line of text.
    pub(crate) fn line(&mut self, line: &str) -> Result {
        Ok(writeln!(self.0, "{line}")?)
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result {
        Ok(self.0.write_all(bytes)?)
    }

    /// One JSON object on a line.
    pub(crate) fn json(&mut self, object: &impl Serialize) -> Result {
        let line = serde_json::to_string(object)
            .map_err(|error| Failure::new(Exit::Internal, format!("cannot write JSON: {error}")))?;
        self.line(&line)
    }

    /// A key and value (or only the key) in the asked form.
    pub(crate) fn row(&mut self, format: Format, encoding: Encoding, row: &Row<'_>) -> Result {
        match (format, row.value) {
            (Format::Json, value) => self.json(&JsonRow::new(row.key, value.map(|v| &v[..]), row.version)),
            (Format::Raw, value) => {
                self.raw(row.key)?;
                if let Some(value) = value {
                    self.raw(b"\t")?;
                    self.raw(value)?;
                }
                self.raw(b"\n")
            }
            (Format::Table, None) => self.line(&encoding.line(row.key)),
            (Format::Table, Some(value)) => {
                self.line(&format!("{}\t{}", encoding.line(row.key), encoding.line(value)))
            }
        }
    }

    /// Everything written so far reaches the reader.
    pub(crate) fn finish(mut self) -> Result {
        Ok(self.0.flush()?)
    }
}

/// What [`Output::row`] prints.
pub(crate) struct Row<'a> {
    /// The key.
    pub(crate) key: &'a [u8],
    /// The value, unless only keys are wanted.
    pub(crate) value: Option<&'a Bytes>,
    /// The key's version.
    pub(crate) version: u64,
}

/// Columns aligned by the widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self {
            rows: vec![names.iter().map(|&name| name.to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, without trailing spaces.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(|row| aligned(row, &widths)).collect()
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let cells = row
        .iter()
        .zip(widths)
        .map(|(cell, &width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(key: &[u8], value: Option<&[u8]>, version: u64) -> String {
        serde_json::to_string(&JsonRow::new(key, value, version)).unwrap()
    }

    #[test]
    fn json_shows_text_or_base64_and_numbers_as_strings() {
        assert_eq!(
            json(b"k", Some(b"v"), u64::MAX),
            r#"{"key":"k","value":"v","version":"18446744073709551615"}"#
        );
        assert_eq!(
            json(b"k\xff", Some(b"\x00\xfe"), 1),
            r#"{"key_base64":"a/8=","value_base64":"AP4=","version":"1"}"#
        );
        assert_eq!(json(b"k", None, 7), r#"{"key":"k","version":"7"}"#);
        assert_eq!(
            json(b"k", Some(b""), 7),
            r#"{"key":"k","value":"","version":"7"}"#
        );
    }

    #[test]
    fn tables_align() {
        let mut table = Table::new(&["NODE", "STATE"]);
        table.row(["1".to_owned(), "serving".to_owned()]);
        table.row(["23456".to_owned(), "—".to_owned()]);
        assert_eq!(table.lines(), ["NODE   STATE", "1      serving", "23456  —"]);
    }
}
