//! openraft issue 1802, "Commit index can increase without actual quorum": up to 0.10.0-alpha.24 and 0.9.24
//! the leader kept what its voters had stored in a list whose front had to be in descending order. A voter
//! that was ahead of the commit index already and overtook another one did not move up, and the next voter
//! to come along counted those in front of it in the list as having stored at least as much: with five
//! voters an entry was committed that two of them had.
//!
//! It takes five voters, and a leader whose own disk is slower than a follower's, because only a follower
//! can overtake.

use atoll_env::vfs::DiskTrouble;

use crate::played::{Follower, Part};
use crate::world::{GROUP, Options, Running, World, ms, replica, simulate};

const VOTERS: u64 = 5;

/// Node 1, whose followers are played.
async fn leader_alone() -> (World, Vec<Follower>) {
    let world = World::blank(1, Options::default()).await;
    let mut followers = Vec::new();
    for node in 2..=VOTERS {
        // Entry 0 says who the voters are, entry 1 begins the term.
        let part = Part {
            votes: true,
            stores_up_to: 1,
            ..Part::default()
        };
        followers.push(Follower::start(&world.net, node, part).await);
    }
    world.initialize(1, GROUP, VOTERS).await;
    world.leads(1, GROUP).await;
    (world, followers)
}

/// The leader knows that a follower has stored so much.
async fn knows(world: &World, followers: &[Follower], node: u64, index: u64) {
    followers[node as usize - 2].change(|part| part.stores_up_to = index);
    let known = (replica(GROUP, node), index);
    world
        .until(&format!("{known:?} is known"), ms(3000), || {
            world.group(1).status().matched.contains(&known)
        })
        .await;
}

#[test]
fn five_voters_of_which_two_have_an_entry_do_not_commit_it() {
    simulate(async {
        let (world, followers) = leader_alone().await;
        let first: Vec<_> = (0..5).map(|n| world.propose(1, &format!("{n}"))).collect();
        world.clock.sleep(ms(50)).await;
        assert_eq!(world.durable_log(1).await.len(), 7, "entries 0 to 6");
        world.stall_disk(1, ms(10_000));
        let second: Vec<_> = (5..10).map(|n| world.propose(1, &format!("{n}"))).collect();

        let committed = || world.group(1).status().committed_index;
        knows(&world, &followers, 2, 4).await;
        assert_eq!(committed(), 1);
        knows(&world, &followers, 3, 5).await;
        world
            .until("three have entry 4", ms(100), || committed() == 4)
            .await;
        // Node 3 overtakes the leader, which has six.
        knows(&world, &followers, 3, 11).await;
        // Three voters have entry 6: the leader, node 3 and node 4. Two have entry 7.
        knows(&world, &followers, 4, 7).await;
        world.clock.sleep(ms(1000)).await;
        assert_eq!(committed(), 6);
        assert_eq!(world.group(1).applied_index(), 6);
        assert!(first.iter().all(Running::is_finished));
        assert!(second.iter().all(|write| !write.is_finished()));

        // The leader's disk makes it three.
        world.disk(1).set_trouble(DiskTrouble::default());
        world
            .until("entry 7 is committed", ms(30_000), || committed() == 7)
            .await;
        knows(&world, &followers, 5, 11).await;
        for write in first.into_iter().chain(second) {
            write.await.unwrap();
        }
        world.assert_sound();
    });
}

/// The leader's disk is the slowest in every other round; the others take turns.
fn slowness(node: u64, round: u64) -> u64 {
    match (node, round % 2) {
        (1, 0) => 120,
        _ => 1 + (node * 7 + round * 3) % 11 * 5,
    }
}

/// With disks of different speeds, so that who is ahead of whom changes all the time.
#[test]
fn whatever_is_acknowledged_stands_on_three_disks_of_five() {
    simulate(async {
        let world = World::new(VOTERS, Options::default()).await;
        let nodes: Vec<u64> = (1..=VOTERS).collect();
        for round in 0..30_u64 {
            // The leader's disk is the slowest in every other round; the others take turns.
            for node in nodes.iter().copied() {
                world.stall_disk(node, ms(slowness(node, round)));
            }
            let writes: Vec<_> = (0..4)
                .map(|n| world.propose(1, &format!("{round}.{n}")))
                .collect();
            for write in writes {
                write.await.unwrap();
                let index = world.group(1).applied_index();
                let logs = world.durable_logs(&nodes).await;
                let applied = world.applied(1).last().unwrap().0;
                let stored = logs.iter().filter(|log| log.contains(&applied)).count();
                assert!(stored >= 3, "entry {index}, {applied}, stands on {stored} disks");
            }
        }
        world.heal();
        let payloads = world.payloads(1);
        assert_eq!(payloads.len(), 120);
        world
            .until("all have all", ms(5000), || {
                nodes.iter().all(|node| world.payloads(*node) == payloads)
            })
            .await;
        world.assert_sound();
    });
}

/// If who cannot be reached counted as having stored, this would be seen.
#[cfg(feature = "mutants")]
#[test]
fn without_a_quorum_entries_would_be_committed() {
    use atoll_types::{Mutant, mutant};
    simulate(async {
        let (world, followers) = leader_alone().await;
        for follower in &followers {
            follower.change(|part| part.silent = true);
        }
        let write = world.propose(1, "lost");
        mutant::wake(Some(Mutant::CommitWithoutQuorum));
        world.clock.sleep(ms(4000)).await;
        mutant::wake(None);
        assert!(write.is_finished());
    });
}
