//! Walks over several runs, of keys with few versions and with many, against a model.

use proptest::prelude::*;

use super::*;
use crate::index::{Ask, Below, ValueRef};

/// What a reader sees of each key that it looks at; nothing of a key that is younger than what it asks for.
type Seen = Vec<(Vec<u8>, Option<(Version, Vec<u8>)>)>;

fn run_of(rows: &Rows, cache: &Arc<BlockCache>) -> Arc<Run> {
    let (bytes, _) = bytes_of(rows);
    Arc::new(Run::open(Arc::new(BytesFile(bytes)), IDENTITY, cache.clone()).unwrap())
}

/// Runs, newest first, made of one row after the other: each of them has the versions from one point up to the next one's.
fn below_of(rows: &Rows, ends: &[u64], cache: &Arc<BlockCache>) -> Below {
    let mut runs = vec![];
    let mut first = 0;
    for end in ends.iter().copied().chain([u64::MAX]) {
        let versions = Version(first)..Version(end);
        let part = rows
            .iter()
            .filter(|((_, Reverse(version)), _)| versions.contains(version));
        let part: Rows = part
            .map(|(place, value)| (place.clone(), value.clone()))
            .collect();
        if !part.is_empty() {
            runs.insert(0, run_of(&part, cache));
        }
        first = end;
    }
    Below::new(runs, BTreeMap::new(), Version::ZERO)
}

fn seen_by_model(rows: &Rows, (start, end): (&[u8], &[u8]), at: Version) -> Seen {
    let mut seen = BTreeMap::<Vec<u8>, Option<(Version, Vec<u8>)>>::new();
    for ((key, Reverse(version)), value) in rows {
        let key = &key[1..];
        if key < start || (!end.is_empty() && key >= end) {
            continue;
        }
        let seen = seen.entry(key.to_vec()).or_default();
        if *version <= at && seen.is_none() {
            let RunValue::Inline { bytes, .. } = value else {
                panic!("{value:?}")
            };
            *seen = Some((*version, bytes.to_vec()));
        }
    }
    seen.into_iter().collect()
}

fn seen_by_walk(below: &Below, range: (&[u8], &[u8]), at: Version, reverse: bool) -> Seen {
    let ask = Ask {
        reverse,
        at,
        most: 1_000,
        wait: true,
        keep: true,
    };
    let page = below.page(range, ask).unwrap();
    assert!(page.complete);
    let rows = page.rows.into_iter().map(|row| {
        let seen = match row.seen {
            (version, Some(ValueRef::Inline(value))) => Some((version, value.as_bytes().to_vec())),
            (Version::ZERO, None) => None,
            other => panic!("{other:?}"),
        };
        (page.keys[row.key].to_vec(), seen)
    });
    let mut rows: Seen = rows.collect();
    if reverse {
        rows.reverse();
    }
    rows
}

/// Versions of a key: few, or more than are stepped over.
fn versions() -> impl Strategy<Value = Vec<u64>> {
    let version = || 1..400_u64;
    prop_oneof![
        3 => prop::collection::vec(version(), 1..4),
        2 => prop::collection::vec(version(), 10..24),
        1 => prop::collection::vec(version(), 100..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_sees_of_each_key_what_the_model_does(
        keys in prop::collection::vec(versions(), 1..12),
        mut ends in prop::collection::vec(1..400_u64, 0..3),
        ats in prop::collection::vec(0..420_u64, 1..6),
        range in (0..14_u8, 0..14_u8),
    ) {
        ends.sort_unstable();
        let mut rows = Rows::new();
        for (number, versions) in keys.iter().enumerate() {
            // Some are the beginning of others.
            let key = [&[0, b'a' + number as u8 / 2][..], &vec![0; number % 2]].concat();
            for version in versions {
                let value = inline(format!("{number} at {version}"));
                rows.insert((key.clone(), Reverse(Version(*version))), value);
            }
        }
        let below = below_of(&rows, &ends, &BlockCache::new(0).into());
        let named = (vec![b'a' + range.0 / 2], vec![b'a' + range.1 / 2]);
        for range in [(&[][..], &[][..]), (&named.0, &named.1), (&named.0, &[])] {
            for at in ats.iter().copied().chain([u64::MAX]) {
                let expected = seen_by_model(&rows, range, Version(at));
                for reverse in [false, true] {
                    prop_assert_eq!(&seen_by_walk(&below, range, Version(at), reverse), &expected);
                }
            }
        }
    }
}

/// However often a key was written, a walk looks at a few blocks of it, whatever version it asks for.
#[test]
fn a_walk_does_not_step_over_all_versions_of_a_key() {
    const VERSIONS: u64 = 100_000;
    let mut rows = Rows::new();
    for (name, count) in [("a", 2), ("hot", VERSIONS), ("z", 2)] {
        for version in 1..=count {
            let key = format!("\0{name}").into_bytes();
            rows.insert((key, Reverse(Version(version))), inline(version.to_string()));
        }
    }
    let cache = Arc::new(BlockCache::new(64 << 20));
    let below = below_of(&rows, &[VERSIONS / 2], &cache);
    let blocks: usize = below.runs().iter().map(|run| run.index().len()).sum();
    assert!(blocks > 100, "{blocks} blocks");
    for at in [
        1,
        5,
        VERSIONS / 4,
        VERSIONS / 2,
        VERSIONS - 100,
        VERSIONS,
        u64::MAX,
    ] {
        let expected = seen_by_model(&rows, (&[], &[]), Version(at));
        for reverse in [false, true] {
            let before = cache.hits() + cache.misses();
            let seen = seen_by_walk(&below, (&[], &[]), Version(at), reverse);
            let looked_at = cache.hits() + cache.misses() - before;
            assert_eq!(seen, expected, "at {at}");
            assert!(looked_at < 16, "{looked_at} of {blocks} blocks, at {at}");
        }
    }
}
