//! What commands print: tables for people, JSON for programs, raw bytes for pipes.
//!
//! Only results go to stdout; progress and errors go to stderr. In JSON every 64-bit number is a
//! string (readers that parse numbers as doubles would round versions), and bytes that are not UTF-8
//! stand in base64 under the field's name with `_base64` behind it, so that `scan --output json` can
//! be fed to `import`.

mod table;

use std::io::{self, BufWriter, Write};

use atoll_types::Version;
use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::table::{Cell, Table};
use crate::encoding::base64_encode;
use crate::failure::{Exit, Failure, Result};
use crate::screen::Screen;

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
    /// The same as the table, with tabs between columns instead of alignment, whole and without colours.
    Raw,
}

impl Report {
    /// What is known of the place that lines in this form go to.
    pub(crate) fn screen(self, screen: Screen) -> Screen {
        if self == Self::Raw { Screen::TABS } else { screen }
    }
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

/// A buffered stream of results.
pub(crate) struct Output(BufWriter<Box<dyn Write>>);

impl Output {
    /// Locks stdout until dropped.
    pub(crate) fn stdout() -> Self {
        Self::to(Box::new(io::stdout().lock()))
    }

    /// Locks stderr until dropped: for a report whose stdout has something else.
    pub(crate) fn stderr() -> Self {
        Self::to(Box::new(io::stderr().lock()))
    }

    fn to(stream: Box<dyn Write>) -> Self {
        Self(BufWriter::with_capacity(64 * 1024, stream))
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

    /// A key and value (or only the key), for programs.
    pub(crate) fn row(
        &mut self,
        format: Format,
        key: &[u8],
        value: Option<&Bytes>,
        version: Version,
    ) -> Result {
        if format == Format::Json {
            return self.json(&JsonRow::new(key, value.map(|value| &value[..]), version.0));
        }
        self.raw(key)?;
        if let Some(value) = value {
            self.raw(b"\t")?;
            self.raw(value)?;
        }
        self.raw(b"\n")
    }

    /// Everything written so far reaches the reader.
    pub(crate) fn finish(mut self) -> Result {
        Ok(self.0.flush()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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
}
