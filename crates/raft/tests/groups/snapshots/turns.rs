//! Many groups whose snapshots wait for each other, while everything goes on.

use atoll_types::GroupKey;
use atoll_types::limits::SNAPSHOTS_SENT_MAX;

use super::{Texts, installed, options, stopped_at, write_and_purge};
use crate::shelf::{Stop, chunks};
use crate::world::{Options, World, group, ms, simulate};

/// Four times as many as are sent at once.
const GROUPS: u64 = 4 * SNAPSHOTS_SENT_MAX as u64;

/// Node 3 was away for so long that it needs a snapshot of each group.
async fn all_behind(keys: &[GroupKey]) -> World {
    let options = Options {
        groups: keys.to_vec(),
        checkpoints: Some(5),
        ..options()
    };
    let world = World::new(3, options).await;
    world.isolate(3);
    write_and_purge(&world, keys, 60, 50).await;
    world
}

/// Every group of node 3 has everything that its leader has.
fn caught_up(world: &World, keys: &[GroupKey]) -> bool {
    keys.iter().all(|key| {
        let applied = |node| world.group_of(node, *key).applied_index();
        applied(3) == applied(1)
    })
}

/// While a group waits for its turn its log goes on, and is purged. A snapshot that openraft was told an older position of is followed
/// by the next one, as the entries in between are gone; and with enough writes there is no end.
#[test]
fn each_group_is_sent_one_snapshot_however_long_it_waited() {
    simulate(async {
        let keys: Vec<GroupKey> = (1..=GROUPS).map(group).collect();
        let world = all_behind(&keys).await;
        for key in &keys {
            world.shelf_of(3, *key).set_pace(&world.clock, ms(30));
        }
        world.heal();
        let done = |key| world.shelf_of(3, key).seen().installed.len() == 1;
        let end = world.clock.now() + ms(60_000);
        let mut more = 0;
        while !keys.iter().all(|key| done(*key)) {
            assert!(world.clock.now() < end, "they wait for ever");
            for key in &keys {
                world.propose_to(1, *key, &format!("more {more}")).await.unwrap();
            }
            more += 1;
            world.clock.sleep(ms(10)).await;
        }
        assert!(more > 50, "much was written meanwhile: {more}");
        let all = || caught_up(&world, &keys);
        world.until("all have everything", ms(20_000), all).await;
        for key in &keys {
            let (shelf, seen) = (world.shelf_of(3, *key), world.shelf_of(3, *key).seen());
            let position = seen.installed[0].unwrap();
            let rows = world.process(1).groups[&key.id].1.lock().clone();
            let rows = rows.into_iter().filter(|(id, _)| *id <= position).collect();
            let kept = shelf.kept().unwrap();
            let sent = chunks(0, &crate::shelf::Checkpoint { rows, ..kept }).len() as u64;
            assert_eq!((seen.begun, seen.chunks), (1, sent), "{key}: each chunk once");
        }
        world.assert_sound();
    });
}

#[test]
fn who_waits_for_a_turn_counts_as_served() {
    simulate(async {
        let keys: Vec<GroupKey> = (1..=GROUPS).map(group).collect();
        let world = all_behind(&keys).await;
        for key in &keys {
            world.shelf_of(3, *key).stop_at(Some(Stop::Chunk(2)));
        }
        world.heal();
        let served = |key: &GroupKey| world.group_of(1, *key).status().snapshots_sent;
        let all = || keys.iter().all(|key| served(key) == 1);
        world.until("all are served", ms(20_000), all).await;
        world.clock.sleep(ms(2000)).await;
        let stops = keys.iter().filter(|key| world.shelf_of(3, **key).has_stopped());
        assert_eq!(stops.count(), SNAPSHOTS_SENT_MAX, "the others wait");
        for key in &keys {
            world.shelf_of(3, *key).stop_at(None);
        }
        let none = || keys.iter().all(|key| served(key) == 0);
        world.until("nobody is served", ms(60_000), none).await;
        assert!(caught_up(&world, &keys));
        world.assert_sound();
    });
}

/// Another leader may not have the entries any more that it needs next.
#[test]
fn who_comes_up_from_a_snapshot_counts_as_served() {
    simulate(async {
        let mut texts = Texts::default();
        let world = stopped_at(&mut texts, Stop::Installed).await;
        texts.write(&world, 1, 30).await;
        assert_eq!(world.group(1).status().snapshots_sent, 1);
        world.shelf(3).stop_at(None);
        installed(&world, 3, 1).await;
        world.isolate(3);
        world.clock.sleep(ms(20_000)).await;
        assert_eq!(world.group(1).status().snapshots_sent, 1, "it may come back");
        world.heal();
        texts.are_on(&world, &[1, 2, 3]).await;
        let none = || world.group(1).status().snapshots_sent == 0;
        world.until("it is there", ms(20_000), none).await;
        assert_eq!(world.shelf(3).seen().begun, 1);
        world.assert_sound();
    });
}
