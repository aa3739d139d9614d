//! A group's first entry, written by more than one replica. openraft gives it the id of its writer, so the
//! replicas' logs begin with different entries; the first elected leader's must win everywhere, and nothing
//! that was acknowledged may be lost over it.

use atoll_env::vfs::Crash;

use crate::world::{GROUP, Options, World, ms, simulate};

/// Every node in `writers` writes the first entry while nobody hears anybody.
async fn written_apart(nodes: u64, writers: &[u64]) -> World {
    let world = World::blank(nodes, Options::default()).await;
    for node in 1..=nodes {
        world.isolate(node);
    }
    for &node in writers {
        world.initialize(node, GROUP, nodes).await;
        assert!(
            !world.group(node).status().is_leader,
            "to write it makes nobody a leader"
        );
    }
    world
}

#[test]
fn the_first_entries_of_several_writers_become_one() {
    for writers in [&[1_u64, 2][..], &[2, 3], &[1, 2, 3], &[3]] {
        simulate(async move {
            let world = written_apart(3, writers).await;
            world.clock.sleep(ms(3000)).await;
            world.heal();
            let leader = world.leader_among(&[1, 2, 3]).await;
            world.propose(leader, "first").await.unwrap();
            world.all_have(&[1, 2, 3], &["first"]).await;
            let logs = world.durable_logs(&[1, 2, 3]).await;
            assert!(
                logs.windows(2).all(|pair| pair[0].first() == pair[1].first()),
                "{logs:?}"
            );
            // To write it again is refused and changes nothing.
            for node in 1..=3 {
                world.initialize(node, GROUP, 3).await;
            }
            world.propose(leader, "second").await.unwrap();
            world.all_have(&[1, 2, 3], &["first", "second"]).await;
            world.assert_sound();
        });
    }
}

#[test]
fn a_late_writer_loses_nothing_that_was_acknowledged() {
    simulate(async {
        // Node 3 wrote its own first entry long ago, and never heard of the group that 1 and 2 made.
        let mut world = written_apart(3, &[1, 3]).await;
        world.net.heal(&crate::world::name(1), &crate::world::name(2));
        let leader = world.leader_among(&[1, 2]).await;
        world.propose(leader, "kept").await.unwrap();
        // It comes back when only one of the others is there.
        world.crash(leader, Crash::LoseAll).await;
        world.heal();
        let other = 3 - leader;
        let next = world.leader_among(&[other, 3]).await;
        assert_eq!(next, other, "a log with one's own first entry alone is behind");
        world.propose(next, "later").await.unwrap();
        world.start(leader).await;
        world.all_have(&[1, 2, 3], &["kept", "later"]).await;
        world.assert_sound();
    });
}
