//! Hazard: reads by lease. openraft does not remember a follower's lease over a restart, so such a follower
//! may vote at once for somebody else while the old leader, which nobody told, still has its lease: by
//! lease it would serve a value that an acknowledged write has replaced. Reproduced on 0.10.0-alpha.37
//! with its `ReadPolicy::LeaseRead`. Every read here asks a quorum instead.

use atoll_env::vfs::Crash;
use atoll_raft::{ReadError, ReadPoint};

use crate::world::{Options, Running, World, ms, name, payload, simulate};

/// Node 1 leads and is cut off; node 3 leads by the vote of node 2, which has just restarted, and has
/// acknowledged a write, all within node 1's lease. A read is under way on node 1.
async fn depose() -> (World, Running<Result<ReadPoint, ReadError>>) {
    let mut world = World::new(3, Options::default()).await;
    world.propose(1, "old").await.unwrap();
    world.all_have(&[1, 2, 3], &["old"]).await;
    // Node 3 must have forgotten the leader; it cannot depose it while node 2 hears it.
    world.net.cut(&name(1), &name(3));
    world.clock.sleep(ms(4000)).await;
    assert!(world.group(1).status().is_leader);

    let lease_ends =
        world.clock.now() + ms(world.options.raft.election_max_ms - 2 * world.options.raft.heartbeat_ms);
    world.isolate(1);
    world.crash(2, Crash::Process).await;
    world.start(2).await;
    world.campaign(3).await;
    world.leads(3, crate::world::GROUP).await;
    world.propose(3, "new").await.unwrap();
    let read = world.read(1);
    assert!(world.clock.now() < lease_ends, "a lease would have ended by now");
    assert!(world.group(1).status().is_leader, "nobody told the old leader");
    assert_eq!(world.payloads(1), [payload("old")]);
    (world, read)
}

#[test]
fn a_deposed_leader_with_a_lease_does_not_serve_a_read() {
    simulate(async {
        let (world, read) = depose().await;
        let asked = world.clock.now();
        let refusal = read.await.unwrap_err();
        assert!(
            matches!(refusal, ReadError::Unavailable(_) | ReadError::NotLeader { .. }),
            "{refusal:?}"
        );
        assert!(world.clock.now() < asked + ms(2500), "a bounded wait");
        for node in [2, 3] {
            world.read(node).await.unwrap();
            assert_eq!(world.payloads(node), [payload("old"), payload("new")]);
        }
        world.heal();
        world.all_have(&[1, 2, 3], &["old", "new"]).await;
        world.read(1).await.unwrap();
        world.assert_sound();
    });
}

/// Without asking a quorum the old value would be served.
#[cfg(feature = "mutants")]
#[test]
fn without_a_quorum_the_old_value_is_served() {
    use atoll_types::{Mutant, mutant};
    mutant::wake(Some(Mutant::LeaderReadWithoutQuorum));
    simulate(async {
        let (world, read) = depose().await;
        read.await.unwrap();
        assert_eq!(world.payloads(1), [payload("old")]);
    });
    mutant::wake(None);
}
