//! Merges that keep next to nothing of what they read.

use std::time::Duration;

use atoll_env::Clock;
use atoll_env::vfs::{MemVfs, MemVfsOptions};
use atoll_types::{LogId, Version};

use super::model::History;
use super::process::{Process, slow_disk};
use super::world::{Node, OPTIONS, id};
use super::{Op, simulate};
use crate::store::{Checkpoint, StoreOptions};

/// Bytes of a key.
const KEY: usize = 250;
const ROWS: u64 = 8_000;
const RATE: u64 = 100 * 1024;
const BUDGET: u64 = 512 * 1024;

impl Node {
    /// Removes long keys that were never there, or puts one, as an entry of its own, and makes a checkpoint of it.
    fn rows_of_their_own(&mut self, entry: u64, rows: u64) {
        self.writer.begin(0);
        for row in 0..rows {
            let key = format!("{row:0KEY$}");
            self.writer
                .delete(key.as_bytes(), Version(entry * ROWS + row + 1));
        }
        self.writer.publish(Version((entry + 1) * ROWS), entry);
        let applied: LogId = id(entry);
        let version = Version((entry + 1) * ROWS);
        let checkpoint = Checkpoint {
            applied,
            version,
            ..Checkpoint::default()
        };
        self.group.checkpoint(&mut self.writer, checkpoint);
    }
}

/// A node that merges two runs, of which one has nothing but removed rows that go.
async fn merging() -> Node {
    let options = StoreOptions {
        maintenance_rate: RATE,
        ..OPTIONS
    };
    let process = Process::on(MemVfs::default());
    let (mut node, _) = Node::open_with(process, options).await.unwrap();
    // An empty run below, or the rows that say that a key is gone would go without a merge.
    node.rows_of_their_own(1, 0);
    assert!(node.settle().await);
    node.rows_of_their_own(2, ROWS);
    while node.is_busy() {
        node.sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.group.runs().0, 2);
    node
}

#[test]
fn rows_that_go_are_read_no_faster_than_a_merge_may() {
    simulate(async {
        let node = merging().await;
        let clock = &node.process.env.clock;
        let begun = clock.now();
        while node.group.runs().0 == 2 {
            clock.sleep(Duration::from_millis(10)).await;
        }
        let seconds = clock.now().since(begun).as_secs_f64();
        let least = (ROWS * KEY as u64) as f64 / RATE as f64;
        assert!(seconds > 0.9 * least, "{seconds} s, at least {least}");
        node.process.kill();
    });
}

#[test]
fn a_merge_that_writes_nothing_ends_when_the_node_stops() {
    simulate(async {
        let node = merging().await;
        let clock = &node.process.env.clock;
        clock.sleep(Duration::from_millis(200)).await;
        let begun = clock.now();
        node.store.close().await;
        let took = clock.now().since(begun);
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(node.group.runs().0, 2, "it was given up");
        node.process.kill();
    });
}

/// Values come four times as fast as merges may usually move them. What the journal has stays bounded nevertheless.
#[test]
fn a_journal_that_writes_outrun_is_emptied_faster() {
    simulate(async {
        let options = StoreOptions {
            maintenance_rate: 64 * 1024,
            journal_budget: BUDGET,
            value_file_bytes: 64 * 1024,
            ..OPTIONS
        };
        let disk = slow_disk(Clock::simulated(1.0, 0), &MemVfsOptions::default());
        let mut history = History::default();
        let mut node = Node::start_with(Process::on(disk), options, &history)
            .await
            .unwrap();
        let clock = node.process.env.clock.clone();
        let mut most = 0;
        for round in 0..240_u16 {
            let put = Op::put(round * 7, 32_000);
            drop(node.write(&[put], &mut history).await.unwrap());
            clock.sleep(Duration::from_millis(125)).await;
            if round % 8 == 7 {
                node.begin_checkpoint();
                let applied = id(node.group.flushed_index());
                node.log.purge(applied).await.unwrap();
                node.store.reclaim().await.unwrap();
            }
            most = most.max(node.journal.used_bytes());
        }
        // Twice the budget, and what came while a merge was under way. At the usual rate it would be twelve times as much.
        assert!(most > BUDGET && most < 5 * BUDGET, "{most} bytes");
        node.check();
        node.process.kill();
    });
}
