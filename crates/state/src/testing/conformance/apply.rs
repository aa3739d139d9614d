//! Applying.

use atoll_kv::Guard;
use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use atoll_types::{Outcome, Version};
use bytes::Bytes;

use crate::testing::{
    Bench, Make, append, at_slot, delete, delete_range, guarded, increment, increments, put,
};

/// Puts, deletions, numbers, appended pieces of every kind and ranges: rows and outcomes are the oracle's.
pub async fn every_operation_does_what_it_says(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let long = vec![7; 3000];
    bench
        .commit(&[at_slot([put("a", "1"), put("b", &long), put("c", "")])])
        .await;
    bench.check();
    bench
        .commit(&[at_slot([increment("a", 41), increment("n", -5)])])
        .await;
    bench.check();
    let piece = vec![8; APPEND_MEMORY_BYTES_MAX + 1];
    let pieces = [append("c", "x"), append("b", "yz"), append("fresh", &long)];
    bench.commit(&[at_slot(pieces)]).await;
    bench
        .commit(&[at_slot([
            append("b", &piece),
            append("fresh", ""),
            append("c", &long),
        ])])
        .await;
    bench.check();
    let misfits = [at_slot([increment("b", 1)]), at_slot([increment("a", i64::MAX)])];
    let outcomes = bench.commit(&misfits).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Misfit { .. }))
    );
    bench.check();
    bench
        .commit(&[at_slot([delete("a"), delete("never"), put("b", "short again")])])
        .await;
    bench.check();
    let many: Vec<_> = (0..300)
        .map(|n| put(format!("r{n:03}"), format!("{n}")))
        .collect();
    bench.commit(&[at_slot(many)]).await;
    bench.commit(&[at_slot([delete_range("r100", "r2", 90)])]).await;
    bench.check();
    bench
        .commit(&[at_slot([delete_range("r", "s", 4000), put("b", "")])])
        .await;
    bench.check();
    assert_eq!(bench.oracle.seen().rows.len(), 4);
}

/// The same key many times in an entry: the last command wins, and each finds what the one before it left.
pub async fn the_last_change_of_a_key_counts(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let mut commands = increments("n", 700);
    commands.extend((0..200).map(|n| at_slot([put("p", format!("{n}")), append("log", [n])])));
    commands.extend([at_slot([delete("p")]), at_slot([put("p", "last")])]);
    let outcomes = bench.commit(&commands).await;
    assert!(matches!(outcomes[699], Outcome::Computed { number: 700, .. }));
    bench.check();
    bench
        .commit(&[at_slot([put("p", "there")]), at_slot([delete("p")])])
        .await;
    bench.check();
    assert_eq!(bench.oracle.version_of(b"p"), Version::ZERO);
}

/// Guards, ranges and numbers see commands of the same entry, published entries and nothing else.
pub async fn an_entry_finds_what_it_wrote(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let old: Vec<_> = (0..400).map(|n| put(format!("k{n:03}"), "old")).collect();
    bench.commit(&[at_slot(old)]).await;
    let newest = bench.oracle.version_of(b"k000");
    let absent = |key: &'static str| Guard::Key {
        key: Bytes::from_static(key.as_bytes()),
        expected: Version::ZERO,
    };
    let unchanged = |start: &'static str, end: &'static str| Guard::Range {
        start: Bytes::from_static(start.as_bytes()),
        end: Bytes::from_static(end.as_bytes()),
        newest,
    };
    let outcomes = bench
        .commit(&[
            guarded(
                [unchanged("k", "")],
                at_slot([put("k100", "new"), delete("k101")]),
            ),
            guarded([unchanged("k", "")], at_slot([put("no", "")])),
            guarded(
                [unchanged("k101", "k2"), absent("k101")],
                at_slot([put("k1015", "5")]),
            ),
            at_slot([delete_range("k099", "k103", 100)]),
            guarded(
                [absent("k1015"), absent("k102"), absent("k100")],
                at_slot([put("yes", "")]),
            ),
            guarded([absent("k103")], at_slot([put("no", "")])),
            at_slot([increment("k1015", 2)]),
        ])
        .await;
    let done = |outcome: &Outcome| !matches!(outcome, Outcome::GuardFailed { .. });
    let done: Vec<_> = outcomes.iter().map(done).collect();
    assert_eq!(done, [true, false, true, true, true, false, true]);
    bench.check();
    assert_eq!(bench.oracle.version_of(b"no"), Version::ZERO);
}

/// Empty values, the longest values and keys, keys of any bytes, and lengths on both sides of every boundary there is.
pub async fn keys_and_values_of_all_lengths(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let lengths = [0, 1, 63, 64, 65, 4095, 4096, 4097, 70_000, VALUE_BYTES_MAX];
    for len in lengths {
        let value: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
        bench.commit(&[at_slot([put(format!("v{len}"), value)])]).await;
    }
    let mut keys = vec![
        vec![0],
        vec![0, 0],
        vec![0, 255],
        vec![255],
        vec![255; 2],
        b"v\0".to_vec(),
    ];
    keys.extend([KEY_BYTES_MAX - 1, KEY_BYTES_MAX].map(|len| vec![b'k'; len]));
    keys.extend([vec![255; KEY_BYTES_MAX], vec![0; KEY_BYTES_MAX]]);
    let puts: Vec<_> = keys.iter().map(|key| put(key, &key[..1])).collect();
    bench.commit(&[at_slot(puts)]).await;
    bench.check();
    bench.checkpoint().await;
    bench.check();
    let mut bench = bench.restart().await;
    bench.check();
    let overwritten = [put("v1048576", "short"), put("v0", vec![1; VALUE_BYTES_MAX])];
    bench.commit(&[at_slot(overwritten)]).await;
    bench
        .commit(&[at_slot(keys.iter().map(delete).collect::<Vec<_>>())])
        .await;
    bench.check();
}
