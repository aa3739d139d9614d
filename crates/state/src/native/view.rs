//! Views of the index, values included.

use atoll_storage::{Found, GroupIndex, Journal, Missed, ReadValue, ValueRef, View};
use atoll_types::{Key, Version};
use bytes::Bytes;

use crate::{Ask, PAGE_BYTES, Page, PinnedView, Reader, Row};

/// Gives out views of an index whose values may stand in this journal.
pub(super) struct NativeReader {
    index: GroupIndex,
    journal: Journal,
}

impl NativeReader {
    pub(super) fn new(index: GroupIndex, journal: Journal) -> Self {
        Self { index, journal }
    }
}

impl Reader for NativeReader {
    fn view(&self) -> Box<dyn PinnedView> {
        Box::new(NativeView {
            view: self.index.view(),
            journal: self.journal.clone(),
        })
    }
}

struct NativeView {
    view: View,
    journal: Journal,
}

impl NativeView {
    fn value(&self, key: &[u8], value: &ValueRef, wait: bool) -> Result<Bytes, Missed> {
        match self.view.read_value(&self.journal, key, value, wait)? {
            ReadValue::Ready(bytes) => Ok(bytes),
            ReadValue::WouldBlock => Err(Missed::WouldBlock),
        }
    }

    fn page_of_keys(&self, ask: &Ask<'_>) -> Result<Page, Missed> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let range = (ask.start, ask.end);
        let walked = self
            .view
            .walk_keys(range, ask.reverse, ask.wait, |key, version| {
                bytes += key.len();
                rows.push(Row {
                    key: Key::from_unchecked(key),
                    version,
                    value: Bytes::new(),
                });
                rows.len() < ask.most() && bytes < PAGE_BYTES
            })?;
        let passed = walked.last.filter(|_| !walked.complete);
        Ok(Page { rows, passed })
    }

    fn page_of_rows(&self, ask: &Ask<'_>) -> Result<Page, Missed> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let range = (ask.start, ask.end);
        let walked = self
            .view
            .walk(range, ask.reverse, ask.wait, |key, version, value| {
                bytes += key.len() + value.len();
                found.push((Key::from_unchecked(key), version, value));
                found.len() < ask.most() && bytes < PAGE_BYTES
            })?;
        // No lock is held here: a value may have to be read from a disk.
        let rows = found.into_iter().map(|(key, version, value)| {
            let value = self.value(key.as_bytes(), &value, ask.wait)?;
            Ok(Row { key, version, value })
        });
        Ok(Page {
            rows: rows.collect::<Result<_, Missed>>()?,
            passed: walked.last.filter(|_| !walked.complete),
        })
    }
}

impl PinnedView for NativeView {
    fn applied_index(&self) -> u64 {
        self.view.applied_index()
    }

    fn version(&self) -> Version {
        self.view.version()
    }

    fn get(&self, key: &[u8], wait: bool) -> Result<Option<(Version, Bytes)>, Missed> {
        let row = match self.view.find(key, wait)? {
            Some(Found::Row(row)) => row,
            Some(Found::Bytes(version, bytes)) => return Ok(Some((version, bytes))),
            None => return Ok(None),
        };
        let bytes = self.value(key, &row.value, wait)?;
        self.view.keep(key, &row, &bytes);
        Ok(Some((row.version, bytes)))
    }

    fn page(&self, ask: &Ask<'_>) -> Result<Page, Missed> {
        if ask.values {
            self.page_of_rows(ask)
        } else {
            self.page_of_keys(ask)
        }
    }
}
