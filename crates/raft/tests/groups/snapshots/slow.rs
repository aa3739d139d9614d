//! Receivers that take long over what they have.

use std::time::Duration;

use atoll_types::limits::SNAPSHOTS_SENT_MAX;

use super::{Texts, options, stopped_at};
use crate::shelf::Stop;
use crate::world::{Options, World, group, ms, simulate};

const MINUTE: Duration = Duration::from_secs(60);

/// The leader's log goes on, and its checkpoints: what is not held goes.
async fn go_on(world: &World, texts: &mut Texts) {
    texts.write(world, 1, 20).await;
    texts.are_on(world, &[1, 2]).await;
    assert!(world.checkpoint(1).await);
    world.clock.sleep(ms(5000)).await;
    world.group(1).purge();
}

#[test]
fn an_install_that_takes_minutes_costs_no_second_snapshot() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Install).await;
        let sent = world.shelf(1).kept().unwrap().position.applied;
        for _ in 0..5 {
            go_on(&world, &mut texts).await;
            world.clock.sleep(MINUTE).await;
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
        world.clock.sleep(4 * MINUTE).await;
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.chunks, seen.installed.len()), (1, 13, 1));
        world.assert_sound();
    });
}

#[test]
fn a_receiver_that_never_ends_keeps_no_log_for_ever() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Install).await;
        let sent = world.shelf(1).kept().unwrap().position.applied;
        go_on(&world, &mut texts).await;
        assert!(world.log(1).purged <= sent);
        world.clock.sleep(11 * MINUTE).await;
        world.group(1).purge();
        let gone = || world.log(1).purged > sent;
        world.until("what it needs goes", ms(20_000), gone).await;
        // It comes back, and needs another one.
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().installed.len(), 2);
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
        for key in &groups {
            for n in 0..20 {
                world.propose_to(1, *key, &format!("{n}")).await.unwrap();
            }
            let log = world.process(1).journal.group(*key).unwrap();
            let purges = || log.state().purged.is_some_and(|purged| purged.index > 10);
            world.until("the leader purges", ms(20_000), purges).await;
        }
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
