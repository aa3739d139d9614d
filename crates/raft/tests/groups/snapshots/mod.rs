//! Replicas that are further behind than any log reaches.

mod behind;
mod catch_up;
mod crashes;
mod parts;
mod purging;
mod room;
mod rotten;
mod slow;
mod turns;

use atoll_raft::{KeepLog, RaftOptions};
use atoll_types::GroupKey;
use bytes::Bytes;

use crate::shelf::Stop;
use crate::world::{Options, World, ms, payload};

/// So many entries, however old their segments.
fn keep(entries: u64) -> KeepLog {
    KeepLog {
        entries,
        segments: u32::MAX,
    }
}

/// Logs keep two entries, and checkpoints are made when the test says so.
fn options() -> Options {
    Options {
        raft: RaftOptions {
            keep_log: keep(2),
            ..RaftOptions::default()
        },
        checkpoints: Some(0),
        ..Options::default()
    }
}

/// Entries that were written in turn.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    /// Has a leader write so many more.
    async fn write(&mut self, world: &World, leader: u64, more: usize) {
        for _ in 0..more {
            let text = format!("entry {}", self.0.len());
            world.propose(leader, &text).await.unwrap();
            self.0.push(text);
        }
    }

    async fn are_on(&self, world: &World, nodes: &[u64]) {
        let texts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        world.all_have(nodes, &texts).await;
    }

    fn payloads(&self) -> Vec<Bytes> {
        self.0.iter().map(|text| payload(text)).collect()
    }
}

/// Makes a checkpoint on each of these nodes, and waits until their logs are purged by it.
async fn purge(world: &World, nodes: &[u64]) {
    for node in nodes {
        assert!(world.checkpoint(*node).await, "node {node}");
        world
            .until(&format!("n{node} has made its checkpoint"), ms(20_000), || {
                !world.shelf(*node).has_begun()
            })
            .await;
        let kept = world.shelf(*node).kept().unwrap().position.applied.unwrap();
        let last = world.log(*node).last.unwrap();
        let upto = kept.index.min(last.index - 2);
        world
            .until(&format!("n{node} purges up to {upto}"), ms(20_000), || {
                world.log(*node).purged.is_some_and(|purged| purged.index == upto)
            })
            .await;
    }
}

/// A world of three that has so many entries, everywhere.
async fn with_entries(entries: usize, options: Options) -> (World, Texts) {
    let world = World::new(3, options).await;
    let mut texts = Texts::default();
    texts.write(&world, 1, entries).await;
    texts.are_on(&world, &[1, 2, 3]).await;
    (world, texts)
}

/// Has node 1 write so many entries to each of these groups, and waits until its logs are purged beyond this index.
async fn write_and_purge(world: &World, groups: &[GroupKey], entries: u64, index: u64) {
    for key in groups {
        for n in 0..entries {
            world.propose_to(1, *key, &format!("{n}")).await.unwrap();
        }
        let log = world.process(1).journal.group(*key).unwrap();
        let purges = || log.state().purged.is_some_and(|purged| purged.index > index);
        world.until("the leader purges", ms(20_000), purges).await;
    }
}

/// A world of three in which node 3 was cut off until no other log has what it lacks.
async fn left_behind(texts: &mut Texts) -> World {
    left_behind_with(texts, options()).await
}

async fn left_behind_with(texts: &mut Texts, options: Options) -> World {
    let world = World::new(3, options).await;
    texts.write(&world, 1, 3).await;
    texts.are_on(&world, &[1, 2, 3]).await;
    world.isolate(3);
    texts.write(&world, 1, 20).await;
    texts.are_on(&world, &[1, 2]).await;
    purge(&world, &[1, 2]).await;
    let has = world.log(3).last.unwrap();
    for node in [1, 2] {
        assert!(world.log(node).purged.unwrap().index > has.index + 1);
    }
    world
}

/// The same, and node 3 is being brought up and has stopped somewhere in the middle.
async fn stopped_at(texts: &mut Texts, stop: Stop) -> World {
    stopped_with(texts, stop, options()).await
}

async fn stopped_with(texts: &mut Texts, stop: Stop, options: Options) -> World {
    let world = left_behind_with(texts, options).await;
    world.shelf(3).stop_at(Some(stop));
    world.heal();
    let stopped = || world.shelf(3).has_stopped();
    world
        .until("the snapshot is on its way", ms(20_000), stopped)
        .await;
    world
}

async fn installed(world: &World, node: u64, times: usize) {
    let what = format!("n{node} has installed {times} snapshots");
    world
        .until(&what, ms(60_000), || {
            world.shelf(node).seen().installed.len() == times
        })
        .await;
}
