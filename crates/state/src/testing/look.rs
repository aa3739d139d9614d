//! Looking at all that a view sees.

use std::collections::BTreeMap;

use atoll_types::Version;

use super::oracle::Seen;
use crate::{Ask, PAGE_ROWS, PinnedView, Row};

/// Rows of a range that a view gives page by page.
fn rows_in(view: &dyn PinnedView, first: Ask<'_>) -> Vec<Row> {
    let (mut start, mut end) = (first.start.to_vec(), first.end.to_vec());
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let ask = Ask {
            start: &start,
            end: &end,
            ..first
        };
        let page = view.page(&ask).unwrap();
        assert!(page.rows.len() <= first.rows.clamp(1, PAGE_ROWS), "{ask:?}");
        rows.extend(page.rows);
        match page.passed {
            None => return rows,
            Some(passed) if first.reverse => end = passed.as_bytes().to_vec(),
            Some(passed) => start = [passed.as_bytes(), &[0]].concat(),
        }
    }
}

/// Everything that a view sees, as a scan gives it.
pub fn seen_by(view: &dyn PinnedView) -> Seen {
    let row = |row: Row| (row.key.as_bytes().to_vec(), (row.version, row.value.to_vec()));
    Seen {
        rows: rows_in(view, Ask::range(&[], &[])).into_iter().map(row).collect(),
        version: view.version(),
        applied_index: view.applied_index(),
    }
}

/// A view must see this and nothing else, in every way there is to look.
pub fn check(view: &dyn PinnedView, expected: &Seen) {
    assert_eq!(
        (view.applied_index(), view.version()),
        (expected.applied_index, expected.version)
    );
    check_range(view, expected, (&[], &[]));
    for (key, (version, value)) in &expected.rows {
        let (found, bytes) = view.get(key, true).unwrap().unwrap();
        assert_eq!(
            (found, &bytes[..]),
            (*version, &value[..]),
            "{}",
            key.escape_ascii()
        );
        // What stands next to a key is not the key.
        for other in [[&key[..], &[0]].concat(), key[..key.len() - 1].to_vec()] {
            let expected = expected.rows.get(&other);
            let found = view.get(&other, true).unwrap();
            assert_eq!(found.map(|row| row.0), expected.map(|row| row.0));
        }
    }
}

/// The rows of a range: in both directions, in long pages and short ones, with values and without.
pub(crate) fn check_range(view: &dyn PinnedView, expected: &Seen, (start, end): (&[u8], &[u8])) {
    let inside = |key: &[u8]| key >= start && (end.is_empty() || key < end);
    let rows: BTreeMap<_, _> = expected.rows.iter().filter(|(key, _)| inside(key)).collect();
    let long = Ask::range(start, end);
    for (reverse, most, values) in [
        (false, PAGE_ROWS, true),
        (true, PAGE_ROWS, true),
        (false, 3, false),
        (true, 2, true),
    ] {
        let ask = Ask {
            reverse,
            rows: most,
            values,
            ..long
        };
        let found = rows_in(view, ask);
        let found = found
            .iter()
            .map(|row| (row.key.as_bytes(), row.version, &row.value[..]));
        let row = |(key, row): (&&Vec<u8>, &&(Version, Vec<u8>))| {
            let value = if values { row.1.clone() } else { Vec::new() };
            ((*key).clone(), row.0, value)
        };
        let expected: Vec<_> = if reverse {
            rows.iter().rev().map(row).collect()
        } else {
            rows.iter().map(row).collect()
        };
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, version, value)| (&key[..], *version, &value[..]))
            .collect();
        assert_eq!(found.collect::<Vec<_>>(), expected, "{ask:?}");
    }
}
