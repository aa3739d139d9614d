//! Read points: never before the read came, never before what they promise is applied, and never without
//! a quorum.

use std::sync::Arc;

use atoll_env::Instant;
use atoll_env::net::MemNetOptions;
use atoll_raft::{ReadError, ReadPoint};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::frames::{READ_INDEX, REFUSED, REPLY};
use crate::played::Caller;
use crate::world::{GROUP, Options, World, ms, name, payload, simulate};

/// Reads waiting at a time, at most.
const WAITING_MAX: usize = 16 * 1024;
/// How long a round may take.
const ROUND_MS: u64 = 2000;

/// One way over a slow link.
const WAY_MS: u64 = 50;

fn slow() -> Options {
    Options {
        net: MemNetOptions {
            delay: ms(WAY_MS)..ms(WAY_MS + 1),
            ..MemNetOptions::default()
        },
        ..Options::default()
    }
}

/// What a read saw, and when.
#[derive(Clone, Debug)]
struct Seen {
    point: Result<ReadPoint, ReadError>,
    at: Instant,
    applied: Vec<Bytes>,
}

type Reads = Arc<Mutex<Vec<Seen>>>;

/// Reads on a node; the read looks at what is applied there the moment it runs.
fn submit(world: &World, node: u64, reads: &Reads) {
    let (reads, clock) = (Arc::clone(reads), world.clock.clone());
    let applied = Arc::clone(&world.process(node).groups[&GROUP.id].1);
    let read = Box::new(move |point| {
        let applied = applied
            .lock()
            .iter()
            .map(|(_, payload)| payload.clone())
            .collect();
        let at = clock.now();
        reads.lock().push(Seen { point, at, applied });
    });
    world.group(node).reads().submit(read);
}

async fn seen(world: &World, reads: &Reads, count: usize) -> Vec<Seen> {
    world
        .until(&format!("{count} reads"), ms(20_000), || {
            reads.lock().len() >= count
        })
        .await;
    reads.lock().clone()
}

#[test]
fn a_read_never_joins_a_round_that_was_sent_before_it_came() {
    simulate(async {
        let world = World::new(3, slow()).await;
        let gate = world.group(1).reads();
        world.clock.sleep(ms(500)).await;
        let (before, reads) = (gate.rounds(), Reads::default());
        submit(&world, 1, &reads);
        world.clock.sleep(ms(WAY_MS / 2)).await;
        let came = world.clock.now();
        for _ in 0..100 {
            submit(&world, 1, &reads);
        }
        let seen = seen(&world, &reads, 101).await;
        assert!(seen.iter().all(|read| read.point.is_ok()));
        // The first is answered while the others wait for a round of their own, which they share.
        assert!(seen[0].at < came + ms(2 * WAY_MS));
        for read in &seen[1..] {
            assert!(read.at >= came + ms(2 * WAY_MS), "{:?} after {came:?}", read.at);
        }
        assert_eq!(gate.rounds() - before, 2);
        world.assert_sound();
    });
}

/// A read that joined would be noticed.
#[cfg(feature = "mutants")]
#[test]
fn a_read_that_joins_a_sent_round_is_noticed() {
    use atoll_types::{Mutant, mutant};
    simulate(async {
        let world = World::new(3, slow()).await;
        world.clock.sleep(ms(500)).await;
        mutant::wake(Some(Mutant::ReadJoinsSentRound));
        let reads = Reads::default();
        submit(&world, 1, &reads);
        world.clock.sleep(ms(WAY_MS / 2)).await;
        let came = world.clock.now();
        submit(&world, 1, &reads);
        let seen = seen(&world, &reads, 2).await;
        mutant::wake(None);
        assert!(seen[1].at < came + ms(2 * WAY_MS));
    });
}

#[test]
fn a_read_on_a_follower_waits_until_what_the_leader_has_committed_is_applied() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        for text in ["a", "b", "c"] {
            // What node 1 sends to node 3 takes half a second, once in a while more.
            world.net.set_delay(&name(1), &name(3), ms(300)..ms(700));
            world.propose(1, text).await.unwrap();
            let applied = payload(text);
            assert!(!world.payloads(3).contains(&applied), "node 3 is behind");
            let reads = Reads::default();
            submit(&world, 3, &reads);
            world.net.clear_delays();
            let seen = seen(&world, &reads, 1).await;
            let point = seen[0].point.clone().unwrap();
            assert!(seen[0].applied.contains(&applied));
            assert!(point.applied_index >= world.group(1).applied_index());
        }
        world.assert_sound();
    });
}

#[test]
fn whoever_is_cut_off_is_told_so_in_bounded_time() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.propose(1, "old").await.unwrap();
        world.all_have(&[1, 2, 3], &["old"]).await;
        // The leader.
        world.isolate(1);
        let (reads, asked) = (Reads::default(), world.clock.now());
        submit(&world, 1, &reads);
        let leader = world.leader_among(&[2, 3]).await;
        world.propose(leader, "new").await.unwrap();
        submit(&world, 1, &reads);
        for read in seen(&world, &reads, 2).await {
            let refusal = read.point.unwrap_err();
            assert!(
                matches!(refusal, ReadError::Unavailable(_) | ReadError::NotLeader { .. }),
                "{refusal:?}"
            );
        }
        assert!(reads.lock()[0].at <= asked + ms(ROUND_MS + 50));
        // A follower.
        world.heal();
        world.all_have(&[1, 2, 3], &["old", "new"]).await;
        world.read(1).await.unwrap();
        world.isolate(1);
        let (reads, asked) = (Reads::default(), world.clock.now());
        submit(&world, 1, &reads);
        let refusal = seen(&world, &reads, 1).await.remove(0);
        assert!(
            matches!(refusal.point, Err(ReadError::Unavailable(_))),
            "{refusal:?}"
        );
        assert!(refusal.at <= asked + ms(ROUND_MS + 50));
        world.assert_sound();
    });
}

#[test]
fn without_a_leader_a_read_is_refused_at_once() {
    simulate(async {
        let world = World::blank(3, Options::default()).await;
        let now = world.clock.now();
        assert_eq!(world.read(2).await, Err(ReadError::NotLeader { leader: None }));
        assert!(world.clock.now() <= now + ms(5));
    });
}

#[test]
fn no_more_reads_wait_than_the_bound_and_all_are_answered() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.isolate(1);
        let reads = Reads::default();
        submit(&world, 1, &reads);
        // From here on that round is under way.
        world.clock.sleep(ms(5)).await;
        for _ in 0..WAITING_MAX {
            submit(&world, 1, &reads);
        }
        assert!(reads.lock().is_empty());
        submit(&world, 1, &reads);
        let refusal = reads.lock()[0].point.clone();
        assert!(matches!(refusal, Err(ReadError::Unavailable(_))), "{refusal:?}");
        let seen = seen(&world, &reads, WAITING_MAX + 2).await;
        assert!(seen.iter().all(|read| read.point.is_err()));
        world.heal();
        let leader = world.leader_among(&[1, 2, 3]).await;
        // It was cut off when the others elected.
        let (leader, group) = (world.group(leader).replica(), world.group(1));
        world
            .until("n1 knows who leads", ms(5000), || group.leader() == Some(leader))
            .await;
        world.read(1).await.unwrap();
        assert_eq!(reads.lock().len(), WAITING_MAX + 2, "once each");
        world.assert_sound();
    });
}

#[test]
fn a_stopped_group_answers_its_reads() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.isolate(1);
        let (reads, gate) = (Reads::default(), world.group(1).reads());
        submit(&world, 1, &reads);
        world.clock.sleep(ms(5)).await;
        submit(&world, 1, &reads);
        let host = world.process(1).host.clone();
        world.on(1, async move { host.stop_group(GROUP.id).await }).await;
        for read in seen(&world, &reads, 2).await {
            assert_eq!(read.point, Err(ReadError::Stopped));
        }
        assert_eq!(
            world.on(1, async move { gate.wait().await }).await,
            Err(ReadError::Stopped)
        );
    });
}

/// A follower that was taken for the leader must not answer by asking the leader: two replicas that take
/// each other for the leader would ask each other for ever.
#[test]
fn only_a_leader_tells_others_its_read_index() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.propose(1, "a").await.unwrap();
        let mut caller = Caller::new(&world.net, 2);
        let answer = caller.call(READ_INDEX, 3, Bytes::new()).await;
        assert_eq!(answer.kind, REFUSED);
        let answer = caller.call(READ_INDEX, 1, Bytes::new()).await;
        assert_eq!(answer.kind, REPLY);
        let index = u64::from_le_bytes(answer.body[..].try_into().unwrap());
        assert_eq!(index, world.group(1).applied_index());
        world.assert_sound();
    });
}
