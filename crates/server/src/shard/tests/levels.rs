//! What each level waits for, on a group of one whose clock the test moves.

use std::time::Duration;

use super::whole::{Whole, get};
use super::*;
use crate::shard::read::{Consistency, Mark, ReadBatch, ReadItem, WAIT_MAX, WAITING_MAX};
use crate::shard::reply::{Failure, Proof, Reply};

async fn leading() -> Whole {
    let env = Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        ..test_env(0)
    };
    Whole::leading_in(env).await
}

fn session(generation: u32, applied_index: u64) -> Consistency {
    Consistency::Session(Some(Mark {
        generation: GroupGen(generation),
        applied_index,
    }))
}

async fn read(whole: &Whole, consistency: Consistency) -> Reply {
    whole.answer(whole.read(1, consistency, get("k"))).await
}

fn proof(reply: &Reply) -> Proof {
    match reply {
        Reply::Value { proof, .. } | Reply::Written { proof, .. } => *proof,
        other => panic!("{other:?}"),
    }
}

fn value(reply: &Reply) -> &[u8] {
    match reply {
        Reply::Value {
            found: Some((_, value)),
            ..
        } => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_age_grows_with_the_clock_from_the_last_round_on() {
    let whole = leading().await;
    assert_eq!(proof(&read(&whole, Consistency::Linearizable).await).age_ms, 0);
    let first = proof(&read(&whole, Consistency::Eventual).await).age_ms;
    whole.env.clock.sleep(Duration::from_millis(900)).await;
    let second = proof(&read(&whole, Consistency::Eventual).await).age_ms;
    // 900 and a hundredth of it; timers of a millisecond and rounding up may add one each.
    assert!((909..=912).contains(&(second - first)), "{first} {second}");
    assert_eq!(whole.shard.age_ms(), Some(second));
    // Young enough is served at once, else a round is made.
    let rounds = whole.shard.info().read_rounds;
    let lax = proof(&read(&whole, Consistency::Bounded { max_age_ms: second }).await);
    assert_eq!((lax.age_ms, whole.shard.info().read_rounds), (second, rounds));
    let strict = proof(
        &read(
            &whole,
            Consistency::Bounded {
                max_age_ms: second - 1,
            },
        )
        .await,
    );
    assert_eq!((strict.age_ms, whole.shard.info().read_rounds), (0, rounds + 1));
    let fresh = proof(&read(&whole, Consistency::Bounded { max_age_ms: 0 }).await);
    assert_eq!((fresh.age_ms, whole.shard.info().read_rounds), (0, rounds + 2));
}

#[tokio::test(start_paused = true)]
async fn a_session_sees_its_write_by_the_index_of_the_reply() {
    let whole = leading().await;
    for number in 0..50 {
        let written = proof(&whole.submit(put("k", format!("{number}"))).await);
        let seen = read(&whole, session(1, written.applied_index)).await;
        assert_eq!(value(&seen), number.to_string().as_bytes());
        assert!(proof(&seen).applied_index >= written.applied_index);
        assert_eq!(proof(&seen).version, written.version);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_read_waits_until_what_it_has_seen_is_applied() {
    let whole = leading().await;
    let written = proof(&whole.submit(put("k", "old")).await);
    let next = session(1, written.applied_index + 1);
    whole.submit_reads(vec![
        whole.read(2, next, get("k")),
        whole.read(3, session(1, written.applied_index), get("k")),
        whole.read(4, session(1, written.applied_index + 2), get("k")),
    ]);
    let now = whole.inbox.wait(1).await;
    assert_eq!(now.keys().collect::<Vec<_>>(), [&3]);
    whole.env.clock.sleep(Duration::from_secs(5)).await;
    assert!(whole.inbox.replies.lock().is_empty());
    whole.submit_reads(vec![whole.read(5, Consistency::Session(None), get("k"))]);
    assert_eq!(
        value(&whole.inbox.one().await),
        b"old",
        "who has seen nothing waits for nothing"
    );
    let mut replies = BTreeMap::new();
    whole.shard.submit_writes(vec![whole.write(1, put("k", "new"))]);
    while replies.len() < 2 {
        replies.extend(whole.inbox.wait(1).await);
    }
    assert_eq!(value(&replies[&2]), b"new");
    assert!(whole.inbox.replies.lock().is_empty(), "one more entry is missing");
    whole
        .shard
        .submit_writes(vec![whole.write(6, put("k", "newest"))]);
    while replies.len() < 4 {
        replies.extend(whole.inbox.wait(1).await);
    }
    assert_eq!(value(&replies[&4]), b"newest");
}

#[tokio::test(start_paused = true)]
async fn a_session_read_that_waits_in_vain_says_how_far_behind_the_replica_is() {
    let whole = leading().await;
    let written = proof(&whole.submit(put("k", "old")).await);
    let began = whole.env.clock.now();
    let patient = whole.read(1, session(1, 1000), get("k"));
    let hasty = ReadItem {
        deadline: began + Duration::from_millis(200),
        ..whole.read(2, session(1, 1000), get("k"))
    };
    whole.submit_reads(vec![patient, hasty]);
    let first = whole.inbox.wait(1).await;
    let waited = whole.env.clock.now().since(began);
    assert!(
        waited <= Duration::from_millis(200),
        "in time for its caller: {waited:?}"
    );
    assert!(waited >= Duration::from_millis(150), "{waited:?}");
    let Reply::Failed(Failure::Unavailable(why)) = &first[&2] else {
        panic!("{first:?}")
    };
    assert!(
        why.contains("entry 1000") && why.contains(&format!("applied {} only", written.applied_index)),
        "{why}"
    );
    let second = whole.inbox.wait(1).await;
    assert!(
        matches!(second[&1], Reply::Failed(Failure::Unavailable(_))),
        "{second:?}"
    );
    assert!(whole.env.clock.now().since(began) >= Duration::from_secs(29));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_comes_later_and_gives_up_earlier_is_refused_in_time() {
    let whole = leading().await;
    whole.submit_reads(vec![whole.read(1, session(1, 1000), get("k"))]);
    whole.env.clock.sleep(Duration::from_secs(1)).await;
    let began = whole.env.clock.now();
    let hasty = ReadItem {
        deadline: began + Duration::from_millis(200),
        ..whole.read(2, session(1, 1000), get("k"))
    };
    whole.submit_reads(vec![hasty]);
    let first = whole.inbox.wait(1).await;
    let waited = whole.env.clock.now().since(began);
    assert!(first.contains_key(&2), "{first:?}");
    assert!(waited <= Duration::from_millis(200), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_applied_before_its_read_stands_in_the_queue_is_not_waited_for() {
    let whole = leading().await;
    let written = proof(&whole.submit(put("k", "v")).await);
    whole.submit_reads(vec![whole.read(1, session(1, 1000), get("k"))]);
    whole.env.clock.sleep(Duration::from_secs(1)).await;
    let began = whole.env.clock.now();
    // As if the entry had been applied between the look at the state and this.
    let item = whole.read(2, session(1, written.applied_index), get("k"));
    let batch = ReadBatch::new(vec![item], whole.inbox.clone());
    whole.shard.wait_for_entry(written.applied_index, batch);
    let first = whole.inbox.wait(1).await;
    assert_eq!(value(&first[&2]), b"v");
    assert!(whole.env.clock.now().since(began) <= Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_never_reached_holds_its_place_for_a_bounded_time() {
    let whole = leading().await;
    let began = whole.env.clock.now();
    let endless = ReadItem {
        deadline: began + Duration::from_secs(50 * 24 * 3600),
        ..whole.read(1, session(1, u64::MAX), get("k"))
    };
    let refused = whole.answer(endless).await;
    assert!(
        matches!(refused, Reply::Failed(Failure::Unavailable(_))),
        "{refused:?}"
    );
    assert!(whole.env.clock.now().since(began) <= WAIT_MAX);
}

#[tokio::test(start_paused = true)]
async fn marks_of_other_incarnations_are_never_compared_by_index() {
    let whole = leading().await;
    whole.submit(put("k", "v")).await;
    let newer = read(&whole, session(2, 0)).await;
    assert!(
        matches!(&newer, Reply::Failed(Failure::Unavailable(why)) if why.contains("incarnation 2")),
        "{newer:?}"
    );
    let rounds = whole.shard.info().read_rounds;
    let older = read(&whole, session(0, 0)).await;
    assert_eq!(value(&older), b"v");
    assert_eq!(
        whole.shard.info().read_rounds,
        rounds + 1,
        "the newest state there is"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_session_reads_wait_than_the_bound() {
    let whole = leading().await;
    let count = WAITING_MAX as u64;
    for chunk in 0..16 {
        let ids = (chunk * count / 16..(chunk + 1) * count / 16).map(|id| id + 10);
        let items = ids.map(|id| whole.read(id, session(1, 1000 + id % 7), get("k")));
        whole.submit_reads(items.collect());
    }
    let refused = whole.answer(whole.read(1, session(1, 1000), get("k"))).await;
    assert!(
        matches!(refused, Reply::Failed(Failure::Overloaded { .. })),
        "{refused:?}"
    );
    let replies = whole.inbox.wait(WAITING_MAX).await;
    assert!(
        replies
            .values()
            .all(|reply| matches!(reply, Reply::Failed(Failure::Unavailable(_))))
    );
    whole.submit_reads(vec![whole.read(2, session(1, 1000), get("k"))]);
    whole.env.clock.sleep(Duration::from_secs(1)).await;
    assert!(whole.inbox.replies.lock().is_empty(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn levels_without_a_round_refuse_slots_that_are_not_owned() {
    let whole = leading().await;
    let mark = session(1, 1);
    for consistency in [
        Consistency::Eventual,
        Consistency::Bounded { max_age_ms: 60_000 },
        mark,
    ] {
        let item = ReadItem {
            slot_epoch: Epoch(EPOCH.0 + 1),
            ..whole.read(1, consistency, get("k"))
        };
        let refused = whole.answer(item).await;
        assert!(
            matches!(refused, Reply::Failed(Failure::NotOwner { .. })),
            "{refused:?}"
        );
    }
}
