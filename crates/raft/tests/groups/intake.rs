//! A node that takes no entries for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{GROUP, Options, World, ms, payload, replica, simulate};

/// Has a node take no entries while this is true.
fn fill(world: &World, node: u64) -> Arc<AtomicBool> {
    let full = Arc::new(AtomicBool::new(true));
    let own = Arc::clone(&full);
    world
        .process(node)
        .host
        .guard_intake(move |_| own.load(Ordering::Relaxed).then(|| "its disk is full".to_owned()));
    full
}

#[test]
fn the_others_go_on_without_it_and_bring_it_up_later() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.propose(1, "before").await.unwrap();
        world.all_have(&[1, 2, 3], &["before"]).await;
        let full = fill(&world, 3);
        world.propose(1, "meanwhile").await.unwrap();
        world.all_have(&[1, 2], &["before", "meanwhile"]).await;
        // Longer than any election takes to begin.
        world.clock.sleep(ms(30_000)).await;
        assert_eq!(world.payloads(3), [payload("before")], "nothing was taken");
        let status = world.group(1).status();
        assert!(
            status.is_leader && status.term == 1,
            "it still hears its leader: {status:?}"
        );
        full.store(false, Ordering::Relaxed);
        world.all_have(&[1, 2, 3], &["before", "meanwhile"]).await;
        world.assert_sound();
    });
}

#[test]
fn it_votes_and_what_needs_its_log_waits_for_it() {
    simulate(async {
        let mut world = World::new(3, Options::default()).await;
        world.propose(1, "before").await.unwrap();
        world.all_have(&[1, 2, 3], &["before"]).await;
        let full = fill(&world, 3);
        world.crash(1, atoll_env::vfs::Crash::LoseAll).await;
        let leads = |node| world.group(node).status().is_leader;
        world
            .until("one is elected by both", ms(30_000), || leads(2) || leads(3))
            .await;
        if leads(3) {
            world.leads(3, GROUP).await;
            let group = world.group(3);
            let to = replica(GROUP, 2);
            let handed = world.on(3, async move { group.transfer_leader(to).await });
            handed.await.unwrap();
        }
        world.leads(2, GROUP).await;
        let waiting = world.propose(2, "behind");
        world.clock.sleep(ms(5_000)).await;
        assert_eq!(
            world.payloads(2),
            [payload("before")],
            "two of three have not got it"
        );
        world.read(2).await.unwrap();
        full.store(false, Ordering::Relaxed);
        waiting.await.unwrap();
        world.all_have(&[2, 3], &["before", "behind"]).await;
        world.assert_sound();
    });
}
