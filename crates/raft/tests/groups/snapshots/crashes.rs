//! A power cut at every step of an install.

use atoll_env::vfs::Crash;

use super::{Texts, left_behind};
use crate::shelf::Stop;
use crate::world::{World, ms, simulate};

/// A world whose node 3 has come to a step of its install and lost its power there.
async fn crash_at(stop: Stop, texts: &mut Texts) -> World {
    let mut world = left_behind(texts).await;
    world.shelf(3).stop_at(Some(stop));
    world.heal();
    world
        .until(&format!("n3 comes to {stop:?}"), ms(20_000), || {
            world.shelf(3).has_stopped()
        })
        .await;
    world.crash(3, Crash::LoseAll).await;
    world
}

async fn goes_on(mut world: World, mut texts: Texts) {
    world.start(3).await;
    texts.are_on(&world, &[1, 2, 3]).await;
    world.crash(2, Crash::LoseAll).await;
    texts.write(&world, 1, 3).await;
    texts.are_on(&world, &[1, 3]).await;
    world.crash(3, Crash::LoseAll).await;
    world.start(3).await;
    texts.are_on(&world, &[3]).await;
    world.assert_sound();
}

#[test]
fn before_the_install_the_old_state_is_whole() {
    simulate(async {
        let mut texts = Texts::default();
        let world = crash_at(Stop::Install, &mut texts).await;
        assert_eq!(world.shelf(3).kept(), None);
        goes_on(world, texts).await;
    });
}

#[test]
fn after_the_install_the_new_state_is_whole_and_the_log_is_purged_at_the_start() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = crash_at(Stop::Installed, &mut texts).await;
        let applied = world.shelf(3).kept().unwrap().position.applied;
        let log = world.durable_log(3).await;
        assert!(log.last().copied() < applied, "{log:?}");
        // Alone, so that nobody can tell it anything.
        world.isolate(3);
        world.start(3).await;
        assert_eq!(world.payloads(3), texts.payloads());
        assert_eq!((world.log(3).purged, world.log(3).last), (applied, applied));
        assert_eq!(world.shelf(3).seen().installed.len(), 1);
        world.crash(3, Crash::LoseAll).await;
        world.heal();
        goes_on(world, texts).await;
    });
}

#[test]
fn a_purge_that_was_not_synced_is_made_again() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = left_behind(&mut texts).await;
        world.heal();
        world
            .until("the snapshot is installed", ms(20_000), || {
                world.shelf(3).kept().is_some()
            })
            .await;
        world.stall_disk(3, ms(5000));
        let applied = world.shelf(3).kept().unwrap().position.applied;
        world
            .until("the log is purged", ms(20_000), || world.log(3).purged == applied)
            .await;
        world.crash(3, Crash::LoseAll).await;
        world.heal();
        goes_on(world, texts).await;
    });
}

/// A machine that cannot install what it took ends the process; the next one has the old state.
#[test]
fn a_failed_install_ends_the_process() {
    simulate(async {
        let mut texts = Texts::default();
        let mut world = left_behind(&mut texts).await;
        world.shelf(3).fail_install();
        world.heal();
        world
            .until("node 3 ends", ms(20_000), || !world.halts().is_empty())
            .await;
        let halts = world.take_halts();
        assert!(
            halts.iter().all(|halt| halt.starts_with("n3: ")) && halts[0].contains("no room"),
            "{halts:?}"
        );
        assert!(!world.group(3).status().running);
        world.crash(3, Crash::Process).await;
        goes_on(world, texts).await;
    });
}
