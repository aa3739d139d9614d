//! Records of a file of JSON lines.

use std::io::{BufRead, BufReader, Read};

use super::feed::Item;
use super::record::Record;
use super::{BUFFER_BYTES, RECORD_BYTES_MAX};
use crate::failure::{Failure, Result};

/// Lines of JSON.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Reads from the beginning.
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, input),
            number: 0,
            line: Vec::new(),
        }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        while self.read_line()? {
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(Some(Item::of(
                "line",
                self.number,
                Record::parse(self.number, &self.line),
            )));
        }
        Ok(None)
    }

    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.reader).take(RECORD_BYTES_MAX as u64 + 1);
        bounded.read_until(b'\n', &mut self.line)?;
        if self.line.len() > RECORD_BYTES_MAX {
            let what = format!("line {} has more than {RECORD_BYTES_MAX} bytes", self.number);
            return Err(Failure::usage(what).next("is this a file of JSON lines?"));
        }
        Ok(!self.line.is_empty())
    }
}
