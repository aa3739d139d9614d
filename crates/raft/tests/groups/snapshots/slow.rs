//! Receivers that take long over what they have.

use std::time::Duration;

use atoll_types::limits::SNAPSHOTS_SENT_MAX;

use super::{Texts, options, stopped_at, stopped_with, write_and_purge};
use crate::shelf::Stop;
use crate::world::{GROUP, Options, World, group, ms, replica, simulate};

const MINUTE: Duration = Duration::from_secs(60);

/// The leader's log goes on, and its checkpoints: what is not held goes.
async fn go_on(world: &World, texts: &mut Texts) {
    texts.write(world, 1, 20).await;
    texts.are_on(world, &[1, 2]).await;
    assert!(world.checkpoint(1).await);
    world.clock.sleep(ms(5000)).await;
    world.group(1).purge();
}

/// Longer than a sender would ever wait for a part that nobody says anything about.
#[test]
fn an_install_that_takes_many_minutes_costs_no_second_snapshot() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Install).await;
        let sent = world.shelf(1).kept().unwrap().position.applied;
        for _ in 0..3 {
            go_on(&world, &mut texts).await;
            world.clock.sleep(4 * MINUTE).await;
            world.net.break_connections("n1", "n3");
        }
        assert!(world.log(1).purged <= sent, "what follows the snapshot is kept");
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.chunks), (1, 13), "each chunk once");
        assert_eq!(seen.installed, [sent], "the rest came by log");
        world.assert_sound();
    });
}

#[test]
fn a_chunk_that_takes_minutes_is_sent_once() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Chunk(7)).await;
        world.clock.sleep(11 * MINUTE).await;
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.chunks, seen.installed.len()), (1, 13, 1));
        world.assert_sound();
    });
}

/// Bytes of an entry of which some fill a segment.
const LARGE: usize = 300_000;
/// What a sending may hold back here: three segments.
const HELD_MAX: u64 = 24 * 1024 * 1024;

/// The same, and a sending may not hold back much.
fn strict() -> Options {
    let mut options = options();
    options.raft.snapshot_holds = HELD_MAX;
    options
}

async fn write_large(world: &World, texts: &mut Texts, more: usize) {
    for n in 0..more {
        let text = format!("{n} {}", "x".repeat(LARGE));
        world.propose(1, &text).await.unwrap();
        texts.0.push(text);
    }
}

#[test]
fn a_receiver_that_never_ends_keeps_no_more_log_than_it_may() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_with(&mut texts, Stop::Install, strict()).await;
        let sent = world.shelf(1).kept().unwrap().position.applied;
        go_on(&world, &mut texts).await;
        world.clock.sleep(11 * MINUTE).await;
        world.group(1).purge();
        assert!(world.log(1).purged <= sent, "it holds back little");
        write_large(&world, &mut texts, 150).await;
        go_on(&world, &mut texts).await;
        let gone = || world.log(1).purged > sent;
        world.until("what it needs goes", ms(20_000), gone).await;
        let troubles = world.group(1).status().snapshot_troubles;
        assert_eq!(troubles.len(), 1);
        assert_eq!(troubles[0].0, replica(GROUP, 3));
        // It comes back, and needs another one.
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().installed.len(), 2);
        let troubles = || world.group(1).status().snapshot_troubles;
        world.until("all is well", MINUTE, || troubles().is_empty()).await;
        world.assert_sound();
    });
}

#[test]
fn a_receiver_for_which_too_many_files_are_kept_begins_anew() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_with(&mut texts, Stop::Chunk(4), strict()).await;
        world.shelf(1).set_held(HELD_MAX);
        world.clock.sleep(MINUTE).await;
        assert_eq!(world.shelf(3).seen().begun, 1, "so much it may");
        assert_eq!(world.group(1).status().snapshot_troubles, []);
        world.shelf(1).set_held(HELD_MAX + 1);
        world.clock.sleep(MINUTE / 6).await;
        let troubles = world.group(1).status().snapshot_troubles;
        assert!(troubles[0].1.contains("had to be kept"), "{troubles:?}");
        world.shelf(1).set_held(0);
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.open, seen.installed.len()), (2, 0, 1));
        world.assert_sound();
    });
}

/// With all chunks there, nothing need be kept to read them from.
#[test]
fn who_installs_keeps_no_files() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_with(&mut texts, Stop::Install, strict()).await;
        world.clock.sleep(MINUTE).await;
        world.shelf(1).set_held(u64::MAX);
        world.clock.sleep(2 * MINUTE).await;
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().begun, 1);
        world.assert_sound();
    });
}

#[test]
fn who_installs_takes_up_nobodys_turn() {
    simulate(async {
        let groups: Vec<_> = (1..=3).map(group).collect();
        let world = World::new(
            5,
            Options {
                groups: groups.clone(),
                checkpoints: Some(5),
                ..options()
            },
        )
        .await;
        // As many as a node sends at once hang at node 4; node 5 needs all three.
        for key in groups.iter().take(SNAPSHOTS_SENT_MAX) {
            world.shelf_of(4, *key).stop_at(Some(Stop::Install));
        }
        world.isolate(4);
        world.isolate(5);
        write_and_purge(&world, &groups, 20, 10).await;
        world.heal();
        let hangs = |key| world.shelf_of(4, key).has_stopped();
        let both = || groups.iter().take(SNAPSHOTS_SENT_MAX).all(|key| hangs(*key));
        world.until("node 4 installs", ms(60_000), both).await;
        let installed = |key| !world.shelf_of(5, key).seen().installed.is_empty();
        let all = || groups.iter().all(|key| installed(*key));
        world.until("node 5 has everything", ms(90_000), all).await;
        for key in &groups {
            world.shelf_of(4, *key).stop_at(None);
        }
        world.assert_sound();
    });
}
