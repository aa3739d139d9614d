//! Records of a file of columns (CSV, TSV).

use std::io::{self, Read};

use bytes::Bytes;
use csv::ByteRecord;

use super::feed::Item;
use super::record::Record;
use super::{BUFFER_BYTES, RECORD_BYTES_MAX};
use crate::encoding::base64_decode;
use crate::failure::{Failure, Result};

/// Which columns have the key and the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// There is no header: the first row is a record already.
    pub(crate) no_header: bool,
    /// Name or number (from 1) of the key's column.
    pub(crate) key: Option<String>,
    /// Name or number (from 1) of the value's column.
    pub(crate) value: Option<String>,
}

/// Where a key or value stands: in a column of text, in one of base64, or in one of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    text: Option<usize>,
    base64: Option<usize>,
}

/// Rows of columns.
pub(super) struct Table {
    reader: csv::Reader<Bounded>,
    key: Columns,
    value: Columns,
    width: usize,
    number: u64,
    row: ByteRecord,
}

impl Table {
    /// Reads the header and finds the columns.
    pub(super) fn new(input: Box<dyn Read + Send>, delimiter: u8, choice: &Choice) -> Result<Self> {
        let bounded = Bounded {
            input,
            left: RECORD_BYTES_MAX,
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(!choice.no_header)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(bounded);
        let header = if choice.no_header {
            ByteRecord::new()
        } else {
            reader.byte_headers().map_err(|error| unreadable(&error))?.clone()
        };
        let key = find(&header, choice, "key", choice.key.as_deref(), 0)?;
        let value = find(&header, choice, "value", choice.value.as_deref(), 1)?;
        Ok(Self {
            reader,
            key,
            value,
            width: header.len(),
            number: u64::from(!choice.no_header),
            row: ByteRecord::new(),
        })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        self.reader.get_mut().left = RECORD_BYTES_MAX;
        let more = self.reader.read_byte_record(&mut self.row);
        if !more.map_err(|error| unreadable(&error))? {
            return Ok(None);
        }
        // As a spreadsheet counts, the header included.
        self.number += 1;
        Ok(Some(Item::of("row", self.number, self.record())))
    }

    fn record(&self) -> std::result::Result<Record, String> {
        if self.width > 0 && self.row.len() != self.width {
            return Err(format!(
                "it has {} columns, the header has {}",
                self.row.len(),
                self.width
            ));
        }
        let key = cell(&self.row, "key", self.key)?;
        let value = cell(&self.row, "value", self.value)?;
        Record::checked(self.number, key, value)
    }
}

/// Finds a column by the header, or by its place where there is none.
fn find(
    header: &ByteRecord,
    choice: &Choice,
    what: &str,
    named: Option<&str>,
    place: usize,
) -> Result<Columns> {
    if choice.no_header {
        let column = named.map_or(Ok(place + 1), str::parse::<usize>);
        let column = column.ok().filter(|&number| number > 0).ok_or_else(|| {
            Failure::usage(format!("--{what}-column needs a number where there is no header"))
                .next("columns are counted from 1")
        })?;
        let text = Some(column - 1);
        return Ok(Columns { text, base64: None });
    }
    let position = |name: &str| header.iter().position(|cell| cell == name.as_bytes());
    let name = named.unwrap_or(what);
    let text = position(name);
    let base64 = position(&format!("{name}_base64"));
    if text.is_none() && base64.is_none() {
        let names: Vec<_> = header
            .iter()
            .map(|cell| cell.escape_ascii().to_string())
            .collect();
        let what_is = format!("no column '{name}' in the header: {}", names.join(", "));
        return Err(Failure::usage(what_is).next(format!(
            "name the column with --{what}-column, or give --no-header if the first row is a record"
        )));
    }
    Ok(Columns { text, base64 })
}

/// The bytes of a cell; base64 wins where it is not empty.
fn cell(row: &ByteRecord, what: &str, columns: Columns) -> std::result::Result<Bytes, String> {
    let at = |column: Option<usize>| column.and_then(|column| row.get(column));
    let (text, base64) = (at(columns.text), at(columns.base64));
    match (text, base64.filter(|cell| !cell.is_empty())) {
        (Some(text), Some(_)) if !text.is_empty() => Err(format!("both {what} and {what}_base64 are given")),
        (_, Some(encoded)) => {
            let decoded = str::from_utf8(encoded).ok().and_then(base64_decode);
            decoded
                .map(Bytes::from)
                .ok_or_else(|| format!("{what}_base64 is not base64"))
        }
        (Some(text), None) => Ok(Bytes::copy_from_slice(text)),
        (None, None) if base64.is_some() => Ok(Bytes::new()),
        (None, None) => Err(format!("it has no column for the {what}")),
    }
}

fn unreadable(error: &csv::Error) -> Failure {
    Failure::usage(format!("cannot read the rows: {error}"))
        .next("check --format and --compress; a quote that is never closed makes one endless row")
}

/// Refuses to read on and on for one row.
struct Bounded {
    input: Box<dyn Read + Send>,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!(
                "one row has more than {RECORD_BYTES_MAX} bytes"
            )));
        }
        let read = self.input.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn rows(text: &'static str, choice: &Choice) -> Result<Vec<Item>> {
        let mut table = Table::new(Box::new(text.as_bytes()), b',', choice)?;
        let mut items = Vec::new();
        while let Some(item) = table.next()? {
            items.push(item);
        }
        Ok(items)
    }

    fn record(number: u64, key: &'static str, value: &'static [u8]) -> Item {
        Item::Record(Record {
            number,
            key: key.into(),
            value: value.into(),
        })
    }

    #[test]
    fn rows_by_header_with_quotes_lines_and_base64() {
        let text = "value,other,key,value_base64\r\nv,x,k,\r\n\"a \"\"b\"\",\nc\",,q,\r\n,,z,/wA=\r\n";
        let items = rows(text, &Choice::default()).unwrap();
        let wanted = [
            record(2, "k", b"v"),
            record(3, "q", b"a \"b\",\nc"),
            record(4, "z", b"\xff\0"),
        ];
        assert_eq!(items, wanted);
    }

    #[test]
    fn columns_can_be_named_or_numbered() {
        let named = Choice {
            key: Some("id".to_owned()),
            value: Some("name".to_owned()),
            ..Choice::default()
        };
        assert_eq!(rows("name,id\nn,1\n", &named).unwrap(), [record(2, "1", b"n")]);
        let bare = Choice {
            no_header: true,
            ..Choice::default()
        };
        assert_eq!(rows("k,v\n", &bare).unwrap(), [record(1, "k", b"v")]);
        let swapped = Choice {
            key: Some("2".to_owned()),
            value: Some("1".to_owned()),
            ..bare.clone()
        };
        assert_eq!(rows("v,k\n", &swapped).unwrap(), [record(1, "k", b"v")]);
        let wrong = Choice {
            key: Some("key".to_owned()),
            ..bare
        };
        assert_eq!(rows("k,v\n", &wrong).unwrap_err().exit, Exit::Usage);
        let missing = rows("id,value\n", &Choice::default()).unwrap_err();
        assert!(missing.what.contains("id, value") && missing.next.contains("--key-column"));
    }

    #[test]
    fn malformed_rows_say_what_is_wrong() {
        for (row, part) in [
            ("a,b,,extra", "4 columns"),
            ("a", "1 columns"),
            (",v,", "empty"),
            ("k,v,dg==", "both"),
            ("k,,?", "not base64"),
        ] {
            let text: &'static str = Box::leak(format!("key,value,value_base64\n{row}\n").into_boxed_str());
            let items = rows(text, &Choice::default()).unwrap();
            let [Item::Bad { place, why }] = &items[..] else {
                panic!("{items:?}")
            };
            assert_eq!(place, "row 2");
            assert!(why.contains(part), "{row}: {why}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_refused_not_collected() {
        let endless = Read::chain(&b"key,value\nk,\""[..], io::repeat(b'x'));
        let mut table = Table::new(Box::new(endless), b',', &Choice::default()).unwrap();
        assert_eq!(table.next().unwrap_err().exit, Exit::Usage);
    }
}
