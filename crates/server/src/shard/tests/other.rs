//! Reads from a backend that gives pages are those from the index.

use super::fetching::{filled, get, item, multi_get, scan};
use super::*;
use crate::shard::fetch::{Fetch, Miss};
use crate::shard::guarded::{Counted, GuardedKeys};
use crate::shard::read::{ReadOp, ScanOp, ScanWhat};
use crate::shard::reply::Reply;
use crate::shard::rows_view::RowsView;
use crate::shard::state::Snapshot;
use atoll_env::Instant;
use atoll_kv::Guard;
use atoll_state::{Backend, Reader};
use atoll_types::limits::SCAN_PAGE_BYTES;

fn pages_of(bench: &Bench) -> Arc<dyn Reader> {
    NativeBackend::new(bench.store.clone(), bench.journal.clone()).reader()
}

/// What a read answers from the index.
fn from_index(bench: &Bench, op: &ReadOp, may_block: bool) -> Result<Reply, Miss> {
    answer(bench, &bench.state.snapshot(), op, may_block)
}

/// What it answers from pages of the same rows.
fn from_pages(bench: &Bench, op: &ReadOp, may_block: bool) -> Result<Reply, Miss> {
    let snapshot = Snapshot {
        view: RowsView::Other(pages_of(bench).view()),
        ..bench.state.snapshot()
    };
    answer(bench, &snapshot, op, may_block)
}

fn answer(bench: &Bench, snapshot: &Snapshot, op: &ReadOp, may_block: bool) -> Result<Reply, Miss> {
    let fetch = Fetch {
        state: &bench.state,
        journal: &bench.journal,
        snapshot,
        age_ms: 0,
        may_block,
    };
    fetch.run(&item(op.clone()), Instant::from_nanos(1_000))
}

fn scan_of(what: ScanWhat, range: (&str, &str), limit: usize, reverse: bool) -> ReadOp {
    ReadOp::Scan(Box::new(ScanOp {
        start: Bytes::copy_from_slice(range.0.as_bytes()),
        end: Bytes::copy_from_slice(range.1.as_bytes()),
        limit,
        reverse,
        what,
        ..ScanOp::default()
    }))
}

#[tokio::test]
async fn every_read_is_answered_alike() {
    let (bench, _) = filled().await;
    let mut ops = vec![get("key00001"), get("key00009"), get("nothing"), get("key00140")];
    ops.push(multi_get(&["key00001", "key00009", "nothing", "key00140"]));
    let ranges = [
        ("", ""),
        ("key00100", "key00400"),
        ("key001", "key0016"),
        ("x", "a"),
    ];
    let limits = [1, 10, 255, 256, 257, 4096];
    for (range, limit) in ranges
        .into_iter()
        .flat_map(|range| limits.map(|limit| (range, limit)))
    {
        for what in [ScanWhat::Rows, ScanWhat::Keys, ScanWhat::Count] {
            ops.extend([false, true].map(|reverse| scan_of(what, range, limit, reverse)));
        }
    }
    for op in ops {
        let expected = from_index(&bench, &op, true).unwrap();
        assert_eq!(from_pages(&bench, &op, true).unwrap(), expected, "{op:?}");
    }
}

#[tokio::test]
async fn pages_end_at_the_same_row_when_they_have_too_many_bytes() {
    let mut bench = Bench::born(0).await;
    for number in 0..5 {
        let big = vec![number; SCAN_PAGE_BYTES / 2 - 7];
        bench.commit(&[put(&format!("big{number}"), big)]).await;
    }
    for reverse in [false, true] {
        let op = scan(b"", b"", 100, reverse);
        let expected = from_index(&bench, &op, true).unwrap();
        assert_eq!(from_pages(&bench, &op, true).unwrap(), expected);
    }
}

#[tokio::test]
async fn what_would_wait_for_a_disk_says_so() {
    let mut bench = Bench::born(1000).await;
    bench.commit(&[put("big", vec![5; 2000])]).await;
    for _ in 0..40 {
        bench.commit(&[put("filler", vec![0; 200_000])]).await;
    }
    for op in [get("big"), scan(b"", b"", 10, false)] {
        assert!(matches!(from_pages(&bench, &op, false), Err(Miss::Cold)));
        assert!(from_pages(&bench, &op, true).is_ok());
    }
}

#[tokio::test]
async fn a_group_that_is_read_from_pages_counts_guarded_keys_and_reads_ahead_there() {
    let (bench, model) = filled().await;
    let key = group();
    let state = ShardState::new(key, REPLICA, bench.state.index.clone());
    assert!(!state.has_files());
    let state = state.read_from(Some(pages_of(&bench)));
    assert!(state.has_files(), "another backend may always wait for a disk");
    assert!(matches!(state.view(), RowsView::Other(_)));
    let guard = Guard::Range {
        start: Bytes::from_static(b"key001"),
        end: Bytes::from_static(b"key005"),
        newest: Version::ZERO,
    };
    let command = Command {
        guards: vec![guard],
        ..put("k", "v")
    };
    let counted = GuardedKeys::default().of(&command, &state, true).unwrap();
    let expected = model.range(b"key001".to_vec()..b"key005".to_vec()).count();
    assert_eq!(counted, Counted::Keys(expected));
}
