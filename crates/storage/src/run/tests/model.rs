//! Whatever is written, reads say what a sorted map would.

use proptest::prelude::*;

use super::cold::ColdFile;
use super::*;
use crate::index::ValueRef;

/// Steps without waiting first, as a reader on the runtime does; a step that would block leaves the cursor
/// where it was.
fn step(cursor: &mut RunCursor) -> Option<Row> {
    let before = row(cursor).unwrap();
    let mut step = cursor.step(false).unwrap();
    if step == Step::WouldBlock {
        assert_eq!(row(cursor).unwrap(), before);
        step = cursor.step(true).unwrap();
    }
    let now = row(cursor).unwrap();
    assert_eq!(now.is_some(), step == Step::Row);
    now
}

fn some_key(rng: &mut fastrand::Rng, all: &[Row]) -> Vec<u8> {
    let mut key = match all {
        [] => random_key(rng),
        all => all[rng.usize(..all.len())].0.clone(),
    };
    match rng.u8(..6) {
        0 => key = random_key(rng),
        1 => key.push(0),
        2 => drop(key.pop()),
        _ => {}
    }
    key
}

/// One cursor over a random range, stepping and seeking at random.
fn check_cursor(run: &Arc<Run>, rows: &Rows, rng: &mut fastrand::Rng, direction: Direction) {
    let all = listed(rows);
    let (start, mut end) = (some_key(rng, &all), some_key(rng, &all));
    if rng.bool() {
        end.clear();
    }
    let inside: Vec<&Row> = all
        .iter()
        .filter(|(key, ..)| *key >= start && (end.is_empty() || *key < end))
        .collect();
    let mut cursor = RunCursor::new(run.clone(), (&start, &end), direction);
    // The gap before which row of those inside the cursor stands.
    let mut gap = match direction {
        Direction::Forward => 0,
        Direction::Backward => inside.len(),
    };
    for _ in 0..60 {
        if rng.u8(..6) == 0 {
            let (key, version) = (some_key(rng, &all), random_version(rng));
            cursor.seek(&key, version);
            let place = (&key, Reverse(version));
            gap = inside.partition_point(|(key, version, _)| (key, Reverse(*version)) < place);
            assert!(cursor.current().is_none());
        }
        let wanted = match direction {
            Direction::Forward => inside.get(gap).copied(),
            Direction::Backward => gap.checked_sub(1).map(|before| inside[before]),
        };
        assert_eq!(step(&mut cursor).as_ref(), wanted);
        gap = match (direction, wanted) {
            (_, None) => gap,
            (Direction::Forward, _) => gap + 1,
            (Direction::Backward, _) => gap - 1,
        };
    }
}

fn check_summary(summary: &RunSummary, rows: &Rows) {
    assert_eq!(summary.covers, COVERS);
    assert_eq!(summary.entries, rows.len() as u64);
    let tombstones = rows.values().filter(|value| **value == RunValue::Tombstone);
    assert_eq!(summary.tombstones, tombstones.count() as u64);
    let system = rows.keys().filter(|(key, _)| key[0] == SPACE_SYSTEM);
    assert_eq!(summary.system_rows, system.count() as u64);
    let versions = || rows.keys().map(|(_, Reverse(version))| *version);
    assert_eq!(summary.min_version, versions().min().unwrap_or_default());
    assert_eq!(summary.max_version, versions().max().unwrap_or_default());
    let first = rows.keys().next().map(|(key, _)| &key[..]);
    let last = rows.keys().next_back().map(|(key, _)| &key[..]);
    assert_eq!(summary.min_key, first.unwrap_or_default());
    assert_eq!(summary.max_key, last.unwrap_or_default());
    let (mut journal, mut files) = (BTreeMap::new(), BTreeMap::new());
    for value in rows.values() {
        let pieces = match value {
            RunValue::Journal(pointer) => vec![Piece::Journal(*pointer)],
            RunValue::Filed(pointer) => vec![Piece::Filed(*pointer)],
            RunValue::Joined(joined) => joined.pieces().to_vec(),
            _ => vec![],
        };
        for piece in pieces {
            match piece {
                Piece::Memory(_) => {}
                Piece::Journal(at) => *journal.entry(at.segment).or_insert(0) += u64::from(at.stored_len),
                Piece::Filed(at) => *files.entry(at.file).or_insert(0) += u64::from(at.stored_len),
            }
        }
    }
    assert_eq!(summary.journal_bytes, Vec::from_iter(journal));
    assert_eq!(summary.file_bytes, Vec::from_iter(files));
}

fn check(seed: u64, count: usize) {
    let rng = &mut fastrand::Rng::with_seed(seed);
    let rows = random_rows(rng, count);
    let (bytes, summary) = bytes_of(&rows);
    check_summary(&summary, &rows);
    let cache = Arc::new(BlockCache::new(rng.usize(..2) * 100_000));
    let run = Arc::new(Run::open(ColdFile::of(bytes, rng.u64(..)), IDENTITY, cache).unwrap());
    assert_eq!(run.summary(), &summary);
    assert_eq!(run.identity(), IDENTITY);
    let all = listed(&rows);
    for _ in 0..200 {
        let (key, at) = (some_key(rng, &all), random_version(rng));
        let looked = match run.get(&key, at, false).unwrap() {
            Looked::WouldBlock => run.get(&key, at, true).unwrap(),
            looked => looked,
        };
        assert_eq!(looked, expected(&rows, &key, at), "{key:?} at {at:?}");
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let mut whole = walk(&mut RunCursor::new(run.clone(), (b"", b""), direction)).unwrap();
        if direction == Direction::Backward {
            whole.reverse();
        }
        assert_eq!(whole, all);
        for _ in 0..6 {
            check_cursor(&run, &rows, rng, direction);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_say_what_a_sorted_map_would(seed: u64, count in 0_usize..500) {
        check(seed, count);
    }
}

#[test]
fn runs_of_no_row_and_of_one_are_runs() {
    for seed in 0..40 {
        check(seed, (seed % 3) as usize);
    }
}

#[test]
fn a_value_is_the_same_in_the_index_and_in_a_run() {
    let rng = &mut fastrand::Rng::with_seed(1);
    for _ in 0..300 {
        let value = random_value(rng);
        let in_index = Option::<ValueRef>::from(value.clone());
        match &value {
            RunValue::Inline { bytes, vcrc } if bytes.len() > 64 => {
                let joined = in_index.as_ref().unwrap();
                assert_eq!((joined.len(), joined.vcrc()), (bytes.len(), *vcrc));
            }
            value => assert_eq!(&RunValue::from(in_index.clone()), value),
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        RowValue::from(in_index.as_ref()).encode(&mut one);
        RowValue::from(&RunValue::from(in_index)).encode(&mut other);
        assert_eq!(one, other);
    }
}

/// A system row of the longest value fits into a block, and so does what stands around it.
#[test]
fn the_longest_value_stands_between_short_ones() {
    let mut rows = Rows::new();
    for name in ["a", "b", "c"] {
        rows.insert(
            (format!("\x01{name}").into_bytes(), Reverse(Version(1))),
            inline(name),
        );
    }
    let longest = vec![7; VALUE_LEN_MAX];
    rows.insert(
        (vec![1; ROW_KEY_MAX], Reverse(Version(1))),
        inline(longest.clone()),
    );
    rows.insert((b"\x01b".to_vec(), Reverse(Version(0))), inline(longest));
    let (bytes, summary) = bytes_of(&rows);
    assert_eq!(summary.entries, 5);
    let run = Arc::new(open(bytes).unwrap());
    let mut cursor = RunCursor::new(run.clone(), (b"", b""), Direction::Backward);
    let mut whole = walk(&mut cursor).unwrap();
    whole.reverse();
    assert!(whole == listed(&rows));
    assert!(run.get(b"\x01b", Version(0), true).unwrap() == expected(&rows, b"\x01b", Version(0)));
}
