//! A write is done once or its outcome is called unknown.

use std::collections::VecDeque;
use std::time::Duration;

use atoll_client::{Cas, ErrorKind, Options};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;

use crate::support::{Action, World, client, client_with, error};

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_fetched_by_a_repeat_with_the_same_number() {
    let world = World::new(1, 1);
    let client = client(&world).await;
    world.writes_meet([Action::ServeAndCut, Action::Cut, Action::ServeAndCut]);
    let version = client.put("k", "v").await.unwrap();
    assert_eq!(world.applied(), 1);
    let stamps = world.stamps();
    assert_eq!(
        stamps.len(),
        3,
        "done, then remembered, then remembered and answered"
    );
    assert!(stamps.iter().all(|stamp| stamp.seq == 1 && stamp.ack == 1));
    assert_eq!(client.get("k").await.unwrap().unwrap().version, version);
    // The next write tells the group that the first one is finished.
    client.put("k", "w").await.unwrap();
    assert_eq!(
        world.stamps().last().map(|stamp| (stamp.seq, stamp.ack)),
        Some((2, 2))
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeated_compare_and_set_reports_its_first_outcome() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    world.writes_meet([Action::ServeAndCut]);
    assert!(matches!(
        client.compare_and_set("k", None, "mine").await.unwrap(),
        Cas::Done(_)
    ));
    let found = client.get("k").await.unwrap().unwrap().version;
    let conflict = client.compare_and_set("k", None, "again").await.unwrap();
    assert_eq!(conflict, Cas::Conflict { actual: Some(found) });
}

#[tokio::test(start_paused = true)]
async fn without_a_session_a_lost_reply_is_unknown_and_a_lost_request_is_repeated() {
    let world = World::new(3, 1);
    let options = Options {
        exactly_once: false,
        ..Options::default()
    };
    let client = client_with(&world, options).await;
    world.writes_meet([Action::ServeAndCut]);
    assert_eq!(client.put("k", "v").await.unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(world.applied(), 1);
    assert!(world.stamps().is_empty());
    // A refusal is certain, and so is a request that could not be sent.
    world.writes_meet([
        Action::Refuse(error(Kind::Unavailable)),
        Action::Refuse(error(Kind::NotLeader)),
    ]);
    client.put("k", "w").await.unwrap();
    assert_eq!(world.applied(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_session_is_replaced_when_nothing_was_sent_under_it() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    let first = world.stamps()[0];
    world.forget_sessions(1);
    client.put("k", "2").await.unwrap();
    assert_eq!(world.applied(), 2);
    let last = *world.stamps().last().unwrap();
    assert_ne!(
        (first.client_high, first.client_low),
        (last.client_high, last.client_low)
    );
    assert_eq!((last.seq, last.ack), (1, 1));
    assert_eq!(client.stats().sessions_renewed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_done_under_a_forgotten_session_is_unknown() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("k", "1").await.unwrap();
    world.writes_meet([Action::ServeAndCut, Action::Refuse(error(Kind::SessionExpired))]);
    assert_eq!(client.put("k", "2").await.unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(
        world.applied(),
        2,
        "done once, and not a second time under another session"
    );
    // The client goes on under the next one it needs.
    world.forget_sessions(1);
    client.put("k", "3").await.unwrap();
    assert_eq!(world.applied(), 3);
}

/// Does the actions to the next openings, one after the other, then serves.
fn openings_meet(world: &World, actions: impl IntoIterator<Item = Action>) {
    let mut actions: VecDeque<_> = actions.into_iter().collect();
    world.script(move |_, item| match &item.operation {
        Some(Operation::OpenSession(_)) => actions.pop_front().unwrap_or(Action::Serve),
        _ => Action::Serve,
    });
}

#[tokio::test(start_paused = true)]
async fn an_opening_names_the_same_version_in_every_sending() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let lost = (0..6).map(|number| match number % 3 {
        0 => Action::ServeAndCut,
        1 => Action::ServeSilently,
        _ => Action::Refuse(error(Kind::Unavailable)),
    });
    openings_meet(&world, lost);
    client.put("k", "v").await.unwrap();
    let openings = world.openings();
    assert!(openings.len() >= 3, "{openings:?}");
    // What the group had before; a version read later could be one that the session itself led to.
    assert!(
        openings.iter().all(|opening| opening.version == 1000),
        "{openings:?}"
    );
    assert_eq!(client.stats().sessions_opened, 1);
}

#[tokio::test(start_paused = true)]
async fn an_opening_given_up_and_tried_again_by_another_write_still_names_its_version() {
    let world = World::new(3, 1);
    let options = Options {
        deadline: Duration::from_millis(500),
        ..Options::default()
    };
    let client = client_with(&world, options).await;
    openings_meet(&world, (0..20).map(|_| Action::ServeSilently));
    assert_eq!(
        client.put("k", "1").await.unwrap_err().kind(),
        ErrorKind::Deadline
    );
    openings_meet(&world, []);
    client.put("k", "2").await.unwrap();
    let openings = world.openings();
    assert!(openings.len() > 1, "{openings:?}");
    assert!(
        openings.iter().all(|opening| opening.version == 1000),
        "{openings:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_comes_after_its_session_expired_is_refused_and_replaced() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let expired = world.clone();
    let mut first = true;
    world.script(move |_, item| match &item.operation {
        // Opened; the reply is lost; and the group forgets the session before it is asked again.
        Some(Operation::OpenSession(_)) if std::mem::take(&mut first) => Action::ServeAndCut,
        _ => Action::Serve,
    });
    let put = client.put("k", "v");
    let forget = async {
        while expired.openings().is_empty() {
            tokio::task::yield_now().await;
        }
        expired.forget_sessions(1);
    };
    let (put, ()) = tokio::join!(put, forget);
    put.unwrap();
    let clients: Vec<_> = world
        .openings()
        .iter()
        .map(|opening| opening.client_high)
        .collect();
    assert!(clients.len() >= 3, "{clients:?}");
    assert_ne!(
        clients.first(),
        clients.last(),
        "the old id cannot come back to life"
    );
    assert_eq!((world.applied(), client.stats().sessions_renewed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_once_for_each_group() {
    let world = World::new(3, 4);
    let client = client(&world).await;
    let puts = (0..200).map(|number| {
        let client = client.clone();
        async move { client.put(format!("k{number}"), "v").await.unwrap() }
    });
    futures_util::future::join_all(puts).await;
    assert_eq!(client.stats().sessions_opened, 4);
    assert_eq!(world.applied(), 200);
}

#[tokio::test(start_paused = true)]
async fn versions_seen_are_sent_along_so_that_later_writes_get_higher_ones() {
    let world = World::new(3, 8);
    let client = client(&world).await;
    let mut last = None;
    for number in 0..100 {
        let version = client.put(format!("k{number}"), "v").await.unwrap();
        assert!(Some(version) > last, "over all groups");
        last = Some(version);
    }
}

#[tokio::test(start_paused = true)]
async fn one_stuck_write_holds_the_window_and_lets_it_go() {
    let world = World::new(1, 2);
    let client = client(&world).await;
    let stuck_group = world.group_of(b"stuck");
    world.script(move |_, item| {
        if item.group == stuck_group {
            Action::Ignore
        } else {
            Action::Serve
        }
    });
    let short = client.with_deadline(Duration::from_secs(1));
    let keys: Vec<String> = (0..30_000)
        .map(|n| format!("k{n}"))
        .filter(|key| world.group_of(key.as_bytes()) != stuck_group)
        .collect();
    let puts = keys.iter().take(6_000).map(|key| client.put(key.clone(), "v"));
    let (stuck, all) = tokio::join!(short.put("stuck", "v"), futures_util::future::join_all(puts));
    assert!(stuck.is_err());
    assert!(
        all.iter().all(Result::is_ok),
        "the fake server panics on more than 4,096 open numbers"
    );
    let stamps = world.stamps();
    assert!(
        stamps
            .iter()
            .all(|stamp| stamp.ack <= stamp.seq && stamp.seq - stamp.ack < 4_096)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stuck_group_holds_up_no_other() {
    let world = World::new(1, 2);
    let client = client(&world).await;
    let stuck_group = world.group_of(b"stuck");
    let other = 3 - stuck_group;
    world.script(move |_, item| {
        if item.group == stuck_group {
            Action::Ignore
        } else {
            Action::Serve
        }
    });
    let stuck = crate::support::keys_of(&world, stuck_group, 5_000);
    let stuck = stuck.iter().map(|key| client.put(key.clone(), "v"));
    let stuck = futures_util::future::join_all(stuck);
    let env = crate::support::env(&world);
    let free = async {
        // All of the stuck group's numbers are in use by now.
        env.clock.sleep(Duration::from_secs(1)).await;
        let keys = crate::support::keys_of(&world, other, 100);
        let (results, took) = crate::support::timed(&env, async {
            futures_util::future::join_all(keys.iter().map(|key| client.put(key.clone(), "v"))).await
        })
        .await;
        assert!(results.iter().all(Result::is_ok));
        assert!(took < Duration::from_millis(10), "{took:?}");
    };
    let (stuck, ()) = tokio::join!(stuck, free);
    assert!(stuck.iter().all(Result::is_err));
}

/// The client id of a stamp.
fn id(stamp: &atoll_proto::v1::Session) -> (u64, u64) {
    (stamp.client_high, stamp.client_low)
}

#[tokio::test(start_paused = true)]
async fn numbers_are_counted_for_each_group() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    for group in [1, 2, 1, 2] {
        let key = crate::support::keys_of(&world, group, 1).remove(0);
        client.put(key, "v").await.unwrap();
    }
    let stamps = world.stamps();
    assert_eq!(
        stamps.iter().map(|stamp| stamp.seq).collect::<Vec<_>>(),
        [1, 1, 2, 2]
    );
    assert_eq!(id(&stamps[0]), id(&stamps[2]));
    assert_eq!(id(&stamps[1]), id(&stamps[3]));
    assert_ne!(id(&stamps[0]), id(&stamps[1]));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_done_keeps_its_number_when_its_slot_moves() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    let keys = crate::support::keys_of(&world, 1, 3);
    client.put(keys[0].clone(), "1").await.unwrap();
    let moving = world.clone();
    let mut first = true;
    world.script(move |_, item| match &item.operation {
        Some(Operation::Write(_)) if std::mem::take(&mut first) => Action::ServeAndCut,
        _ => Action::Serve,
    });
    let put = client.increment(keys[1].clone(), 5);
    let shift = async {
        while moving.stamps().len() < 2 {
            tokio::task::yield_now().await;
        }
        moving.move_slots(1, 2);
    };
    let (put, ()) = tokio::join!(put, shift);
    assert_eq!(put.unwrap(), 5, "from the record that moved along");
    assert_eq!(world.value(&keys[1]).unwrap(), "5", "done once");
    let stamps = world.stamps();
    assert_eq!((id(&stamps[1]), stamps[1].seq), (id(&stamps[2]), stamps[2].seq));
    // The next write to the slot has a number of its new group.
    client.put(keys[2].clone(), "1").await.unwrap();
    let last = *world.stamps().last().unwrap();
    assert_eq!(last.seq, 1);
    assert_ne!(id(&last), id(&stamps[1]));
}

#[tokio::test(start_paused = true)]
async fn a_write_refused_because_its_slot_moved_takes_a_number_of_the_new_group() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    let keys = crate::support::keys_of(&world, 1, 3);
    client.put(keys[0].clone(), "1").await.unwrap();
    world.move_slots(1, 2);
    // The client still asks group 1, which refuses.
    assert_eq!(client.increment(keys[1].clone(), 5).await.unwrap(), 5);
    let stamps = world.stamps();
    assert_eq!(stamps.len(), 2, "a refused write is not one");
    assert_ne!(id(&stamps[0]), id(&stamps[1]));
    assert_eq!((stamps[1].seq, stamps[1].ack), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_moved_write_that_the_new_group_knows_nothing_of_is_unknown() {
    let world = World::new(3, 2);
    let client = client(&world).await;
    let keys = crate::support::keys_of(&world, 1, 3);
    client.put(keys[0].clone(), "1").await.unwrap();
    let moving = world.clone();
    let mut first = true;
    world.script(move |_, item| match &item.operation {
        Some(Operation::Write(_)) if std::mem::take(&mut first) => Action::ServeAndCut,
        _ => Action::Serve,
    });
    let put = client.increment(keys[1].clone(), 5);
    let shift = async {
        while moving.stamps().len() < 2 {
            tokio::task::yield_now().await;
        }
        moving.move_slots(1, 2);
        moving.forget_sessions(2);
    };
    let (put, ()) = tokio::join!(put, shift);
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Unknown);
    assert_eq!(
        world.value(&keys[1]).unwrap(),
        "5",
        "not a second time under another number"
    );
    assert_eq!(
        client.stats().sessions_opened,
        1,
        "A's session is not opened in B"
    );
}
