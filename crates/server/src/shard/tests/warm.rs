//! Rows that an entry looks at are read before it is applied.

use super::*;
use atoll_kv::Guard;
use atoll_raft::{Machine, Position};
use atoll_types::SlotId;

const KEYS: usize = 2000;

fn name(key: usize) -> Bytes {
    format!("{{t}}{key:06}").into()
}

/// A group whose rows stand in a file, of which nothing is in memory.
async fn cold() -> Bench {
    let mut bench = Bench::born(1000).await;
    let puts = (0..KEYS).map(|key| Op::Put {
        key: name(key),
        value: Bytes::from_static(b"1"),
    });
    let puts: Vec<_> = puts.collect();
    bench.commit(&[Command::write(slot_of(&name(0)), puts)]).await;
    let applied = LogId {
        term: 1,
        leader: REPLICA,
        index: bench.index,
    };
    bench.machine.checkpoint(Position {
        applied: Some(applied),
        ..Position::default()
    });
    for _ in 0..10_000 {
        if bench.state.index.has_files() {
            return bench;
        }
        tokio::task::yield_now().await;
    }
    panic!("no checkpoint was written");
}

impl Bench {
    /// Whether something was read before this could be applied.
    async fn reads_ahead(&mut self, command: Command) -> bool {
        let payload = entry(&[command]);
        let entry = Committed {
            id: LogId::default(),
            payload: &payload,
            normal: true,
            log: &self.log,
        };
        match self.machine.prepare(&entry) {
            Some(ready) => {
                ready.await;
                true
            }
            None => false,
        }
    }

    fn is_warm(&self, key: usize) -> bool {
        self.state.index.view().get(&name(key), false).is_ok()
    }
}

fn increment(key: usize) -> Command {
    Command::write(
        SlotId(0),
        vec![Op::Increment {
            key: name(key),
            by: 1,
        }],
    )
}

#[tokio::test]
async fn a_computed_write_of_a_cold_key_reads_it_ahead_and_a_plain_one_nothing() {
    let mut bench = cold().await;
    assert!(!bench.is_warm(7));
    let plain = vec![
        Op::Put {
            key: name(7),
            value: Bytes::from_static(b"2"),
        },
        Op::Delete { key: name(8) },
    ];
    assert!(!bench.reads_ahead(Command::write(SlotId(0), plain)).await);
    assert!(!bench.is_warm(7), "nobody asked for it");
    assert!(bench.reads_ahead(increment(7)).await);
    assert!(
        bench.is_warm(7) && !bench.is_warm(KEYS - 1),
        "one block of several"
    );
    assert!(!bench.reads_ahead(increment(7)).await, "it is there now");
}

#[tokio::test]
async fn guards_and_ranges_are_read_ahead_too() {
    let mut bench = cold().await;
    let mut guarded = put("{t}other", "x");
    guarded.guards = vec![Guard::Key {
        key: name(3),
        expected: Version(1),
    }];
    assert!(bench.reads_ahead(guarded.clone()).await);
    assert!(!bench.reads_ahead(guarded.clone()).await);
    guarded.guards = vec![Guard::Range {
        start: name(0),
        end: name(KEYS),
        newest: Version(u64::MAX),
    }];
    assert!(bench.reads_ahead(guarded.clone()).await);
    assert!(bench.is_warm(0) && bench.is_warm(KEYS - 1));
    assert!(!bench.reads_ahead(guarded).await);

    let mut bench = cold().await;
    let first_ten = Op::DeleteRange {
        start: name(0),
        end: name(KEYS),
        limit: 10,
    };
    assert!(
        bench
            .reads_ahead(Command::write(SlotId(0), vec![first_ten]))
            .await
    );
    assert!(bench.is_warm(9));
}
