//! Values that scans read one by one are put in order.

use atoll_env::vfs::MemVfs;
use bytes::BytesMut;

use super::*;
use crate::index::ReadAhead;

/// The journal may be as large as it likes.
const ROOMY: StoreOptions = StoreOptions {
    journal_budget: u64::MAX,
    ..TIGHT
};
const ROWS: u16 = 20;
const LEN: usize = 15_000;
/// Values are this far from their neighbours by key, both ways round.
const STRIDE: u16 = 7;

/// All values, in the order of their keys, as a server reads them.
fn scan(node: &Node) {
    let (view, mut ahead, mut out) = (node.group.index().view(), ReadAhead::default(), BytesMut::new());
    for number in 0..ROWS {
        let key = key(number);
        let (version, value) = view.get(&key, true).unwrap().unwrap();
        out.clear();
        let row = (&key[..], version, &value);
        assert!(
            view.append_value(&node.journal, row, true, &mut ahead, &mut out)
                .unwrap()
        );
        assert_eq!(out, node.model.rows[&key].1, "key {number}");
    }
}

#[test]
fn what_was_read_one_by_one_as_often_as_pays_is_moved_and_scans_after_that_move_nothing() {
    simulate(async {
        let mut history = History::default();
        let node = Node::start_with(Process::on(MemVfs::default()), ROOMY, &history).await;
        let mut node = node.unwrap();
        let rows = (0..ROWS).map(|step| step * STRIDE % ROWS);
        // Behind them, so that none stands in the newest segment, which alone is no reason to move anything.
        let behind = [100, 101, 102];
        node.put_each(rows.chain(behind), LEN, &mut history).await;
        assert!(node.checkpoint().await);
        // 16 MiB is the least that anything is moved for; some values stand beside each other by chance.
        let least = 16 * 1024 * 1024 / (usize::from(ROWS) * LEN);
        let mut scans = 0;
        while node.value_numbers().is_empty() {
            scan(&node);
            scans += 1;
            assert!(scans < 4 * least, "nothing is moved after {scans} scans");
            if scans % 8 == 0 {
                node.store.look();
                assert!(node.settle().await);
            }
        }
        assert!(scans >= least, "moved after {scans} scans");
        let moved = node.value_numbers();
        assert_eq!(node.store.low_water(), None, "and hold no segment");
        for _ in 0..2 * scans {
            scan(&node);
        }
        node.store.look();
        assert!(node.settle().await);
        assert_eq!(node.value_numbers(), moved);
        node.check();
        node.process.kill();
    });
}
