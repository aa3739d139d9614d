//! Followers that answer, but are slower than what is written.

use std::time::Duration;

use atoll_raft::RaftOptions;

use super::{keep, with_entries};
use crate::world::{Options, World, ms, payload, simulate};

/// Entries kept for any follower, and for one that is further behind and moves.
const KEPT: u64 = 4;
const KEPT_BEHIND: u64 = 16;
/// Entries between checkpoints.
const CHECKPOINTS: u64 = 10;

fn options() -> Options {
    Options {
        raft: RaftOptions {
            keep_log: keep(KEPT),
            ..RaftOptions::default()
        },
        checkpoints: Some(CHECKPOINTS),
        ..Options::default()
    }
}

/// Has node 1 write so many entries, of which few go into one append, with pauses in between.
async fn write_large(world: &World, texts: &mut Vec<String>, more: usize, pause: Duration) {
    for _ in 0..more {
        let text = format!("{} {}", texts.len(), "x".repeat(300_000));
        world.propose(1, &text).await.unwrap();
        texts.push(text);
        world.clock.sleep(pause).await;
    }
}

fn kept(world: &World, node: u64) -> u64 {
    let log = world.log(node);
    log.last.unwrap().index - log.purged.map_or(0, |purged| purged.index)
}

async fn all_have(world: &World, texts: &[String]) {
    let last = payload(texts.last().unwrap());
    let has = |node| world.payloads(node).last() == Some(&last);
    let all = || (1..=3).all(has);
    world.until("all have the last", ms(120_000), all).await;
    for node in 1..=3 {
        assert_eq!(world.payloads(node).len(), texts.len(), "n{node}");
    }
}

#[test]
fn a_follower_that_answers_from_far_behind_keeps_the_log_up_to_a_bound() {
    simulate(async {
        let world = World::new(3, options()).await;
        let mut texts = Vec::new();
        world.stall_disk(3, ms(600));
        let mut most = 0;
        for _ in 0..40 {
            write_large(&world, &mut texts, 4, ms(150)).await;
            most = most.max(kept(&world, 1));
        }
        // What is written while it gets a snapshot, and while it goes on from there to where the log was, comes on top.
        assert!(most <= 6 * KEPT_BEHIND, "{most} entries were kept");
        assert!(world.shelf(3).seen().installed.len() > 1, "it got snapshots");
        world.heal();
        all_have(&world, &texts).await;
        world.assert_sound();
    });
}

#[test]
fn a_follower_that_is_behind_but_gets_there_needs_no_snapshot() {
    simulate(async {
        let world = World::new(3, options()).await;
        let mut texts = Vec::new();
        world.stall_disk(3, ms(600));
        for _ in 0..8 {
            // More than is kept for others, not more than for one that is behind.
            write_large(&world, &mut texts, 12, ms(1)).await;
            all_have(&world, &texts).await;
        }
        assert_eq!(world.shelf(3).seen().begun, 0);
        let gone = || kept(&world, 1) <= KEPT + CHECKPOINTS;
        world.until("the log goes behind it", ms(20_000), gone).await;
        world.assert_sound();
    });
}

/// The next snapshot would take as long, and so on: whoever got one gets to where the log ended when it came.
#[test]
fn a_snapshot_that_took_long_is_followed_by_entries_however_many() {
    simulate(async {
        let (world, mut texts) = with_entries(3, options()).await;
        world.isolate(3);
        texts.write(&world, 1, 30).await;
        let purged = || world.log(1).purged.is_some_and(|purged| purged.index > 10);
        world.until("node 1 purges", ms(20_000), purged).await;
        world.shelf(3).stop_at(Some(crate::shelf::Stop::Chunk(2)));
        world.heal();
        let stopped = || world.shelf(3).has_stopped();
        world.until("the snapshot comes", ms(20_000), stopped).await;
        // Many times what is kept otherwise.
        texts.write(&world, 1, 400).await;
        world.clock.sleep(ms(5000)).await;
        world.stall_disk(3, ms(300));
        world.shelf(3).stop_at(None);
        for _ in 0..40 {
            texts.write(&world, 1, 1).await;
            world.clock.sleep(ms(100)).await;
        }
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().begun, 1);
        let gone = || kept(&world, 1) <= KEPT + CHECKPOINTS;
        world.until("the log goes then", ms(20_000), gone).await;
        world.assert_sound();
    });
}
