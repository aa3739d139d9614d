//! openraft issue 1808, "Snapshot install can retain a stale `effective` membership, producing disjoint
//! quorums and lost committed entries", up to 0.10.0-alpha.25: a replica had a membership entry that was
//! never committed; the group's true history replaced that entry, and the replica went on believing it,
//! because its index was higher. With the voters it believed in it could be elected by a quorum that
//! shares nobody with the one that commits.
//!
//! There it was a snapshot that replaced the entry. Here nothing is purged and no message carries a
//! snapshot, so entries of a later leader are the only thing that can; what must hold is the same.

use atoll_types::ReplicaId;

use crate::frames::{Append, Appended, Entry, membership};
use crate::played::{Caller, Follower, Part, leader, log_id};
use crate::world::{GROUP, Options, World, ms, name, replica, simulate};

fn voters() -> Vec<ReplicaId> {
    (1..=5).map(|node| replica(GROUP, node)).collect()
}

fn cut_off(world: &World, node: u64) {
    for other in [1, 2, 3] {
        world.net.cut(&name(node), &name(other));
    }
}

#[test]
fn a_membership_that_was_cut_from_the_log_elects_nobody() {
    simulate(async {
        let world = World::blank(4, Options::default()).await;
        world.initialize(1, GROUP, 5).await;
        world.leads(1, GROUP).await;
        world.propose(1, "a").await.unwrap();
        world.all_have(&[1, 2, 3, 4], &["a"]).await;

        // Replica 5 leads in term 9, as far as node 4 knows, and has only just begun to make a group of
        // the two of them.
        cut_off(&world, 4);
        let end = world.applied(4)[0].0;
        let (four, five) = (replica(GROUP, 4), replica(GROUP, 5));
        let mut deposed = Caller::new(&world.net, 5);
        let append = Append {
            vote: leader(9, five),
            prev: Some(end),
            commit: None,
            entries: vec![
                Entry {
                    id: log_id(9, five, end.index + 1),
                    kind: 0,
                    payload: bytes::Bytes::new(),
                },
                Entry {
                    id: log_id(9, five, end.index + 2),
                    kind: 2,
                    payload: membership(&[four, five]),
                },
            ],
        };
        assert_eq!(deposed.append(4, &append).await, Appended::All);
        let believed = || world.group(4).status().voters;
        world
            .until("node 4 believes it", ms(1000), || believed() == [four, five])
            .await;

        // The others go on. What they commit is shorter than what node 4 has.
        world.net.heal_all();
        world
            .until("a later term", ms(10_000), || world.group(1).status().term > 9)
            .await;
        let chosen = world.leader_among(&[1, 2, 3]).await;
        assert!(world.group(chosen).status().term > 9);
        world
            .until("node 4 has forgotten it", ms(5000), || {
                world.group(4).status().last_index == end.index + 1
            })
            .await;
        assert_eq!(believed(), voters());

        // Replica 5 would vote for node 4 at any time; together they are two of five.
        let part = Part {
            votes: true,
            stores_up_to: u64::MAX,
            ..Part::default()
        };
        let _elector = Follower::start(&world.net, 5, part).await;
        cut_off(&world, 4);
        world.clock.sleep(ms(3000)).await;
        world.campaign(4).await;
        world.clock.sleep(ms(3000)).await;
        assert!(!world.group(4).status().is_leader);
        world.propose(chosen, "b").await.unwrap();

        world.net.heal_all();
        world.all_have(&[1, 2, 3, 4], &["a", "b"]).await;
        world.assert_sound();
    });
}
