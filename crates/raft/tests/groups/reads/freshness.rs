//! Since when a replica's state is complete: by its own clock, from the sending of a round.

use atoll_env::Instant;
use atoll_env::net::MemNetOptions;
use bytes::Bytes;

use crate::world::{Options, World, ms, name, payload, simulate};

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

fn since(world: &World, node: u64) -> Option<Instant> {
    world.group(node).reads().fresh_since()
}

#[test]
fn a_state_is_as_fresh_as_the_sending_of_the_last_round_not_its_end() {
    simulate(async {
        let world = World::new(3, slow()).await;
        assert_eq!(since(&world, 3), None, "a replica that never asked knows nothing");
        for node in [1, 3] {
            world.clock.sleep(ms(500)).await;
            let sent = world.clock.now();
            world.read(node).await.unwrap();
            assert!(
                world.clock.now() >= sent + ms(2 * WAY_MS),
                "a round takes there and back"
            );
            let fresh = since(&world, node).unwrap();
            assert!(fresh >= sent && fresh < sent + ms(5), "{fresh:?}, sent {sent:?}");
        }
        world.assert_sound();
    });
}

/// What was acknowledged when.
type Acknowledged = Vec<(Instant, Bytes)>;

fn assert_true(world: &World, node: u64, acknowledged: &Acknowledged) {
    let Some(fresh) = since(world, node) else { return };
    let has = world.payloads(node);
    for (when, payload) in acknowledged.iter().filter(|(when, _)| *when < fresh) {
        assert!(
            has.contains(payload),
            "n{node} is fresh since {fresh:?}, but lacks what was acknowledged at {when:?}"
        );
    }
}

/// Node 3 hears the leader half a second late: its read indexes are old when they arrive.
#[test]
fn whoever_calls_its_state_fresh_has_everything_acknowledged_before() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.net.set_delay(&name(1), &name(3), ms(300)..ms(700));
        let (mut acknowledged, mut fresh) = (Acknowledged::new(), [0; 2]);
        for number in 0..60 {
            let text = format!("text {number}");
            world.propose(1, &text).await.unwrap();
            acknowledged.push((world.clock.now(), payload(&text)));
            for node in [1, 3] {
                // Goes on by itself.
                drop(world.read(node));
                fresh[usize::from(node == 3)] += usize::from(since(&world, node).is_some());
            }
            for _ in 0..50 {
                world.clock.sleep(ms(1)).await;
                assert_true(&world, 1, &acknowledged);
                assert_true(&world, 3, &acknowledged);
            }
        }
        assert!(fresh.iter().all(|count| *count > 20), "{fresh:?}");
        world.assert_sound();
    });
}

#[test]
fn a_leader_cut_off_from_its_quorum_claims_nothing_new() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.read(1).await.unwrap();
        let before = since(&world, 1);
        assert!(before.is_some());
        world.isolate(1);
        let leader = world.leader_among(&[2, 3]).await;
        world.propose(leader, "new").await.unwrap();
        for _ in 0..5 {
            world.read(1).await.unwrap_err();
            assert_eq!(since(&world, 1), before);
        }
        world.heal();
        world.all_have(&[1, 2, 3], &["new"]).await;
        let asked = world.clock.now();
        world.read(1).await.unwrap();
        assert!(since(&world, 1) >= Some(asked));
        world.assert_sound();
    });
}
