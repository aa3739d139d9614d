//! Rows that were read from files before an install are not those after it.

use atoll_env::vfs::MemVfs;

use super::super::look::{check_view, found_by};
use super::super::model::{History, key};
use super::super::{Node, Op, simulate};
use super::{install, snapshot_of, stage};
use crate::index::{Found, View};

/// Two rows: one that is looked at before the install, and one that a view from before looks at only after it.
fn put(len: usize) -> Op {
    Op::Put {
        first: 7,
        count: 2,
        len,
    }
}

fn is_cached(view: &View, number: u16) -> bool {
    matches!(view.find(&key(number), true).unwrap(), Some(Found::Bytes(..)))
}

/// Both nodes know two entries, and `from` one that the other one gets in a snapshot: there it takes no row out, as it
/// does where it is applied.
async fn replace(newer: Op) {
    let mut history = History::default();
    let mut from = Node::start(MemVfs::default(), &history).await.unwrap();
    let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
    for ops in [super::entry(0), vec![put(60)]] {
        to.write(&ops, &mut History::default()).await.unwrap();
        from.write(&ops, &mut history).await.unwrap();
    }
    from.write(&[newer], &mut history).await.unwrap();
    assert!(to.checkpoint().await && from.checkpoint().await);
    let staged = stage(&to, &snapshot_of(&from).await).await.unwrap();

    let (before, old) = (to.group.index().view(), to.model.clone());
    let kept = found_by(&before, &key(7), &to.journal);
    assert!(kept.is_some() && is_cached(&before, 7));
    install(&mut to, staged, &history).await.unwrap();
    let after = to.group.index().view();
    assert!(!is_cached(&after, 7), "what was there is not found any more");
    assert!(found_by(&before, &key(8), &to.journal).is_some());
    assert!(is_cached(&before, 8), "the view goes on with what is its own");
    assert!(!is_cached(&after, 8), "and tells nobody else");
    check_view(&before, &old, &to.journal);
    for number in [7, 8] {
        let expected = to.model.rows.get(&key(number)).cloned();
        for view in [&after, &to.group.index().view()] {
            assert_eq!(found_by(view, &key(number), &to.journal), expected);
            assert_eq!(is_cached(view, number), expected.is_some());
        }
    }
    assert_eq!(found_by(&before, &key(7), &to.journal), kept);
    // Entries behind the snapshot take rows out of the space that it began.
    to.write(&[put(50)], &mut history).await.unwrap();
    assert!(to.checkpoint().await);
    assert!(!is_cached(&to.group.index().view(), 7));
    to.check();
    for node in [from, to] {
        node.process.kill();
    }
}

#[test]
fn rows_cached_before_an_install_are_not_seen_after_it() {
    simulate(replace(put(300)));
    simulate(replace(Op::Delete { first: 7, count: 2 }));
}

#[test]
fn what_an_install_replaced_is_counted_no_more_when_nobody_reads_it() {
    simulate(async {
        let mut history = History::default();
        let mut to = Node::start(MemVfs::default(), &history).await.unwrap();
        to.write(&super::entry(0), &mut history).await.unwrap();
        to.group.note_applied(&to.writer, 0);
        let mut from = Node::start(MemVfs::default(), &History::default()).await.unwrap();
        from.write(&super::entry(0), &mut History::default())
            .await
            .unwrap();
        from.write(&super::entry(1), &mut history).await.unwrap();
        assert!(from.checkpoint().await);
        let staged = stage(&to, &snapshot_of(&from).await).await.unwrap();
        let before = to.group.index().view();
        let bytes = to.store.row_memory().bytes;
        assert!(bytes > 0);
        install(&mut to, staged, &history).await.unwrap();
        assert_eq!(
            to.store.row_memory().bytes,
            bytes,
            "the view holds on to the rows"
        );
        assert_eq!(to.store.0.rows.bytes.active(), 0, "no checkpoint would free them");
        drop(before);
        assert_eq!(to.store.row_memory().bytes, 0);
        for node in [from, to] {
            node.process.kill();
        }
    });
}
