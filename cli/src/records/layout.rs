//! How records stand in a file, and how the file is packed. Told by its name unless options tell.

use std::path::Path;

use clap::ValueEnum;

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values, RFC 4180.
    Csv,
    /// As CSV, with a tab between columns.
    Tsv,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// gzip (.gz).
    Gz,
    /// Zstandard (.zst).
    Zst,
}

/// A column of CSV or TSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// The key, if it is text.
    Key,
    /// The key in base64.
    KeyBase64,
    /// The value, if it is text.
    Value,
    /// The value in base64.
    ValueBase64,
    /// The version.
    Version,
}

impl Layout {
    /// As the name's end tells; JSON lines where it tells nothing.
    pub(crate) fn of(path: &Path) -> Self {
        let name = lower_name(path);
        let (_, plain) = Compression::strip(&name);
        match plain.rsplit_once('.') {
            Some((_, "csv")) => Self::Csv,
            Some((_, "tsv" | "tab")) => Self::Tsv,
            _ => Self::Jsonl,
        }
    }

    /// What stands between columns; `None` where there are none.
    pub(crate) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Jsonl => None,
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
        }
    }
}

impl Compression {
    /// As the name's end tells.
    pub(crate) fn of(path: &Path) -> Self {
        Self::strip(&lower_name(path)).0
    }

    fn strip(name: &str) -> (Self, &str) {
        if let Some(plain) = name.strip_suffix(".gz") {
            (Self::Gz, plain)
        } else if let Some(plain) = name.strip_suffix(".zst") {
            (Self::Zst, plain)
        } else {
            (Self::None, name)
        }
    }
}

fn lower_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

impl Column {
    /// As it stands in a header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::KeyBase64 => "key_base64",
            Self::Value => "value",
            Self::ValueBase64 => "value_base64",
            Self::Version => "version",
        }
    }
}

/// Parses one name of a column.
pub(crate) fn parse_columns(text: &str) -> Result<Column, String> {
    const ALL: [Column; 5] = [
        Column::Key,
        Column::KeyBase64,
        Column::Value,
        Column::ValueBase64,
        Column::Version,
    ];
    ALL.into_iter()
        .find(|column| column.name() == text)
        .ok_or_else(|| format!("'{text}' is none of {}", ALL.map(Column::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for (name, layout, compression) in [
            ("a.jsonl", Layout::Jsonl, Compression::None),
            ("A.CSV", Layout::Csv, Compression::None),
            ("a.tsv.gz", Layout::Tsv, Compression::Gz),
            ("d/a.csv.zst", Layout::Csv, Compression::Zst),
            ("csv", Layout::Jsonl, Compression::None),
            ("-", Layout::Jsonl, Compression::None),
            (".gz", Layout::Jsonl, Compression::Gz),
        ] {
            let path = Path::new(name);
            assert_eq!(
                (Layout::of(path), Compression::of(path)),
                (layout, compression),
                "{name}"
            );
        }
    }

    #[test]
    fn columns_have_names() {
        assert_eq!(parse_columns("key_base64"), Ok(Column::KeyBase64));
        assert!(parse_columns("id").unwrap_err().contains("value_base64"));
    }
}
