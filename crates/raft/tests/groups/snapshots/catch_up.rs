//! Whoever lacks what was purged gets a snapshot and goes on by log.

use atoll_env::net::MemNetOptions;
use atoll_env::vfs::Crash;
use atoll_raft::{ProposeError, RaftOptions};

use super::{Texts, installed, keep, left_behind, options, purge, stopped_at, with_entries, write_and_purge};
use crate::shelf::Stop;
use crate::world::{GROUP, Options, STREAM, World, group, ms, replica, simulate};

#[test]
fn a_follower_that_was_cut_off_for_too_long_gets_a_snapshot_and_goes_on_by_log() {
    simulate(async {
        let mut texts = Texts::default();
        let world = left_behind(&mut texts).await;
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        installed(&world, 3, 1).await;
        let seen = world.shelf(3).seen();
        assert_eq!(
            (seen.begun, seen.open, seen.chunks),
            (1, 0, 13),
            "each chunk once"
        );
        let kept = world.shelf(3).kept().unwrap();
        assert!(kept.position.installed);
        assert_eq!(
            kept.position.membership_id.unwrap().index,
            0,
            "the first entry of all"
        );

        texts.write(&world, 1, 5).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().installed.len(), 1, "by log");
        // Its next checkpoint is one of its own.
        purge(&world, &[3]).await;
        assert!(!world.shelf(3).kept().unwrap().position.installed);
        world.assert_sound();
    });
}

#[test]
fn who_got_a_snapshot_votes_and_leads() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = left_behind(&mut texts).await;
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        world.crash(2, Crash::Process).await;
        texts.write(&world, 1, 1).await;
        world.crash(1, Crash::Process).await;
        world.start(2).await;
        world.campaign(3).await;
        let leader = world.leader_among(&[2, 3]).await;
        texts.write(&world, leader, 3).await;
        texts.are_on(&world, &[2, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn a_voter_that_never_had_a_log_begins_with_a_snapshot() {
    simulate(async {
        let mut world = World::blank(3, options()).await;
        world.crash(3, Crash::LoseAll).await;
        world.initialize(1, GROUP, 3).await;
        world.leads(1, GROUP).await;
        let mut texts = Texts::default();
        texts.write(&world, 1, 10).await;
        texts.are_on(&world, &[1, 2]).await;
        purge(&world, &[1, 2]).await;

        world.start(3).await;
        texts.are_on(&world, &[3]).await;
        assert_eq!(world.shelf(3).seen().installed.len(), 1);
        let voters = (1..=3).map(|node| replica(GROUP, node)).collect::<Vec<_>>();
        assert_eq!(world.group(3).status().voters, voters);
        // It counts: without it there is no quorum.
        world.crash(2, Crash::LoseAll).await;
        texts.write(&world, 1, 3).await;
        texts.are_on(&world, &[1, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn a_sender_that_dies_half_way_is_followed_by_another_one() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = stopped_at(&mut texts, Stop::Chunk(4)).await;
        world.crash(1, Crash::LoseAll).await;
        // Node 3 votes while it is receiving; without it the new leader commits nothing.
        world
            .until("node 2 leads", ms(20_000), || world.group(2).status().is_leader)
            .await;
        world.shelf(3).stop_at(None);
        world.leads(2, GROUP).await;
        texts.are_on(&world, &[2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.open, seen.installed.len()), (2, 0, 1));
        texts.write(&world, 2, 3).await;
        texts.are_on(&world, &[2, 3]).await;
        world.start(1).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn a_leader_that_was_cut_off_loses_what_nobody_else_has() {
    simulate(async {
        let (world, mut texts) = with_entries(3, options()).await;
        world.isolate(1);
        let lost = world.propose(1, "lost");
        let leader = world.leader_among(&[2, 3]).await;
        texts.write(&world, leader, 20).await;
        texts.are_on(&world, &[2, 3]).await;
        purge(&world, &[2, 3]).await;
        assert!(!lost.is_finished());
        let conflict = world.log(1).last.unwrap();
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(1).seen().installed.len(), 1);
        assert!(world.log(1).purged.unwrap().index > conflict.index);
        let outcome = lost.await;
        assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
        texts.write(&world, leader, 3).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn a_node_that_is_down_takes_up_nobodys_turn() {
    simulate(async {
        let groups: Vec<_> = (1..=4).map(group).collect();
        let options = Options {
            groups: groups.clone(),
            checkpoints: Some(5),
            ..options()
        };
        let mut world = World::new(5, options).await;
        world.crash(4, Crash::LoseAll).await;
        world.isolate(5);
        write_and_purge(&world, &groups, 20, 10).await;
        // All leaders here try to reach node 4 meanwhile.
        world.clock.sleep(ms(5000)).await;
        world.heal();
        let last = crate::world::payload("19");
        world
            .until("node 5 has everything", ms(10_000), || {
                let groups = world.process(5).groups.values();
                groups
                    .map(|(_, applied)| applied.lock().last().cloned())
                    .all(|row| row.is_some_and(|(_, payload)| payload == last))
            })
            .await;
        world.assert_sound();
    });
}

#[test]
fn a_receiver_that_dies_half_way_begins_anew() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = stopped_at(&mut texts, Stop::Chunk(4)).await;
        world.crash(3, Crash::LoseAll).await;
        world.start(3).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.shelf(3).seen().installed.len(), 1);
        world.assert_sound();
    });
}

#[test]
fn a_broken_stream_costs_no_chunk_that_arrived() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Chunk(7)).await;
        for _ in 0..3 {
            world.net.break_connections("n1", "n3");
            world.clock.sleep(ms(200)).await;
        }
        world.shelf(3).stop_at(None);
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.begun, seen.chunks, seen.installed.len()), (1, 13, 1));
        world.assert_sound();
    });
}

/// Everything at once: writes go on, replicas make checkpoints and purge all the time, frames are late, lost and repeated,
/// and nodes come and go.
#[test]
fn under_all_that_a_network_does_everybody_gets_everything() {
    let installs: usize = (0..2).map(|seed| simulate(come_and_go(seed))).sum();
    assert!(installs > 0, "nobody was far enough behind");
}

/// Returns how many snapshots were installed.
async fn come_and_go(seed: u64) -> usize {
    let options = Options {
        net: MemNetOptions {
            seed,
            late_per_million: 20_000,
            late: ms(20)..ms(400),
            loss_per_million: 2_000,
            copies_per_million: 100_000,
            copied_streams: vec![STREAM],
            ..MemNetOptions::default()
        },
        raft: RaftOptions {
            keep_log: keep(3),
            ..RaftOptions::default()
        },
        checkpoints: Some(5),
        ..Options::default()
    };
    let mut world = World::new(3, options).await;
    let mut written = 0;
    for round in 0..6_u64 {
        let away = 1 + (round + seed) % 3;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != away).collect();
        world.crash(away, Crash::Random).await;
        let leader = world.leader_among(&rest).await;
        for n in 0..12 {
            let text = format!("round {round}, {n}");
            written += usize::from(world.propose(leader, &text).await.is_ok());
        }
        world.start(away).await;
    }
    world.net.calm();
    loop {
        let leader = world.leader_among(&[1, 2, 3]).await;
        if world.propose(leader, "the last").await.is_ok() {
            break;
        }
    }
    let last = crate::world::payload("the last");
    world
        .until("all have the last", ms(60_000), || {
            (1..=3).all(|node| world.payloads(node).last() == Some(&last))
        })
        .await;
    assert_eq!(world.payloads(1), world.payloads(2));
    assert_eq!(world.payloads(2), world.payloads(3));
    assert!(world.payloads(1).len() > written, "{written} acknowledged");
    world.assert_sound();
    let installs = |node| world.shelf(node).seen().installed.len();
    (1..=3).map(installs).sum()
}
