//! Readers on threads of their own, beside one that applies, freezes, flushes and merges.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atoll_env::Clock;
use atoll_env::vfs::MemVfsOptions;

use super::model::History;
use super::model::{key, value};
use super::process::{Process, slow_disk};
use super::{Node, Op};
use crate::index::{GroupIndex, View};

/// More than one slice, so that an entry is in the tree before all of it is.
const COUNT: u16 = 150;
const ENTRIES: u64 = 200;
const CHECKPOINTS: u64 = 8;

/// Sets all keys to one value, or deletes them all.
fn entry(index: u64) -> Op {
    match index % 5 {
        0 => Op::Delete {
            first: 0,
            count: COUNT,
        },
        _ => Op::Put {
            first: 0,
            count: COUNT,
            len: 20,
        },
    }
}

/// All rows are those of the view's very entry.
fn check(view: &View) {
    let index = view.applied_index();
    let expected = (index > 0 && !index.is_multiple_of(5)).then(|| value(index, 0, 20));
    let rows = view.scan(b"", b"", index.is_multiple_of(2), 1000).unwrap();
    assert_eq!(
        rows.len(),
        expected.as_ref().map_or(0, |_| usize::from(COUNT)),
        "entry {index}"
    );
    for (key, _, found) in &rows {
        let found = found.inline_checked(key.as_bytes()).unwrap().unwrap();
        assert_eq!(Some(&found[..]), expected.as_deref(), "entry {index}");
    }
    let one = view.get(&key(COUNT - 1), true).unwrap();
    assert_eq!(one.is_some(), expected.is_some(), "entry {index}");
}

/// Looks until the writer has ended; how often.
fn read(index: &GroupIndex, applied: &AtomicU64, ended: &AtomicBool) -> usize {
    let (mut looks, mut last) = (0, 0);
    let mut held = index.view();
    while !ended.load(Ordering::Acquire) {
        let promised = applied.load(Ordering::Acquire).max(last);
        let view = index.view();
        assert!(
            view.applied_index() >= promised,
            "an older state than was promised"
        );
        last = view.applied_index();
        check(&view);
        check(&held);
        looks += 1;
        if looks % 7 == 0 {
            held = view;
        }
    }
    looks
}

async fn write(node: &mut Node, applied: &AtomicU64) {
    let mut history = History::default();
    let mut checkpoints = 0;
    for index in 1.. {
        // As many as it takes, however fast this machine is.
        if checkpoints >= CHECKPOINTS && index > ENTRIES {
            break;
        }
        node.write(&[entry(index)], &mut history).await.unwrap();
        applied.store(index, Ordering::Release);
        checkpoints += u64::from(node.begin_checkpoint());
    }
}

#[test]
fn readers_see_whole_entries_and_never_an_older_state() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let opened = runtime.block_on(Node::open(Process::real(slow_disk(
        Clock::boot(),
        &MemVfsOptions::default(),
    ))));
    let (mut node, _) = opened.unwrap();
    let index = node.group.index().clone();
    let (applied, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(|| read(&index, &applied, &ended)));
        runtime.block_on(write(&mut node, &applied));
        ended.store(true, Ordering::Release);
        let looks = readers.map(|reader| reader.join().unwrap());
        assert!(looks.iter().all(|looks| *looks > 0), "{looks:?}");
    });
    runtime.block_on(async {
        node.store.close().await;
        node.journal.close().await;
    });
}
