//! Reading back what was imported.

use std::collections::BTreeMap;

use atoll_client::Client;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::encoding::Encoding;
use crate::failure::{Exit, Failure, Result};
use crate::records::Record;

/// Beyond so many differences there is no point in going on.
const DIFFERENCES_MAX: usize = 100_000;
/// As many are shown.
const SHOWN: usize = 5;

/// Keys whose value differs from the last record that was compared. A record that a later line of the
/// same key replaced differs at first and is cleared by that line.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    wrong: BTreeMap<Bytes, Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Difference {
    number: u64,
    absent: bool,
}

impl Verdict {
    /// Keys that differ.
    pub(super) fn differences(&self) -> usize {
        self.wrong.len()
    }

    /// Takes what was found for a record. Records of one key come in order.
    fn add(&mut self, record: &Record, found: Option<&Bytes>) -> Result {
        if found == Some(&record.value) {
            self.wrong.remove(&record.key);
            return Ok(());
        }
        let difference = Difference {
            number: record.number,
            absent: found.is_none(),
        };
        self.wrong.insert(record.key.clone(), difference);
        if self.wrong.len() > DIFFERENCES_MAX {
            return Err(
                Failure::new(Exit::Negative, format!("more than {DIFFERENCES_MAX} keys differ"))
                    .next("was this input imported into this cluster?"),
            );
        }
        Ok(())
    }

    /// A failure that names the first differences, if there are any.
    pub(super) fn into_result(self) -> Result {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = self
            .wrong
            .iter()
            .take(SHOWN)
            .map(|(key, difference)| show(key, *difference))
            .collect();
        let what = format!(
            "{} keys differ from the input: {}",
            self.wrong.len(),
            shown.join(", ")
        );
        Err(Failure::new(Exit::Negative, what)
            .next("if nobody else writes these keys, this is a bug: report it"))
    }
}

fn show(key: &[u8], difference: Difference) -> String {
    let how = if difference.absent {
        "absent"
    } else {
        "another value"
    };
    format!(
        "'{}' (record {}: {how})",
        Encoding::Utf8.line(key),
        difference.number
    )
}

/// Reads one record's key and notes whether it holds the record's value.
pub(super) async fn compare(client: Client, record: Record, verdict: &Mutex<Verdict>) -> Result {
    let found = client
        .get(record.key.clone())
        .await
        .map_err(|error| Failure::from(error).during(&format!("reading record {} back", record.number)))?;
    verdict
        .lock()
        .add(&record, found.as_ref().map(|value| &value.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, key: &'static str, value: &'static str) -> Record {
        Record {
            number,
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn differences_are_found_and_named() {
        let mut verdict = Verdict::default();
        verdict.add(&record(1, "a", "1"), Some(&"1".into())).unwrap();
        verdict.add(&record(2, "b", "2"), Some(&"x".into())).unwrap();
        verdict.add(&record(3, "c", "3"), None).unwrap();
        assert_eq!(verdict.differences(), 2);
        let failure = verdict.into_result().unwrap_err();
        assert_eq!(failure.exit, Exit::Negative);
        assert!(
            failure
                .what
                .contains("'b' (record 2: another value), 'c' (record 3: absent)"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_replaced_record_is_no_difference_but_a_lost_replacement_is() {
        let mut verdict = Verdict::default();
        verdict.add(&record(1, "a", "old"), Some(&"new".into())).unwrap();
        verdict.add(&record(2, "a", "new"), Some(&"new".into())).unwrap();
        assert_eq!(verdict.differences(), 0);
        let mut lost = Verdict::default();
        lost.add(&record(1, "a", "old"), Some(&"old".into())).unwrap();
        lost.add(&record(2, "a", "new"), Some(&"old".into())).unwrap();
        assert_eq!(lost.differences(), 1);
    }
}
