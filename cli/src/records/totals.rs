//! What went through.

use serde_json::{Map, Value, json};

use super::record::Record;
use crate::units::{bytes, count};

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Records done.
    pub(crate) records: u64,
    /// Their bytes of keys and values.
    pub(crate) bytes: u64,
    /// The sum of their checksums.
    pub(crate) checksum: u64,
    /// Malformed records that were left out.
    pub(crate) skipped: u64,
}

impl Totals {
    /// Counts a record.
    pub(crate) fn add(&mut self, record: &Record) {
        self.add_sum(record.size() as u64, record.checksum());
    }

    /// Counts a record of which only this is left.
    pub(crate) fn add_sum(&mut self, size: u64, checksum: u64) {
        self.records += 1;
        self.bytes += size;
        self.checksum = self.checksum.wrapping_add(checksum);
    }

    /// `1,234 records, 5.0 MiB`
    pub(crate) fn amount(&self) -> String {
        format!("{} records, {}", count(self.records), bytes(self.bytes))
    }

    /// `checksum 0123456789abcdef`, and how many were left out, if any.
    pub(crate) fn sum(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            some => format!(", {} malformed records left out", count(some)),
        };
        format!("checksum {:016x}{skipped}", self.checksum)
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Map<String, Value> {
        [
            ("records", json!(self.records.to_string())),
            ("bytes", json!(self.bytes.to_string())),
            ("skipped", json!(self.skipped.to_string())),
            ("checksum", json!(format!("{:016x}", self.checksum))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_do_not_depend_on_the_order() {
        let records = [1, 2, 3].map(|number| Record::synthetic(number, 9, 1));
        let (mut forth, mut back) = (Totals::default(), Totals::default());
        for (first, last) in records.iter().zip(records.iter().rev()) {
            forth.add(first);
            back.add(last);
        }
        assert_eq!(forth, back);
        assert_ne!(forth.checksum, 0);
        assert_eq!(forth.amount(), "3 records, 93 B");
    }
}
