//! Receivers without room.

use std::time::Duration;

use super::{Texts, left_behind};
use crate::world::{GROUP, World, replica, simulate};

const MINUTE: Duration = Duration::from_secs(60);

async fn gets_one(world: &World, texts: &mut Texts) {
    let installed = || world.shelf(3).seen().installed.len() == 1;
    world.until("it is tried again", 6 * MINUTE, installed).await;
    texts.are_on(world, &[1, 2, 3]).await;
    let troubles = || world.group(1).status().snapshot_troubles;
    world.until("all is well", MINUTE, || troubles().is_empty()).await;
    world.assert_sound();
}

#[test]
fn a_snapshot_that_does_not_fit_is_not_sent_and_tried_ever_more_seldom() {
    simulate(async {
        let mut texts = Texts::default();
        let world = left_behind(&mut texts).await;
        world.shelf(3).set_room(10);
        world.heal();
        world.clock.sleep(5 * MINUTE).await;
        let seen = world.shelf(3).seen();
        // After 5 s, 10 s, 20 s and so on.
        assert!((5..=7).contains(&seen.refused), "{seen:?}");
        assert_eq!((seen.begun, seen.chunks, seen.open), (seen.refused, 0, 0));
        let troubles = world.group(1).status().snapshot_troubles;
        assert_eq!(troubles.len(), 1);
        let (who, why) = &troubles[0];
        assert_eq!(*who, replica(GROUP, 3));
        assert!(
            why.contains("no room") && why.contains("the shelf is full"),
            "{why}"
        );
        // The group goes on, and its log is purged.
        texts.write(&world, 1, 5).await;
        texts.are_on(&world, &[1, 2]).await;
        world.shelf(3).set_room(u64::MAX);
        gets_one(&world, &mut texts).await;
    });
}

#[test]
fn a_disk_that_fills_up_half_way_ends_the_snapshot_and_the_haste() {
    simulate(async {
        let mut texts = Texts::default();
        let world = left_behind(&mut texts).await;
        world.shelf(3).fill_at(Some(6));
        world.heal();
        world.clock.sleep(MINUTE).await;
        let seen = world.shelf(3).seen();
        assert!((3..=5).contains(&seen.begun), "{seen:?}");
        assert_eq!((seen.chunks, seen.open), (6 * seen.begun, 0));
        world.shelf(3).fill_at(None);
        gets_one(&world, &mut texts).await;
    });
}
