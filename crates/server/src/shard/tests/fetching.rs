use super::*;
use crate::shard::fetch::{Fetch, Miss};
use crate::shard::read::{Consistency, ReadItem, ReadOp, ScanOp, ScanWhat};
use crate::shard::reply::{Failure, Reply, Row};
use atoll_env::Instant;
use atoll_types::limits::SCAN_PAGE_BYTES;

pub(super) fn item(op: ReadOp) -> ReadItem {
    ReadItem {
        id: 0,
        cost: 0,
        deadline: Instant::from_nanos(1_000_000),
        consistency: Consistency::Linearizable,
        at: None,
        slot_epoch: Epoch(0),
        op,
    }
}

pub(super) fn run(bench: &Bench, item: &ReadItem, may_block: bool) -> Result<Reply, Miss> {
    let snapshot = bench.state.snapshot();
    let fetch = Fetch {
        state: &bench.state,
        journal: &bench.journal,
        snapshot: &snapshot,
        age_ms: 0,
        may_block,
    };
    fetch.run(item, Instant::from_nanos(1_000))
}

pub(super) fn get(key: &str) -> ReadOp {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let slot = slot_of(&key);
    ReadOp::Get { key, slot }
}

pub(super) fn multi_get(keys: &[&str]) -> ReadOp {
    let keys = keys
        .iter()
        .map(|key| (Bytes::copy_from_slice(key.as_bytes()), slot_of(key.as_bytes())));
    ReadOp::MultiGet { keys: keys.collect() }
}

pub(super) fn scan(start: &[u8], end: &[u8], limit: usize, reverse: bool) -> ReadOp {
    let (start, end) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
    ReadOp::Scan(Box::new(ScanOp {
        start,
        end,
        limit,
        reverse,

        ..ScanOp::default()
    }))
}

fn page(bench: &Bench, op: ReadOp) -> (Vec<Plain>, bool) {
    match run(bench, &item(op), true) {
        Ok(Reply::Page { rows, more, .. }) => (rows.into_iter().map(plain).collect(), more),
        other => panic!("{other:?}"),
    }
}

type Plain = (Vec<u8>, Vec<u8>);

fn plain(row: Row) -> Plain {
    let (_, value) = row.found.unwrap();
    (row.key.to_vec(), value.to_vec())
}

/// 700 keys, some values inline and some in the journal, some keys deleted again.
pub(super) async fn filled() -> (Bench, Model) {
    let mut bench = Bench::born(0).await;
    let mut model = Model::new();
    for chunk in 0..7 {
        let mut commands = Vec::new();
        for number in chunk * 100..(chunk + 1) * 100 {
            let (key, len) = (format!("key{number:05}"), number % 150);
            commands.push(put(&key, vec![number as u8; len]));
            model.insert(key.into_bytes(), vec![number as u8; len]);
        }
        bench.commit(&commands).await;
    }
    let gone: Vec<Command> = (0..700)
        .step_by(9)
        .map(|number| delete(&format!("key{number:05}")))
        .collect();
    bench.commit(&gone).await;
    model.retain(|key, _| String::from_utf8_lossy(&key[3..]).parse::<usize>().unwrap() % 9 != 0);
    (bench, model)
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_in_both_directions() {
    let (bench, model) = filled().await;
    let all: Vec<Plain> = model.into_iter().collect();
    for limit in [1, 7, 255, 256, 257, 600, 4096] {
        assert_eq!(all_pages(&bench, limit, false), all, "limit {limit}");
        let mut backward = all_pages(&bench, limit, true);
        backward.reverse();
        assert_eq!(backward, all, "limit {limit} backwards");
    }
}

/// Follows pages to the end by nothing but their last keys.
fn all_pages(bench: &Bench, limit: usize, reverse: bool) -> Vec<Plain> {
    let (mut all, mut from, mut to) = (Vec::new(), Vec::new(), Vec::new());
    let mut more = true;
    while more {
        let (rows, follow) = page(bench, scan(&from, &to, limit, reverse));
        assert!(rows.len() <= limit);
        more = follow;
        match rows.last() {
            Some((key, _)) if reverse => to.clone_from(key),
            Some((key, _)) => from = [key.as_slice(), &[0]].concat(),
            None => assert!(!more),
        }
        all.extend(rows);
    }
    all
}

#[tokio::test]
async fn ranges_are_half_open_and_may_be_empty() {
    let (bench, model) = filled().await;
    let (rows, more) = page(&bench, scan(b"key00010", b"key00020", 100, false));
    let expected: Vec<_> = model.range(b"key00010".to_vec()..b"key00020".to_vec()).collect();
    assert_eq!(rows.iter().map(|(k, v)| (k, v)).collect::<Vec<_>>(), expected);
    assert!(!more);
    assert_eq!(page(&bench, scan(b"b", b"a", 10, false)), (Vec::new(), false));
    assert_eq!(page(&bench, scan(b"a", b"a", 10, true)), (Vec::new(), false));
    assert_eq!(page(&bench, scan(b"x", b"", 10, false)), (Vec::new(), false));
}

#[tokio::test]
async fn a_page_that_ends_exactly_at_its_limit_knows_whether_more_follows() {
    let (bench, model) = filled().await;
    let (rows, more) = page(&bench, scan(b"", b"", model.len(), false));
    assert_eq!((rows.len(), more), (model.len(), false));
    let (rows, more) = page(&bench, scan(b"", b"", model.len() - 1, false));
    assert_eq!((rows.len(), more), (model.len() - 1, true));
}

#[tokio::test]
async fn bytes_bound_pages_and_multi_gets() {
    let mut bench = Bench::born(0).await;
    for number in 0..5 {
        bench
            .commit(&[put(&format!("big{number}"), vec![number; SCAN_PAGE_BYTES / 2])])
            .await;
    }
    let (rows, more) = page(&bench, scan(b"", b"", 100, false));
    assert_eq!((rows.len(), more), (2, true));
    let op = multi_get(&["big0", "none", "big1", "big2", "big3"]);
    let Ok(Reply::Values { rows, unread, proof }) = run(&bench, &item(op), true) else {
        panic!()
    };
    assert_eq!((rows.len(), unread), (3, 2));
    assert!(rows[1].found.is_none() && rows[2].found.is_some());
    assert_eq!(
        (proof.group, proof.replica, proof.slot_epoch),
        (group(), REPLICA, EPOCH)
    );
    assert_eq!(proof.applied_index, 6);

    let keys_only = ReadOp::Scan(Box::new(ScanOp {
        start: Bytes::new(),
        end: Bytes::new(),
        limit: 100,
        reverse: false,
        what: ScanWhat::Keys,
        ..ScanOp::default()
    }));
    let (rows, more) = page(&bench, keys_only);
    assert_eq!((rows.len(), more), (5, false));
    assert!(rows.iter().all(|(_, value)| value.is_empty()));
}

#[tokio::test]
async fn a_read_that_would_wait_for_the_disk_says_so() {
    let mut bench = Bench::born(1000).await;
    bench
        .commit(&[put("big", vec![5; 2000]), put("small", "inline")])
        .await;
    // Newer entries push the first out of memory.
    for _ in 0..40 {
        bench.commit(&[put("filler", vec![0; 200_000])]).await;
    }
    assert!(matches!(
        run(&bench, &item(get("small")), false),
        Ok(Reply::Value { found: Some(_), .. })
    ));
    assert!(matches!(run(&bench, &item(get("big")), false), Err(Miss::Cold)));
    let Ok(Reply::Value {
        found: Some((_, value)),
        ..
    }) = run(&bench, &item(get("big")), true)
    else {
        panic!()
    };
    assert_eq!(value, vec![5; 2000]);
}

#[tokio::test]
async fn deadlines_and_epochs_are_checked_before_reading() {
    let mut bench = Bench::born(0).await;
    bench.commit(&[put("k", "v")]).await;
    let late = ReadItem {
        deadline: Instant::from_nanos(1_000),
        ..item(get("k"))
    };
    assert!(matches!(
        run(&bench, &late, false),
        Err(Miss::Failed(Failure::Deadline))
    ));
    for op in [get("k"), multi_get(&["k"]), scan(b"", b"", 10, false)] {
        let newer = ReadItem {
            slot_epoch: Epoch(EPOCH.0 + 1),
            ..item(op.clone())
        };
        let refused = run(&bench, &newer, false);
        assert!(
            matches!(refused, Err(Miss::Failed(Failure::NotOwner { .. }))),
            "{refused:?}"
        );
        let same = ReadItem {
            slot_epoch: EPOCH,
            ..item(op)
        };
        assert!(run(&bench, &same, false).is_ok());
    }
}

#[tokio::test]
async fn a_group_without_slots_serves_nothing() {
    let bench = Bench::new(0).await;
    for op in [get("k"), multi_get(&["k"]), scan(b"", b"", 10, false)] {
        let refused = run(&bench, &item(op), false);
        assert!(
            matches!(refused, Err(Miss::Failed(Failure::Unavailable(_)))),
            "{refused:?}"
        );
    }
}
