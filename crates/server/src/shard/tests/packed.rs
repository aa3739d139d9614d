//! Packed values, from the write to the read.

use super::fetching::{get, item, run};
use super::whole::Whole;
use super::*;
use crate::shard::fetch::Miss;
use crate::shard::packing::pack_values;
use crate::shard::reply::Reply;
use crate::shard::{Consistency, WriteItem};
use atoll_env::vfs::Crash;
use atoll_storage::{Compression, Packer};
use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Codec, Misfit};

fn text(len: usize) -> Vec<u8> {
    b"some words that come again, "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

fn noise(len: usize) -> Vec<u8> {
    let rng = Rng::seeded(9);
    std::iter::repeat_with(|| rng.bits64() as u8).take(len).collect()
}

fn append(key: &str, suffix: &[u8]) -> Command {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let suffix = Bytes::copy_from_slice(suffix);
    Command::write(slot_of(&key), vec![Op::Append { key, suffix }])
}

fn packed(mut command: Command) -> Command {
    pack_values(&mut command, &Packer::new(Codec::Lz4));
    command
}

fn value(bench: &Bench, key: &str) -> Bytes {
    match run(bench, &item(get(key)), true).unwrap() {
        Reply::Value {
            found: Some((_, value)),
            ..
        } => value,
        other => panic!("{other:?}"),
    }
}

/// What of these is packed in the index, by what stands there.
fn is_packed(state: &ShardState, key: &str) -> bool {
    let (_, value) = state.index.view().get(key.as_bytes(), true).unwrap().unwrap();
    format!("{value:?}").contains("Lz4")
}

async fn leading(compression: Compression) -> Whole {
    let options = StoreOptions {
        compression,
        ..StoreOptions::default()
    };
    Whole::lead(Whole::start_of(test_env(0), Arc::default(), options).await).await
}

async fn read(whole: &Whole, key: &str) -> Bytes {
    let read = whole.read(1, Consistency::Linearizable, get(key));
    match whole.answer(read).await {
        Reply::Value {
            found: Some((_, value)),
            ..
        } => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_gains_is_packed_by_the_leader_and_read_back_as_it_was() {
    let whole = leading(Compression::default()).await;
    let rows = [
        ("short", text(255), false),
        ("text", text(256), true),
        ("long", text(200_000), true),
        ("longest", text(VALUE_BYTES_MAX), true),
        ("noise", noise(5_000), false),
    ];
    for (key, value, _) in &rows {
        whole.written(put(key, value.clone())).await;
    }
    for (key, value, gains) in &rows {
        assert_eq!(read(&whole, key).await, value);
        assert_eq!(is_packed(&whole.shard.state, key), *gains, "{key}");
    }
    let (before, after) = whole.shard.packer.bytes();
    assert!(before > 1_200_000 && after < 30_000, "{before} {after}");
}

#[tokio::test]
async fn many_writes_at_once_are_packed_together_and_answered_one_by_one() {
    let whole = leading(Compression::default()).await;
    let key = |id: u64| format!("key{id:03}");
    let items: Vec<WriteItem> = (0..300)
        .map(|id| whole.write(id, put(&key(id), text(1_000))))
        .collect();
    whole.shard.submit_writes(items);
    let replies = whole.inbox.wait(300).await;
    assert!(
        replies
            .values()
            .all(|reply| matches!(reply, Reply::Written { .. }))
    );
    for id in [0, 150, 299] {
        assert!(is_packed(&whole.shard.state, &key(id)));
        assert_eq!(read(&whole, &key(id)).await, text(1_000));
    }
}

#[tokio::test]
async fn nothing_is_packed_if_that_is_off() {
    let whole = leading(Compression::Off).await;
    whole.submit(put("k", text(100_000))).await;
    assert_eq!(read(&whole, "k").await, text(100_000));
    assert!(!is_packed(&whole.shard.state, "k"));
}

#[test]
fn a_packed_write_counts_for_what_it_takes_in_an_entry() {
    let command = put("k", text(10_000));
    let raw = command.encoded_len();
    let reply = crate::shard::ReplySlot::ignored();
    let mut item = WriteItem::new(command, atoll_env::Instant::default(), reply);
    assert_eq!(item.bytes(), raw);
    pack_values(&mut item.command, &Packer::new(Codec::Lz4));
    item.measure();
    assert_eq!(item.bytes(), item.command.encoded_len());
    assert!(item.bytes() < raw / 10);
}

/// Whether or not values are packed, all replicas come to the same.
#[tokio::test]
async fn packed_and_unpacked_entries_come_to_the_same_state() {
    let mut benches = [Bench::born(0).await, Bench::born(0).await];
    let mut seen = Vec::new();
    for (pack, bench) in benches.iter_mut().enumerate() {
        let as_meant = |command: Command| if pack == 1 { packed(command) } else { command };
        let put = |key, len| as_meant(put(key, text(len)));
        let mut outcomes = bench
            .commit(&[put("a", 300), put("b", 40_000), append("a", b"tail")])
            .await;
        outcomes.extend(bench.commit(&[append("b", &noise(6_000)), put("c", 70)]).await);
        let key = Bytes::from_static(b"a");
        let increment = Command::write(slot_of(&key), vec![Op::Increment { key, by: 1 }]);
        outcomes.extend(bench.commit(&[increment]).await);
        let values = ["a", "b", "c"].map(|key| value(bench, key));
        assert_eq!(values[0], [&text(300)[..], b"tail"].concat());
        assert_eq!(values[1], [text(40_000), noise(6_000)].concat());
        assert!(bench.state.index.view().get(b"b", true).unwrap().is_some());
        seen.push((outcomes, values, bench.state.replica_state()));
    }
    assert!(matches!(
        seen[0].0.last(),
        Some(Outcome::Misfit {
            misfit: Misfit::NotANumber,
            ..
        })
    ));
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn after_a_restart_and_from_a_slow_disk_they_are_read_as_before() {
    let disk = disk(1000);
    let mut bench = Bench::on(disk.clone()).await;
    bench.commit(&[genesis()]).await;
    let commands = [packed(put("a", text(400))), packed(put("b", text(300_000)))];
    bench.commit(&commands).await;
    let entries = [entry(&[genesis()]), entry(&commands)];
    drop(bench);
    let mut bench = Bench::on(disk.crash(Crash::Process)).await;
    for (index, payload) in (1..).zip(&entries) {
        let id = LogId {
            term: 1,
            leader: REPLICA,
            index,
        };
        bench.apply(id, payload).unwrap();
    }
    for (key, len) in [("a", 400), ("b", 300_000)] {
        assert!(is_packed(&bench.state, key));
        assert!(
            matches!(run(&bench, &item(get(key)), false), Err(Miss::Cold)),
            "{key}"
        );
        assert_eq!(value(&bench, key), text(len));
    }
    // Short ones are kept unpacked; long ones take as long again.
    assert!(matches!(
        run(&bench, &item(get("a")), false),
        Ok(Reply::Value { .. })
    ));
    assert!(matches!(run(&bench, &item(get("b")), false), Err(Miss::Cold)));
}
