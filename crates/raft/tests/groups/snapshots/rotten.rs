//! Leaders that cannot read what they would have to send.

use atoll_raft::RaftError;
use atoll_types::ReplicaId;

use super::{Texts, left_behind, left_behind_with, options, purge, with_entries};
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
        // It asks node 2, which has answered just before, and hears nothing.
        world.shelf(1).rot();
        world.heal();
        world.clock.sleep(ms(20_000)).await;
        let status = world.group(1).status();
        assert!(status.is_leader && status.term == 1, "{status:?}");
        assert_eq!(status.gave_up, None);
        assert_eq!(give_up(&world, 1, "for no reason").await.unwrap(), None);
        // Now somebody can.
        world.start(2).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        assert_eq!(world.leader_among(&[1, 2, 3]).await, 2);
        world.assert_sound();
    });
}

/// It was willing, and is gone when it is handed leadership: that must not take this replica out of leading for ever.
#[test]
fn a_leadership_that_nobody_takes_is_followed_by_an_election() {
    simulate(async {
        let mut texts = Texts::default();
        let mut options = options();
        options.net.delay = ms(20)..ms(21);
        let mut world = left_behind_with(&mut texts, options).await;
        world.shelf(1).rot();
        world.heal();
        let gave_up = || world.group(1).status().gave_up.is_some();
        world.until("it hands over", ms(20_000), gave_up).await;
        // Before it hears of it.
        world.crash(2, atoll_env::vfs::Crash::LoseAll).await;
        world.clock.sleep(ms(30_000)).await;
        let status = world.group(1).status();
        assert!(status.is_leader && status.term > 1, "{status:?}");
        world.start(2).await;
        texts.are_on(&world, &[1, 2, 3]).await;
        world.assert_sound();
    });
}

/// Each of them would give it up to the other at once.
#[test]
fn two_that_cannot_read_their_state_do_not_pass_leadership_to_and_fro() {
    simulate(async {
        let mut texts = Texts::default();
        let world = left_behind(&mut texts).await;
        world.shelf(1).rot();
        world.shelf(2).rot();
        world.heal();
        world.leads(2, GROUP).await;
        world.clock.sleep(ms(150_000)).await;
        let term = world.group(2).status().term;
        assert!((3..=5).contains(&term), "a minute, then two: term {term}");
        let leader = world.leader_among(&[1, 2]).await;
        texts.write(&world, leader, 3).await;
        texts.are_on(&world, &[1, 2]).await;
        world.assert_sound();
    });
}

#[test]
fn a_replica_that_should_not_lead_is_not_handed_leadership() {
    simulate(async {
        let (world, _) = with_entries(3, options()).await;
        world.process(2).host.set_reluctance(Some("its disk is full"));
        let group = world.group(1);
        let to = replica(GROUP, 2);
        let refused = world.on(1, async move { group.transfer_leader(to).await }).await;
        let Err(RaftError::Unwilling(who, why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(who == to && why.contains("its disk is full"), "{why}");
        assert_eq!(
            give_up(&world, 1, "a test").await.unwrap(),
            Some(replica(GROUP, 3)),
            "the other one"
        );
        world.leads(3, GROUP).await;
        assert_eq!(world.group(3).status().term, 2, "nothing was tried with node 2");
        // The first has just given it up, and takes it from nobody.
        world.clock.sleep(ms(20_000)).await;
        assert_eq!(give_up(&world, 3, "a test").await.unwrap(), None);
        world.process(2).host.set_reluctance(None);
        world.clock.sleep(ms(20_000)).await;
        assert_eq!(give_up(&world, 3, "a test").await.unwrap(), Some(to));
        world.leads(2, GROUP).await;
        world.assert_sound();
    });
}

#[test]
fn leadership_is_given_up_to_whom_has_everything_and_once() {
    simulate(async {
        let (world, mut texts) = with_entries(3, options()).await;
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
