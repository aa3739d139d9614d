//! Readers on threads of their own, while values move and what nobody needs is taken away at once.

use std::sync::atomic::{AtomicBool, Ordering};

use atoll_env::Clock;
use atoll_env::vfs::MemVfsOptions;

use super::super::model::value;
use super::*;
use crate::index::{GroupIndex, View};
use crate::journal::{Journal, ReadValue};

const KEYS_WRITTEN: u16 = 12;
const LEN: usize = 2_000;
const FILES: u32 = 12;

/// Every entry gives all keys one value, so a view has the value of its very entry.
fn check(view: &View, journal: &Journal) {
    let index = view.applied_index();
    for number in 0..KEYS_WRITTEN {
        let key = key(number);
        let seen = view.get(&key, true).unwrap();
        let Some((_, found)) = seen else {
            assert_eq!(index, 0);
            return;
        };
        let read = view.read_value(journal, &key, &found, true);
        let expected = ReadValue::Ready(value(index, 0, LEN).into());
        assert_eq!(read.unwrap(), expected, "entry {index}");
    }
}

fn read(index: &GroupIndex, journal: &Journal, ended: &AtomicBool) -> usize {
    let mut looks = 0;
    let mut held = index.view();
    while !ended.load(Ordering::Acquire) {
        let view = index.view();
        check(&view, journal);
        check(&held, journal);
        looks += 1;
        if looks % 5 == 0 {
            held = view;
        }
    }
    looks
}

async fn write(node: &mut Node, veil: &Veil) {
    let mut history = History::default();
    // As many as it takes, however fast this machine is.
    while node.value_numbers().last().is_none_or(|last| *last < FILES) {
        let put = Op::Put {
            first: 0,
            count: KEYS_WRITTEN,
            len: LEN,
        };
        drop(node.write(&[put], &mut history).await.unwrap());
        node.begin_checkpoint();
        node.veil(veil);
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_reader_never_misses_what_was_taken_away() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let veil = Veil::over(slow_disk(Clock::boot(), &MemVfsOptions::default()));
    let process = veil.real_process();
    let opened = runtime.block_on(Node::open_with(process, TIGHT));
    let (mut node, _) = opened.unwrap();
    let (index, journal) = (node.group.index().clone(), node.journal.clone());
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(|| read(&index, &journal, &ended)));
        runtime.block_on(write(&mut node, &veil));
        ended.store(true, Ordering::Release);
        let looks = readers.map(|reader| reader.join().unwrap());
        assert!(looks.iter().all(|looks| *looks > 0), "{looks:?}");
    });
    runtime.block_on(async {
        node.store.close().await;
        node.journal.close().await;
    });
}
