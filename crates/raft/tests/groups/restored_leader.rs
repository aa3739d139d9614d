//! Hazard: openraft's default `enable_leader_restore`.
//!
//! openraft sends entries to the followers before its own disk has them. A leader that loses such
//! entries with its power and restarts before anybody was elected goes on, by that default, as the leader
//! of the *same* term: it gives the log ids of what it lost to new entries. The followers take those for
//! what they have already, so that an acknowledged write is lost and the state machines differ for ever.
//! Reproduced on 0.10.0-alpha.37; `RaftOptions` turns the default off.

use atoll_env::vfs::Crash;
use atoll_raft::ProposeError;
use atoll_types::{LogId, Outcome};

use crate::world::{Options, World, ms, payload, simulate};

/// How the leader's next process fared.
struct Restarted {
    world: World,
    /// Where the write stood that only the followers had kept.
    acknowledged: LogId,
    /// What became of a write that the leader was asked for before anybody could be elected.
    at_once: Result<Vec<Outcome>, ProposeError>,
}

/// A leader acknowledges a write that is not on its own disk, loses its power and is back at once.
async fn restart_leader() -> Restarted {
    let mut world = World::new(3, Options::default()).await;
    world.propose(1, "first").await.unwrap();
    world.all_have(&[1, 2, 3], &["first"]).await;
    world.stall_disk(1, ms(10_000));
    world.propose(1, "acknowledged").await.unwrap();
    world.all_have(&[1, 2, 3], &["first", "acknowledged"]).await;
    let acknowledged = world.applied(2)[1].0;
    let logs = world.durable_logs(&[1, 2, 3]).await;
    let kept: Vec<bool> = logs.iter().map(|log| log.contains(&acknowledged)).collect();
    assert_eq!(kept, [false, true, true]);

    world.heal();
    world.crash(1, Crash::LoseAll).await;
    world.start(1).await;
    assert!(!world.payloads(1).contains(&payload("acknowledged")));
    let deadline = world.clock.now() + ms(500);
    let mut at_once = world.propose(1, "next").await;
    while matches!(at_once, Err(ProposeError::NotLeader { .. })) && world.clock.now() < deadline {
        world.clock.sleep(ms(10)).await;
        at_once = world.propose(1, "next").await;
    }
    Restarted {
        world,
        acknowledged,
        at_once,
    }
}

#[test]
fn a_leader_that_restarts_does_not_give_the_log_ids_it_lost_to_new_entries() {
    simulate(async {
        let Restarted {
            world,
            acknowledged,
            at_once,
        } = restart_leader().await;
        assert!(
            matches!(at_once, Err(ProposeError::NotLeader { .. })),
            "{at_once:?}"
        );
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.propose(leader, "next").await.unwrap();
        let all = ["first", "acknowledged", "next"];
        world.all_have(&[1, 2, 3], &all).await;
        let applied = world.applied(1);
        assert_eq!(applied[1].0, acknowledged);
        assert!(applied[2].0.term > acknowledged.term, "{applied:?}");
        world.assert_sound();
    });
}

/// The same with the default left on: what this scenario is for would be seen.
#[cfg(feature = "mutants")]
#[test]
fn with_the_default_the_fork_is_seen() {
    use atoll_types::{Mutant, mutant};
    mutant::wake(Some(Mutant::LeaderRestored));
    simulate(async {
        let Restarted { world, at_once, .. } = restart_leader().await;
        assert!(at_once.is_ok(), "{at_once:?}");
        assert!(!world.forks().is_empty());
        assert_ne!(world.payloads(1)[1], world.payloads(2)[1]);
    });
    mutant::wake(None);
}
