//! What a view shows, held against a model.

use atoll_types::Version;
use bytes::{Bytes, BytesMut};

use super::model::{KEYS, Model, key};
use crate::index::{Found, Missed, ReadAhead, ValueRef, View};
use crate::journal::{Journal, ReadValue};

/// The value of a row that the view gave.
pub(super) fn resolve(view: &View, value: &ValueRef, key: &[u8], journal: &Journal) -> Bytes {
    match view.read_value(journal, key, value, true).unwrap() {
        ReadValue::Ready(bytes) => bytes,
        ReadValue::WouldBlock => panic!("it may wait"),
    }
}

/// What a lookup by way of the cache of rows gives, and leaves there. First without waiting, as a server does.
pub(super) fn found_by(view: &View, key: &[u8], journal: &Journal) -> Option<(Version, Vec<u8>)> {
    let found = match view.find(key, false) {
        Err(Missed::WouldBlock) => view.find(key, true),
        found => found,
    };
    match found.unwrap()? {
        Found::Bytes(version, bytes) => Some((version, bytes.to_vec())),
        Found::Row(row) => {
            let bytes = resolve(view, &row.value, key, journal);
            view.keep(key, &row, &bytes);
            Some((row.version, bytes.to_vec()))
        }
    }
}

/// A value as a scan reads it. First without waiting if it says so, as a server does.
fn appended(
    view: &View,
    row: (&[u8], Version, &ValueRef),
    wait: bool,
    ahead: &mut ReadAhead,
    journal: &Journal,
) -> Vec<u8> {
    let before = &b"what was there before"[..];
    let mut out = BytesMut::from(before);
    if !view.append_value(journal, row, wait, ahead, &mut out).unwrap() {
        assert!(!wait && out == before);
        assert!(view.append_value(journal, row, true, ahead, &mut out).unwrap());
    }
    out.strip_prefix(before).unwrap().to_vec()
}

pub(super) type Rows = Vec<(Vec<u8>, Version, Vec<u8>)>;

/// Compares all rows of a view with a model.
pub(super) fn check_rows(view: &View, model: &Model, journal: &Journal) {
    let found = walk(view, (&[], &[]), (false, true), journal);
    let expected = model
        .rows
        .iter()
        .map(|(key, row)| (key.clone(), row.0, row.1.clone()));
    assert_eq!(found, expected.collect::<Rows>());
}

/// Compares what a view shows, in every way, with a model.
pub(super) fn check_view(view: &View, model: &Model, journal: &Journal) {
    assert_eq!(view.applied_index(), model.applied);
    assert_eq!(view.version(), Version(model.version));
    for number in 0..KEYS {
        let key = key(number);
        let expected = model.rows.get(&key).cloned();
        let found = |seen: Option<(Version, ValueRef)>| {
            seen.map(|(version, value)| (version, resolve(view, &value, &key, journal).to_vec()))
        };
        assert_eq!(found(view.get(&key, true).unwrap()), expected, "key {number}");
        match view.get(&key, false) {
            Ok(seen) => assert_eq!(found(seen), expected, "key {number}"),
            Err(missed) => assert!(matches!(missed, Missed::WouldBlock), "{missed}"),
        }
        // Not all of them at every look: the others stay in the cache, or out of it, from looks before.
        if u64::from(number) % 3 == model.applied % 3 {
            assert_eq!(found_by(view, &key, journal), expected, "key {number}");
        }
    }
    for (start, end) in [
        (0, None),
        (17, Some(580)),
        (200, Some(201)),
        (300, None),
        (9, Some(9)),
    ] {
        let (start, end) = (key(start), end.map_or(vec![], key));
        let inside = |key: &&Vec<u8>| **key >= start && (end.is_empty() || **key < end);
        let rows = model.rows.iter().filter(|(key, _)| inside(key));
        let mut expected: Rows = rows
            .map(|(key, row)| (key.clone(), row.0, row.1.clone()))
            .collect();
        for reverse in [false, true] {
            for wait in [true, false] {
                let found = walk(view, (&start, &end), (reverse, wait), journal);
                assert_eq!(found, expected, "reverse {reverse}, wait {wait}");
            }
            let few = view.scan(&start, &end, reverse, 5).unwrap().into_iter();
            let few: Vec<_> = few
                .map(|(key, version, _)| (key.as_bytes().to_vec(), version))
                .collect();
            let first = expected.iter().take(5).map(|row| (row.0.clone(), row.1));
            assert_eq!(few, first.collect::<Vec<_>>());
            expected.reverse();
        }
    }
}

/// All rows of a range, page by page; with and without their values, as many.
pub(super) fn walk(
    view: &View,
    (start, end): (&[u8], &[u8]),
    (reverse, wait): (bool, bool),
    journal: &Journal,
) -> Rows {
    let (mut rows, mut ahead) = (Rows::new(), ReadAhead::default());
    let (mut start, mut end) = (start.to_vec(), end.to_vec());
    let mut waits = wait;
    loop {
        let mut page = Vec::new();
        let range = (&start[..], &end[..]);
        let walked = view.walk(range, reverse, waits, |key, version, value| {
            page.push((key.to_vec(), version, value));
            true
        });
        let walked = match walked {
            Ok(walked) => walked,
            Err(missed) => {
                assert!(!waits && matches!(missed, Missed::WouldBlock), "{missed}");
                // As a server does: the same again where waiting is allowed.
                waits = true;
                continue;
            }
        };
        let mut keys = Vec::new();
        let counted = view.walk_keys(range, reverse, true, |key, version| {
            keys.push((key.to_vec(), version));
            true
        });
        let expected: Vec<_> = page.iter().map(|row| (row.0.clone(), row.1)).collect();
        assert_eq!(keys, expected);
        assert_eq!(counted.unwrap().complete, walked.complete);
        rows.extend(page.into_iter().map(|(key, version, value)| {
            let bytes = appended(view, (&key, version, &value), wait, &mut ahead, journal);
            assert_eq!(bytes, resolve(view, &value, &key, journal));
            (key, version, bytes)
        }));
        waits = wait;
        match walked.last.filter(|_| !walked.complete) {
            Some(last) if reverse => end = last.as_bytes().to_vec(),
            Some(last) => start = [last.as_bytes(), &[0]].concat(),
            None => {
                assert!(walked.complete, "a page that is not the last has rows");
                return rows;
            }
        }
    }
}
