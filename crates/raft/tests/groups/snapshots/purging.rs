//! What may go from a log.

use atoll_env::vfs::Crash;

use super::{Texts, keep, options, purge, stopped_at, with_entries};
use crate::shelf::Stop;
use crate::world::{World, ms, simulate};

#[test]
fn nothing_is_purged_that_no_durable_checkpoint_has() {
    simulate(async {
        let (world, mut texts) = with_entries(10, options()).await;
        for node in 1..=3 {
            world.shelf(node).set_lazy(true);
            assert!(world.checkpoint(node).await);
            assert!(!world.checkpoint(node).await, "one at a time");
            world.group(node).purge();
        }
        let begun = world.log(1).last.unwrap();
        texts.write(&world, 1, 10).await;
        world.clock.sleep(ms(5000)).await;
        for node in 1..=3 {
            assert_eq!(world.log(node).purged, None);
        }
        for node in 1..=3 {
            world.shelf(node).flush();
        }
        let purged = |node| world.log(node).purged;
        world
            .until("all purge", ms(20_000), || {
                (1..=3).all(|node| purged(node).is_some())
            })
            .await;
        world.clock.sleep(ms(5000)).await;
        for node in 1..=3 {
            assert_eq!(purged(node), Some(begun), "up to the checkpoint, not further");
        }
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn some_entries_are_kept_for_who_is_a_little_behind() {
    simulate(async {
        let (world, mut texts) = with_entries(10, options()).await;
        world.isolate(3);
        texts.write(&world, 1, 2).await;
        texts.are_on(&world, &[1, 2]).await;
        purge(&world, &[1, 2]).await;
        let last = world.log(1).last.unwrap();
        assert_eq!(world.log(1).purged.unwrap().index, last.index - 2);
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().begun, 0);
        world.assert_sound();
    });
}

async fn purge_whole(world: &World, node: u64) {
    assert!(world.checkpoint(node).await);
    world
        .until("all of the log goes", ms(20_000), || {
            let log = world.log(node);
            log.purged == log.last
        })
        .await;
}

/// openraft sends a snapshot to whom it would have to ask for what it has, if its own log is empty. Who has everything says
/// so, and nothing is sent.
#[test]
fn a_group_goes_on_with_logs_that_are_purged_whole() {
    simulate(async {
        let mut options = options();
        options.raft.keep_log = keep(0);
        let mut world = World::new(3, options).await;
        let mut texts = Texts::default();
        for round in 0..3_u64 {
            let leader = world.leader_among(&[1, 2, 3]).await;
            texts.write(&world, leader, 4).await;
            texts.are_on(&world, &[1, 2, 3]).await;
            for node in 1..=3 {
                purge_whole(&world, node).await;
            }
            let away = if round == 0 { leader } else { 1 + round % 3 };
            world.crash(away, Crash::LoseAll).await;
            world.start(away).await;
            if round == 1 {
                world.campaign(away).await;
            }
        }
        let leader = world.leader_among(&[1, 2, 3]).await;
        texts.write(&world, leader, 4).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        for node in 1..=3 {
            assert_eq!(world.shelf(node).seen().begun, 0, "node {node}");
        }
        world.assert_sound();
    });
}

#[test]
fn what_follows_a_snapshot_that_is_being_sent_is_kept() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Chunk(4)).await;
        let sent = world.shelf(1).kept().unwrap().position.applied;
        texts.write(&world, 1, 20).await;
        assert!(world.checkpoint(1).await);
        world.clock.sleep(ms(3000)).await;
        world.group(1).purge();
        world.clock.sleep(ms(3000)).await;
        assert!(world.shelf(1).kept().unwrap().position.applied > sent);
        assert!(world.log(1).purged <= sent);
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().installed, [sent], "the rest came by log");
        world.group(1).purge();
        world
            .until("it goes when nobody needs it", ms(20_000), || {
                world.log(1).purged > sent
            })
            .await;
        world.assert_sound();
    });
}

#[test]
fn a_group_that_nobody_writes_to_frees_its_log_when_told_to() {
    simulate(async {
        let (world, mut texts) = with_entries(10, options()).await;
        purge(&world, &[1, 2, 3]).await;
        for node in 1..=3 {
            assert!(!world.checkpoint(node).await, "nothing is new");
        }
        // More may go than when the checkpoint became durable: looked at again when told.
        let checkpoint = world.shelf(1).kept().unwrap().position.applied;
        texts.write(&world, 1, 5).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.clock.sleep(ms(3000)).await;
        assert!(world.log(1).purged < checkpoint);
        world.group(1).purge();
        world
            .until("all of the checkpoint goes", ms(20_000), || {
                world.log(1).purged == checkpoint
            })
            .await;
        world.assert_sound();
    });
}

#[cfg(feature = "mutants")]
mod planted {
    use atoll_raft::RaftError;
    use atoll_types::{Mutant, mutant};

    use super::super::{installed, left_behind};
    use super::*;

    #[test]
    fn a_log_purged_too_far_is_noticed_after_a_power_cut() {
        mutant::wake(Some(Mutant::PurgeBeforeFlush));
        simulate(async {
            let (mut world, mut texts) = with_entries(5, options()).await;
            purge(&world, &[3]).await;
            texts.write(&world, 1, 20).await;
            texts.are_on(&world, &[1, 2, 3]).await;
            world.group(3).purge();
            let kept = world.shelf(3).kept().unwrap().position.applied;
            world
                .until("node 3 purges what it must not", ms(20_000), || {
                    world.log(3).purged > kept
                })
                .await;
            // So that the purge becomes durable.
            texts.write(&world, 1, 1).await;
            texts.are_on(&world, &[1, 2, 3]).await;
            world.crash(3, Crash::LoseAll).await;
            let refused = world.try_start(3).await;
            assert!(matches!(refused, Err(RaftError::Damaged(_))), "{refused:?}");
        });
        mutant::wake(None);
    }

    #[test]
    fn a_lost_membership_is_noticed_after_the_next_checkpoint() {
        mutant::wake(Some(Mutant::SnapshotWithoutMembership));
        simulate(async {
            let mut world = World::blank(3, options()).await;
            world.crash(3, Crash::LoseAll).await;
            world.initialize(1, crate::world::GROUP, 3).await;
            world.leads(1, crate::world::GROUP).await;
            let mut texts = Texts::default();
            texts.write(&world, 1, 10).await;
            texts.are_on(&world, &[1, 2]).await;
            purge(&world, &[1, 2]).await;
            world.start(3).await;
            texts.write(&world, 1, 5).await;
            texts.are_on(&world, &[3]).await;
            purge(&world, &[3]).await;
            world.isolate(3);
            world.crash(3, Crash::LoseAll).await;
            world.start(3).await;
            assert!(world.group(3).status().voters.is_empty());
        });
        mutant::wake(None);
    }

    #[test]
    fn a_log_that_an_install_leaves_is_noticed_at_the_next_entry() {
        mutant::wake(Some(Mutant::InstallKeepsOldLog));
        simulate(async {
            let mut texts = Texts::default();
            let world = left_behind(&mut texts).await;
            world.heal();
            installed(&world, 3, 1).await;
            texts.write(&world, 1, 1).await;
            world
                .until("node 3 ends", ms(20_000), || !world.halts().is_empty())
                .await;
            assert!(
                world.halts()[0].contains("does not follow"),
                "{:?}",
                world.halts()
            );
        });
        mutant::wake(None);
    }
}
