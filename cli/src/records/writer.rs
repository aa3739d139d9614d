//! Writes a file of records.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::layout::{Column, Compression, Layout};
use super::pack::Packer;
use super::record::Record;
use crate::encoding::base64_encode;
use crate::failure::{Exit, Failure, Result};
use crate::output::JsonRow;

/// Where to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A new file.
    New(PathBuf),
    /// A file, whatever it holds.
    Replaced(PathBuf),
    /// A file that holds so many bytes already; what is behind them is cut off.
    Continued(PathBuf, u64),
    /// Standard output.
    Stdout,
}

/// Writes records, packed.
pub(crate) struct Writer {
    body: Body,
    columns: Vec<Column>,
    /// Absent for stdout.
    file: Option<File>,
}

/// `None` only after an error.
enum Body {
    Lines(Box<Packer>),
    Table(Option<Box<csv::Writer<Packer>>>, u8),
}

impl Writer {
    /// Opens the target. `columns` and `header` matter where there are columns.
    pub(crate) fn open(
        target: &Target,
        layout: Layout,
        compression: Compression,
        columns: Vec<Column>,
        header: bool,
    ) -> Result<Self> {
        let file = open(target)?;
        let out: Box<dyn Write> = match &file {
            Some(file) => Box::new(file.try_clone()?),
            None => Box::new(io::stdout()),
        };
        let packer = Packer::new(out, compression)?;
        let continued = matches!(target, Target::Continued(_, bytes) if *bytes > 0);
        let mut body = match layout.delimiter() {
            None => Body::Lines(Box::new(packer)),
            Some(delimiter) => Body::Table(Some(rows(packer, delimiter)), delimiter),
        };
        if let Body::Table(Some(rows), _) = &mut body
            && header
            && !continued
        {
            rows.write_record(columns.iter().map(|column| column.name()))
                .map_err(|error| unwritable(&error))?;
        }
        Ok(Self { body, columns, file })
    }

    /// Writes one record.
    pub(crate) fn write(&mut self, record: &Record, version: u64) -> Result {
        match &mut self.body {
            Body::Lines(packer) => {
                let row = JsonRow::new(&record.key, Some(&record.value), version);
                serde_json::to_writer(packer.as_mut(), &row)
                    .map_err(|error| Failure::from(io::Error::from(error)))?;
                Ok(packer.write_all(b"\n")?)
            }
            Body::Table(Some(rows), _) => {
                for column in &self.columns {
                    let cell = cell(*column, record, version, &self.columns)?;
                    rows.write_field(cell).map_err(|error| unwritable(&error))?;
                }
                rows.write_record(None::<&[u8]>)
                    .map_err(|error| unwritable(&error))
            }
            Body::Table(None, _) => Err(broken()),
        }
    }

    /// Everything written so far is in the file and on the disk; gives the file's length then.
    pub(crate) fn settle(&mut self) -> Result<u64> {
        match &mut self.body {
            Body::Lines(packer) => packer.next_part()?,
            Body::Table(writer, delimiter) => {
                let ended = writer.take().ok_or_else(broken)?.into_inner();
                let mut packer = ended.map_err(csv::IntoInnerError::into_error)?;
                packer.next_part()?;
                *writer = Some(rows(packer, *delimiter));
            }
        }
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        file.sync_data()?;
        Ok(file.stream_position()?)
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Result {
        match self.body {
            Body::Lines(packer) => packer.finish()?,
            Body::Table(writer, _) => {
                let ended = writer.ok_or_else(broken)?.into_inner();
                ended.map_err(csv::IntoInnerError::into_error)?.finish()?;
            }
        }
        match self.file {
            Some(file) => Ok(file.sync_all()?),
            None => Ok(()),
        }
    }
}

fn rows(packer: Packer, delimiter: u8) -> Box<csv::Writer<Packer>> {
    let mut builder = csv::WriterBuilder::new();
    Box::new(builder.delimiter(delimiter).flexible(true).from_writer(packer))
}

/// What stands in a column. Text stands in the text column if there is one, bytes only in base64.
fn cell(column: Column, record: &Record, version: u64, columns: &[Column]) -> Result<Vec<u8>> {
    let place = |bytes: &[u8], base64: bool, text_column: Column, base64_column: Column| {
        let text = str::from_utf8(bytes).is_ok() && columns.contains(&text_column);
        match (base64, text) {
            (false, true) => Ok(bytes.to_vec()),
            (true, false) => Ok(base64_encode(bytes).into_bytes()),
            (false, false) if !columns.contains(&base64_column) => Err(not_text(record, text_column)),
            _ => Ok(Vec::new()),
        }
    };
    match column {
        Column::Key => place(&record.key, false, Column::Key, Column::KeyBase64),
        Column::KeyBase64 => place(&record.key, true, Column::Key, Column::KeyBase64),
        Column::Value => place(&record.value, false, Column::Value, Column::ValueBase64),
        Column::ValueBase64 => place(&record.value, true, Column::Value, Column::ValueBase64),
        Column::Version => Ok(version.to_string().into_bytes()),
    }
}

fn not_text(record: &Record, column: Column) -> Failure {
    let key = record.key.escape_ascii();
    let name = column.name();
    Failure::new(Exit::Negative, format!("the {name} of '{key}' is not text")).next(format!(
        "add the column {name}_base64 to --columns, or export JSON lines"
    ))
}

fn open(target: &Target) -> Result<Option<File>> {
    let mut options = File::options();
    options.read(true).write(true);
    let (path, length) = match target {
        Target::Stdout => return Ok(None),
        Target::New(path) => (path, options.create_new(true).open(path).map(|file| (file, 0))),
        Target::Replaced(path) => {
            let opened = options.create(true).truncate(true).open(path);
            (path, opened.map(|file| (file, 0)))
        }
        Target::Continued(path, bytes) => (path, options.open(path).map(|file| (file, *bytes))),
    };
    let (mut file, length) = length.map_err(|error| cannot_open(path, &error))?;
    if file.metadata()?.len() < length {
        let what = format!("{} is shorter than the checkpoint says", path.display());
        return Err(Failure::usage(what).next("remove the checkpoint to export from the beginning"));
    }
    if file.metadata()?.is_file() {
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
    }
    Ok(Some(file))
}

fn cannot_open(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::usage(format!("{} exists already", path.display()))
            .next("choose another name, or give --overwrite");
    }
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}

fn unwritable(error: &csv::Error) -> Failure {
    match error.kind() {
        csv::ErrorKind::Io(error) => Failure::from(io::Error::from(error.kind())),
        _ => Failure::new(Exit::Internal, format!("cannot write the row: {error}")),
    }
}

fn broken() -> Failure {
    Failure::new(
        Exit::Internal,
        "the output could not be continued after an earlier error",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Column; 4] = [Column::Key, Column::Value, Column::KeyBase64, Column::ValueBase64];

    fn record(key: &'static [u8], value: &'static [u8]) -> Record {
        Record {
            number: 1,
            key: key.into(),
            value: value.into(),
        }
    }

    fn written(layout: Layout, compression: Compression, columns: &[Column]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let target = Target::New(path.clone());
        let mut writer = Writer::open(&target, layout, compression, columns.to_vec(), true).unwrap();
        writer.write(&record(b"a", b"1,\"\n"), 7).unwrap();
        let length = writer.settle().unwrap();
        writer.write(&record(b"lost", b"when it is cut off"), 8).unwrap();
        writer.finish().unwrap();
        let target = Target::Continued(path.clone(), length);
        let mut writer = Writer::open(&target, layout, compression, columns.to_vec(), true).unwrap();
        writer.write(&record(b"b", b"\xff"), 9).unwrap();
        writer.finish().unwrap();
        (dir, path)
    }

    #[expect(clippy::disallowed_methods, reason = "a test looks at a file")]
    fn unpacked(path: &Path, compression: Compression) -> String {
        let file = File::open(path).unwrap();
        let mut text = String::new();
        super::super::unpack::unpack(file, compression)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn a_file_cut_at_a_settled_length_is_continued_in_every_form() {
        for compression in [Compression::None, Compression::Gz, Compression::Zst] {
            let (_dir, path) = written(Layout::Csv, compression, &ALL);
            assert_eq!(
                unpacked(&path, compression),
                "key,value,key_base64,value_base64\na,\"1,\"\"\n\",,\nb,,,/w==\n"
            );
            let (_dir, path) = written(Layout::Jsonl, compression, &ALL);
            assert_eq!(
                unpacked(&path, compression),
                "{\"key\":\"a\",\"value\":\"1,\\\"\\n\",\"version\":\"7\"}\n\
                 {\"key\":\"b\",\"value_base64\":\"/w==\",\"version\":\"9\"}\n"
            );
        }
    }

    #[test]
    fn bytes_without_a_column_for_them_are_refused_not_spoiled() {
        let columns = [Column::Key, Column::Value];
        let failure = cell(Column::Value, &record(b"k", b"\xff"), 1, &columns).unwrap_err();
        assert!(failure.next.contains("value_base64"));
        let base64 = [Column::KeyBase64];
        let shown = cell(Column::KeyBase64, &record(b"k", b""), 1, &base64).unwrap();
        assert_eq!(shown, b"aw==");
    }

    #[test]
    fn files_are_not_overwritten_unasked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = open(&Target::New(file.path().to_owned())).unwrap_err();
        assert!(failure.next.contains("--overwrite"));
        let short = open(&Target::Continued(file.path().to_owned(), 5)).unwrap_err();
        assert!(short.what.contains("shorter"));
        assert!(open(&Target::Replaced(file.path().to_owned())).is_ok());
    }
}
