//! One proposer per group: what it lets go when, and how it answers.

use std::collections::BTreeSet;

use atoll_env::net::MemNetOptions;
use atoll_raft::ProposeError;
use atoll_types::GroupId;
use atoll_types::limits::{
    ENTRY_COMMANDS_MAX, ENTRY_PACK_BYTES, PROPOSER_BYTES_MAX, PROPOSER_COMMANDS_MAX, PROPOSER_ENTRIES_MAX,
};

use crate::packs::{Bench, Item, ids};
use crate::world::{GROUP, Options, World, ms, name, replica, simulate};

/// Links on which a commit takes long enough to see what waits meanwhile.
fn slow() -> Options {
    Options {
        net: MemNetOptions {
            delay: ms(20)..ms(22),
            ..MemNetOptions::default()
        },
        ..Options::default()
    }
}

/// Node 1 leads, has a proposer, and nobody hears it: two entries are under way, one item each.
async fn stuck() -> (World, Bench) {
    let world = World::new(3, Options::default()).await;
    let bench = Bench::start(&world, 1).await;
    world.isolate(1);
    for id in [0, 1] {
        bench.submit(vec![Item::one(id)]);
        world.clock.sleep(ms(5)).await;
    }
    assert_eq!(bench.look(|record| record.under_way), PROPOSER_ENTRIES_MAX);
    (world, bench)
}

/// The items applied on a node, in order.
fn applied(world: &World, node: u64) -> Vec<u64> {
    world.payloads(node).iter().flat_map(ids).collect()
}

#[test]
fn a_lone_command_is_proposed_at_once() {
    simulate(async {
        let world = World::new(3, slow()).await;
        let bench = Bench::start(&world, 1).await;
        for id in 0..3 {
            world.clock.sleep(ms(500)).await;
            let now = world.clock.now();
            bench.submit(vec![Item::one(id)]);
            bench.answers(&world, id as usize + 1).await;
            bench.look(|record| {
                assert_eq!(record.entries[id as usize], (now, vec![id]));
                assert!(record.answer(id).is_ok());
            });
        }
        world.assert_sound();
    });
}

#[test]
fn what_arrives_meanwhile_becomes_the_next_entry_and_two_are_under_way_at_most() {
    simulate(async {
        let world = World::new(3, slow()).await;
        let bench = Bench::start(&world, 1).await;
        for id in 0..500 {
            bench.submit(vec![Item::one(id)]);
            world.clock.sleep(ms(1)).await;
        }
        bench.answers(&world, 500).await;
        let all: Vec<u64> = (0..500).collect();
        bench.look(|record| {
            assert_eq!(record.under_way_max, PROPOSER_ENTRIES_MAX);
            assert_eq!(record.answered(), all, "in the order of submission");
            let packed: Vec<u64> = record.entries.iter().flat_map(|(_, ids)| ids.clone()).collect();
            assert_eq!(packed, all);
            // A commit takes at least 40 ms, in which at least 40 items come.
            assert!(record.entries.len() <= 40, "{} entries", record.entries.len());
            let indices: Vec<u64> = all.iter().map(|id| record.answer(*id).unwrap()).collect();
            assert!(indices.is_sorted());
        });
        assert_eq!(applied(&world, 1), all);
        world.assert_sound();
    });
}

#[test]
fn an_entry_has_its_bounds_unless_one_item_alone_is_larger() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let bench = Bench::start(&world, 1).await;
        let sized = |id, commands, bytes| Item {
            commands,
            bytes,
            ..Item::one(id)
        };
        let half = ENTRY_PACK_BYTES / 2;
        bench.submit(vec![
            sized(0, 1, half),
            sized(1, 1, half),
            sized(2, 1, 1),
            sized(3, 1, 3 * ENTRY_PACK_BYTES),
            sized(4, ENTRY_COMMANDS_MAX, 1),
            sized(5, ENTRY_COMMANDS_MAX - 1, 1),
            sized(6, 1, 1),
            sized(7, 1, 1),
        ]);
        bench.answers(&world, 8).await;
        bench.look(|record| {
            let packed: Vec<_> = record.entries.iter().map(|(_, ids)| ids.clone()).collect();
            assert_eq!(
                packed,
                [vec![0, 1], vec![2], vec![3], vec![4], vec![5, 6], vec![7]]
            );
            assert!((0..8).all(|id| record.answer(id).is_ok()));
        });
        world.assert_sound();
    });
}

#[test]
fn beyond_its_bounds_the_queue_gives_all_items_back() {
    simulate(async {
        let (world, bench) = stuck().await;
        let sized = |id, commands, bytes| Item {
            commands,
            bytes,
            ..Item::one(id)
        };
        let many = sized(2, PROPOSER_COMMANDS_MAX - 1, 100);
        bench.submit(vec![many]);
        let two = vec![sized(3, 1, 1), sized(4, 1, 1)];
        assert_eq!(bench.proposer.submit(two.clone()), Err(two));
        // Refused, they left no trace: there is room for one.
        bench.submit(vec![sized(5, 1, 1)]);
        let one = vec![sized(6, 1, 1)];
        assert_eq!(bench.proposer.submit(one.clone()), Err(one));

        world.heal();
        bench.answers(&world, 4).await;
        // Room again, up to the bytes this time.
        world.leads(1, GROUP).await;
        world.isolate(1);
        for id in [10, 11] {
            bench.submit(vec![Item::one(id)]);
            world.clock.sleep(ms(5)).await;
        }
        bench.submit(vec![sized(12, 0, PROPOSER_BYTES_MAX - 5)]);
        let large = vec![sized(13, 1, 6)];
        assert_eq!(bench.proposer.submit(large.clone()), Err(large));
        bench.submit(vec![sized(14, 1, 5)]);
        world.assert_sound();
    });
}

#[test]
fn deadlines_pass_also_behind_entries_that_do_not_move() {
    simulate(async {
        let (world, bench) = stuck().await;
        let deadline = world.clock.now() + ms(300);
        bench.submit(vec![
            Item {
                deadline: Some(deadline),
                ..Item::one(2)
            },
            Item::one(3),
        ]);
        bench.answers(&world, 1).await;
        bench.look(|record| {
            assert_eq!(record.answers, [(2, Err(ProposeError::Deadline))]);
            assert!(record.answered_at[&2] >= deadline);
            assert!(record.answered_at[&2] <= deadline + ms(150));
            assert!(!record.entries.iter().any(|(_, ids)| ids.contains(&2)));
        });
        world.assert_sound();
    });
}

/// Whoever submits wakes the proposer; that must not keep it from looking at deadlines.
#[test]
fn deadlines_pass_also_while_others_keep_submitting() {
    simulate(async {
        let (world, bench) = stuck().await;
        let deadline = world.clock.now() + ms(300);
        bench.submit(vec![Item {
            deadline: Some(deadline),
            ..Item::one(2)
        }]);
        for id in 100..160 {
            bench.submit(vec![Item::one(id)]);
            world.clock.sleep(ms(10)).await;
        }
        bench.look(|record| {
            assert_eq!(record.answers, [(2, Err(ProposeError::Deadline))]);
            assert!(record.answered_at[&2] <= deadline + ms(150));
        });
    });
}

#[test]
fn who_does_not_lead_says_who_does_and_nothing_happened() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let bench = Bench::start(&world, 2).await;
        bench.submit(Item::ones(0..3));
        bench.answers(&world, 3).await;
        let leader = Some(replica(GROUP, 1));
        bench.look(|record| {
            assert!(record.entries.is_empty());
            assert!((0..3).all(|id| record.answer(id) == Err(ProposeError::NotLeader { leader })));
        });
        // Without a leader the answer does not wait for one, and an item too late is told so.
        let lone = World::blank(2, Options::default()).await;
        let bench = Bench::start(&lone, 1).await;
        bench.submit(vec![
            Item::one(0),
            Item {
                deadline: Some(lone.clock.now()),
                ..Item::one(1)
            },
        ]);
        bench.answers(&lone, 2).await;
        bench.look(|record| {
            assert_eq!(record.answer(0), Err(ProposeError::NotLeader { leader: None }));
            assert_eq!(record.answer(1), Err(ProposeError::Deadline));
        });
    });
}

#[test]
fn what_a_deposed_leader_had_under_way_is_unknown_and_what_waited_did_not_happen() {
    simulate(async {
        let (world, bench) = stuck().await;
        bench.submit(Item::ones(2..5));
        let leader = world.leader_among(&[2, 3]).await;
        world.propose(leader, "instead").await.unwrap();
        assert!(
            bench.look(|record| record.answers.is_empty()),
            "nobody told it yet"
        );
        world.heal();
        bench.answers(&world, 5).await;
        world.clock.sleep(ms(1000)).await;
        bench.look(|record| {
            for id in 0..2 {
                assert!(matches!(record.answer(id), Err(ProposeError::Unknown(_))));
            }
            for id in 2..5 {
                let answer = record.answer(id);
                assert!(
                    matches!(answer, Err(ProposeError::NotLeader { .. })),
                    "{answer:?}"
                );
            }
        });
        world.all_have(&[1, 2, 3], &["instead"]).await;
        world.assert_sound();
    });
}

#[test]
fn what_the_next_leader_commits_for_a_deposed_one_is_answered_as_done() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let bench = Bench::start(&world, 1).await;
        // What node 1 sends arrives, no answer does.
        for node in [2, 3] {
            world.net.cut_one_way(&name(node), &name(1));
        }
        let before = world.group(1).status().last_index;
        bench.submit(vec![Item::one(0)]);
        world.clock.sleep(ms(5)).await;
        bench.submit(vec![Item::one(1)]);
        // The second follows once the first is sent again.
        world
            .until("all have both", ms(5000), || {
                (1..=3).all(|node| world.group(node).status().last_index == before + 2)
            })
            .await;
        assert!(bench.look(|record| record.answers.is_empty()));
        world.isolate(1);
        let leader = world.leader_among(&[2, 3]).await;
        world
            .until("both were taken over", ms(5000), || {
                applied(&world, leader).len() == 2
            })
            .await;
        world.heal();
        bench.answers(&world, 2).await;
        bench.look(|record| {
            assert_eq!(record.answered(), [0, 1]);
            assert!(record.answer(0).unwrap() < record.answer(1).unwrap());
        });
        assert_eq!(applied(&world, 1), [0, 1]);
        world.assert_sound();
    });
}

/// Leaders come and go under load. Every item is answered once; done means applied, and applied once; what
/// did not happen is nowhere.
#[test]
fn every_item_is_answered_once_and_truly_while_leaders_change() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let mut benches = Vec::new();
        for node in 1..=3 {
            benches.push(Bench::start(&world, node).await);
        }
        for id in 0..3000_u64 {
            let bench = &benches[id as usize % 3];
            bench.submit(vec![Item::one(id)]);
            if id % 300 == 50 {
                world.isolate(1 + id / 300 % 3);
            }
            if id % 300 == 250 {
                world.heal();
            }
            world.clock.sleep(ms(20)).await;
        }
        world.heal();
        for bench in &benches {
            bench.answers(&world, 1000).await;
        }
        world.clock.sleep(ms(5000)).await;
        let applied = applied(&world, 1);
        let happened: BTreeSet<u64> = applied.iter().copied().collect();
        assert_eq!(happened.len(), applied.len(), "applied twice");
        let mut done = 0;
        for id in 0..3000 {
            match benches[id as usize % 3].look(|record| record.answer(id)) {
                Ok(_) => {
                    assert!(happened.contains(&id), "{id} is done but not applied");
                    done += 1;
                }
                Err(ProposeError::Unknown(_)) => {}
                Err(error) => assert!(!happened.contains(&id), "{id} was applied: {error}"),
            }
        }
        assert!(done > 200, "{done} of 3000 were done");
        world.assert_sound();
    });
}

#[test]
fn a_dropped_proposer_answers_what_waited() {
    simulate(async {
        let world = World::new(3, slow()).await;
        let Bench { proposer, record } = Bench::start(&world, 1).await;
        let second = proposer.clone();
        proposer.submit(Item::ones(0..10)).unwrap();
        drop(proposer);
        second.submit(Item::ones(10..20)).unwrap();
        drop(second);
        world
            .until("all are answered", ms(2000), || record.lock().answers.len() == 20)
            .await;
        let record = record.lock();
        assert!((0..20).all(|id| record.answer(id).is_ok()));
    });
}

#[test]
fn a_group_that_stops_answers_everything() {
    simulate(async {
        let (world, bench) = stuck().await;
        bench.submit(Item::ones(2..5));
        let host = world.process(1).host.clone();
        world
            .on(1, async move { host.stop_group(GroupId(1)).await })
            .await;
        bench.answers(&world, 5).await;
        bench.submit(Item::ones(5..6));
        bench.answers(&world, 6).await;
        bench.look(|record| {
            for id in 0..2 {
                assert!(matches!(record.answer(id), Err(ProposeError::Unknown(_))));
            }
            assert!((2..6).all(|id| record.answer(id) == Err(ProposeError::Stopped)));
        });
        assert!(world.process(1).host.group(GROUP.id).is_none());
    });
}
