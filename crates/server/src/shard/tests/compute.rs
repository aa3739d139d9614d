//! Computed writes on the real index and journal: what they cost a replica whose disk is slow, rotten or
//! has just been read back.

use super::fetching::{get, item, run};
use super::*;
use crate::shard::fetch::Miss;
use crate::shard::reply::Reply;
use atoll_env::Vfs;
use atoll_env::vfs::Crash;
use atoll_storage::{InlineValue, ValueRef};
use atoll_types::Misfit;
use atoll_types::limits::{APPEND_MEMORY_BYTES_MAX, VALUE_BYTES_MAX};

fn on(key: &str, op: impl FnOnce(Bytes) -> Op) -> Command {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Command::write(slot_of(&key), vec![op(key)])
}

fn append(key: &str, suffix: impl Into<Bytes>) -> Command {
    let suffix = suffix.into();
    on(key, |key| Op::Append { key, suffix })
}

fn increment(key: &str, by: i64) -> Command {
    on(key, |key| Op::Increment { key, by })
}

fn delete_range(start: &str, end: &str, limit: u32) -> Command {
    let end = Bytes::copy_from_slice(end.as_bytes());
    on(start, |start| Op::DeleteRange { start, end, limit })
}

/// Pushes what was committed before out of memory.
async fn fill(bench: &mut Bench) {
    for _ in 0..40 {
        bench.commit(&[put("filler", vec![0; 200_000])]).await;
    }
}

fn numbers(outcomes: &[Outcome]) -> Vec<i64> {
    let number = |outcome: &Outcome| match outcome {
        Outcome::Computed { number, .. } => *number,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(number).collect()
}

fn value(bench: &Bench, key: &str) -> Option<Bytes> {
    match run(bench, &item(get(key)), true) {
        Ok(Reply::Value { found, .. }) => found.map(|(_, value)| value),
        other => panic!("{other:?}"),
    }
}

fn hash(bench: &Bench) -> u64 {
    bench.state.replica_state().hash
}

fn long(byte: u8, len: usize) -> Vec<u8> {
    vec![byte; len]
}

#[tokio::test]
async fn appending_to_a_cold_value_needs_no_disk_and_a_read_of_it_does() {
    let mut bench = Bench::born(1000).await;
    bench.commit(&[put("k", long(1, 2000))]).await;
    fill(&mut bench).await;
    let suffixes = [
        long(2, 10),
        long(3, APPEND_MEMORY_BYTES_MAX + 1),
        long(4, 0),
        long(5, 70),
    ];
    let lengths = bench
        .commit(&suffixes.clone().map(|suffix| append("k", suffix)))
        .await;
    assert_eq!(numbers(&lengths), [2010, 6107, 6107, 6177]);
    assert!(matches!(run(&bench, &item(get("k")), false), Err(Miss::Cold)));
    let whole = [vec![long(1, 2000)], suffixes.to_vec()].concat().concat();
    assert_eq!(value(&bench, "k").unwrap(), whole);
    fill(&mut bench).await;
    assert_eq!(value(&bench, "k").unwrap(), whole);
}

#[tokio::test]
async fn a_pinned_snapshot_sees_a_value_as_it_was_before_it_grew() {
    let mut bench = Bench::born(0).await;
    bench.commit(&[append("k", long(1, 60))]).await;
    let mut seen = Vec::new();
    for round in 0..20_u8 {
        let (view, before) = (bench.state.index.view(), value(&bench, "k").unwrap());
        seen.push((view, before));
        bench
            .commit(&[append("k", long(round, 500 * usize::from(round)))])
            .await;
    }
    for (view, before) in seen {
        let (_, then) = view.get(b"k", true).unwrap().unwrap();
        assert_eq!(
            (then.len(), then.vcrc()),
            (before.len(), atoll_kv::value_crc(b"k", &before))
        );
    }
}

/// One of everything, commands of one entry seeing those before them.
fn everything(round: u8) -> Vec<Command> {
    let keys = (0..9).map(|n| put(&format!("{{t}}{n}"), long(n, 20 * usize::from(n))));
    let computing = [
        increment("n", i64::from(round)),
        append("n", "0"),
        increment("n", -1),
        append("grows", long(round, 150 * usize::from(round))),
        append("grows", long(round, 5000)),
        put("replaced", long(round, 100)),
        append("replaced", "tail"),
        increment("replaced", 1),
        delete_range("{t}2", "{t}7", 3),
        append("{t}8", "more"),
        on("least", |key| Op::Min {
            key,
            number: -i64::from(round % 3),
        }),
        on("most", |key| Op::Max {
            key,
            number: i64::from(round % 3),
        }),
    ];
    keys.chain(computing).collect()
}

fn rows(bench: &Bench) -> Vec<(Vec<u8>, Bytes)> {
    let keys = bench
        .state
        .index
        .view()
        .scan(&[], &[], false, usize::MAX)
        .unwrap();
    let row = |(key, ..): (atoll_types::Key, _, _)| {
        let name = String::from_utf8(key.as_bytes().to_vec()).unwrap();
        let value = value(bench, &name).unwrap();
        (name.into_bytes(), value)
    };
    keys.into_iter().map(row).collect()
}

#[tokio::test]
async fn a_replica_that_reads_its_disk_and_one_that_does_not_agree() {
    let (mut cold, mut warm) = (Bench::born(1000).await, Bench::born(0).await);
    for round in 0..12 {
        let commands = everything(round);
        let outcomes = warm.commit(&commands).await;
        assert_eq!(cold.commit(&commands).await, outcomes);
        assert_eq!(
            outcomes[16],
            Outcome::Misfit {
                op: 0,
                misfit: Misfit::NotANumber
            }
        );
        assert_eq!(numbers(&outcomes[17..18]), [3]);
        assert_eq!(hash(&cold), hash(&warm), "round {round}");
        if round == 5 {
            fill(&mut cold).await;
            fill(&mut warm).await;
        }
    }
    assert_eq!(rows(&cold), rows(&warm));
    assert_eq!(value(&cold, "n").unwrap(), value(&warm, "n").unwrap());
}

#[tokio::test]
async fn a_restart_computes_the_same_again() {
    let disk = disk(500);
    let mut bench = Bench::on(disk.clone()).await;
    bench.commit(&[genesis()]).await;
    for round in 0..12 {
        bench.commit(&everything(round)).await;
    }
    let (before, expected, last) = (hash(&bench), rows(&bench), bench.index);
    bench.journal.close().await;

    let mut again = Bench::on(disk.crash(Crash::LoseAll)).await;
    let mut outcomes = Vec::new();
    for index in 1..=last {
        let entries = again.log.read(index, index + 1, usize::MAX).await.unwrap();
        outcomes = again.apply(entries[0].id, &entries[0].payload).unwrap();
    }
    assert_eq!((hash(&again), rows(&again)), (before, expected));
    again.index = last;
    let lengths = numbers(&again.commit(&[append("grows", "!"), append("grows", "!")]).await);
    assert_eq!(
        lengths,
        [
            numbers(&outcomes[13..14])[0] + 1,
            numbers(&outcomes[13..14])[0] + 2
        ]
    );
}

/// Flips a bit of the only place in the journal with these bytes.
fn rot(disk: &MemVfs, bytes: &[u8]) {
    let folder = std::path::Path::new("/data/journal");
    let mut found = 0;
    for name in disk.list(folder).unwrap() {
        let path = folder.join(name);
        let content = disk.durable_bytes(&path).unwrap_or_default();
        let places = content.windows(bytes.len()).enumerate();
        for (at, _) in places.filter(|(_, window)| *window == bytes) {
            disk.flip_bit(&path, at as u64 + 5, 3);
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn rot_under_an_append_stays_on_its_replica_and_is_never_shown() {
    let disk = disk(0);
    let (mut rotten, mut sound) = (Bench::on(disk.clone()).await, Bench::on(super::disk(0)).await);
    let old: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
    for bench in [&mut rotten, &mut sound] {
        bench
            .commit(&[genesis(), put("k", old.clone()), put("other", long(1, 500))])
            .await;
        fill(bench).await;
    }
    rot(&disk, &old[400..800]);
    let commands = [
        append("k", "tail"),
        append("k", long(9, 6000)),
        append("other", "tail"),
    ];
    let outcomes = rotten.commit(&commands).await;
    assert_eq!(numbers(&outcomes), [8004, 14_004, 504]);
    assert_eq!(sound.commit(&commands).await, outcomes);
    assert_eq!(hash(&rotten), hash(&sound));
    let read = run(&rotten, &item(get("k")), true);
    assert!(
        matches!(&read, Err(Miss::Corrupt(why)) if why.contains("\"k\"")),
        "{read:?}"
    );
    assert_eq!(value(&sound, "k").unwrap().len(), 14_004);
    assert_eq!(value(&rotten, "other").unwrap().len(), 504);
}

#[tokio::test]
async fn a_number_that_memory_changed_stops_the_replica() {
    let mut bench = Bench::born(0).await;
    bench.commit(&[put("n", "41")]).await;
    let wrong = InlineValue::new(b"51", atoll_kv::value_crc(b"n", b"41")).unwrap();
    let mut writer = bench.state.index.writer();
    let version = bench.state.version().next();
    writer.put(b"n", version, ValueRef::Inline(wrong));
    writer.publish(version, bench.index);
    let payload = entry(&[increment("n", 1)]);
    let id = bench.append(payload.clone()).await;
    let stopped = bench.apply(id, &payload).unwrap_err();
    assert!(
        stopped.contains("key \"n\"") && stopped.contains("checksum"),
        "{stopped}"
    );
    assert_eq!(bench.state.applied_index(), 2, "nothing of the entry is shown");
}

#[tokio::test]
async fn a_value_grows_to_its_bound_through_the_whole_path() {
    let mut bench = Bench::born(0).await;
    bench.commit(&[put("k", long(1, VALUE_BYTES_MAX - 10))]).await;
    let outcomes = bench.commit(&[append("k", long(2, 10)), append("k", "x")]).await;
    assert_eq!(numbers(&outcomes[..1]), [1 << 20]);
    assert_eq!(VALUE_BYTES_MAX, 1 << 20);
    assert_eq!(
        outcomes[1],
        Outcome::Misfit {
            op: 0,
            misfit: Misfit::TooLong
        }
    );
    assert_eq!(value(&bench, "k").unwrap().len(), VALUE_BYTES_MAX);
}

#[tokio::test]
async fn ranges_are_removed_across_slices_of_the_index() {
    let mut bench = Bench::born(0).await;
    let keys: Vec<Command> = (0..1000).map(|n| put(&format!("{{t}}{n:04}"), "v")).collect();
    bench.commit(&keys).await;
    let outcomes = bench
        .commit(&[
            delete("{t}0300"),
            put("{t}0300x", "v"),
            delete_range("{t}0100", "{t}0900", 300),
            delete_range("{t}0100", "{t}0900", 4096),
        ])
        .await;
    assert_eq!(numbers(&outcomes[2..]), [300, 500]);
    assert_eq!(bench.state.index.len(), 200);
    assert_eq!(value(&bench, "{t}0099"), Some(Bytes::from_static(b"v")));
    assert_eq!(value(&bench, "{t}0100"), None);
    assert_eq!(value(&bench, "{t}0900"), Some(Bytes::from_static(b"v")));
}
