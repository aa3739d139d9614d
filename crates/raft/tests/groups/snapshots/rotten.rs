//! Leaders that cannot read what they would have to send.

use atoll_raft::RaftError;
use atoll_types::ReplicaId;

use super::{Texts, left_behind, options, purge};
use crate::world::{GROUP, World, ms, replica, simulate};

async fn give_up(world: &World, node: u64, reason: &'static str) -> Result<Option<ReplicaId>, RaftError> {
    let group = world.group(node);
    world
        .on(node, async move { group.give_up_leadership(reason).await })
        .await
}

#[test]
fn a_leader_that_cannot_send_its_state_hands_over_to_one_that_can() {
    simulate(async {
        let mut texts = Texts::default();
        let world = left_behind(&mut texts).await;
        world.shelf(1).rot();
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        let seen = world.shelf(3).seen();
        assert_eq!((seen.open, seen.installed.len()), (0, 1));
        assert_eq!(world.leader_among(&[1, 2, 3]).await, 2);
        let reason = world.group(1).status().gave_up.unwrap();
        assert!(reason.contains("a rotten value"), "{reason}");
        assert_eq!(world.group(2).status().gave_up, None);
        texts.write(&world, 2, 3).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}

#[test]
fn a_leader_that_nobody_could_follow_goes_on() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = left_behind(&mut texts).await;
        world.crash(2, atoll_env::vfs::Crash::LoseAll).await;
        // It asks node 2, which has answered just before, and is not taken out of leading for ever by that.
        world.shelf(1).rot();
        world.heal();
        world.clock.sleep(ms(1000)).await;
        assert!(world.group(1).status().gave_up.is_some());
        world.clock.sleep(ms(30_000)).await;
        let status = world.group(1).status();
        assert!(status.is_leader && status.term > 1, "{status:?}");
        assert_eq!(give_up(&world, 1, "for no reason").await.unwrap(), None);
        // Now somebody can.
        world.start(2).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.leader_among(&[1, 2, 3]).await, 2);
        world.assert_sound();
    });
}

#[test]
fn leadership_is_given_up_to_whom_has_everything_and_once() {
    simulate(async {
        let world = World::new(3, options()).await;
        let mut texts = Texts::default();
        texts.write(&world, 1, 3).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(give_up(&world, 2, "it does not lead").await.unwrap(), None);
        world.isolate(3);
        texts.write(&world, 1, 20).await;
        texts.are_on(&world, &[1, 2]).await;
        world.net.heal_all();
        purge(&world, &[1]).await;
        world.isolate(3);
        world.clock.sleep(ms(2000)).await;
        let term = world.group(1).status().term;
        let asked = give_up(&world, 1, "a test").await.unwrap();
        assert_eq!(asked, Some(replica(GROUP, 2)));
        assert_eq!(give_up(&world, 1, "again").await.unwrap(), None);
        world.leads(2, GROUP).await;
        assert_eq!(world.group(2).status().term, term + 1, "no election was lost");
        assert_eq!(world.group(1).status().gave_up.as_deref(), Some("a test"));
        world.heal();
        texts.write(&world, 2, 2).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}
