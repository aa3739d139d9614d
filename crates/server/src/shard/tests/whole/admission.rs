//! What is not taken into the log, and what is said of it.

use atoll_types::limits::PROPOSER_COMMANDS_MAX;

use super::*;

fn put_after(after: Version) -> Command {
    Command {
        after,
        ..put("k", "v")
    }
}

#[tokio::test]
async fn admission_refuses_what_cannot_be_done_and_says_why() {
    let whole = Whole::leading().await;
    let far = Version::from_millis(whole.env.clock.wall_ms() + 120_000);
    let reply = whole.submit(put_after(far)).await;
    assert!(
        matches!(&reply, Reply::Failed(Failure::Unavailable(why)) if why.contains("clock")),
        "{reply:?}"
    );

    let near = Version::from_millis(whole.env.clock.wall_ms() + 30_000);
    let reply = whole.submit(put_after(near)).await;
    assert!(
        matches!(reply, Reply::Written { version, .. } if version > near),
        "{reply:?}"
    );

    let twice = Command {
        ops: [put("k", "a").ops, put("k", "b").ops].concat(),
        ..put("k", "v")
    };
    assert!(matches!(
        whole.submit(twice).await,
        Reply::Failed(Failure::Invalid(_))
    ));

    let mut late = whole.write(1, put("k", "v"));
    late.deadline = whole.env.clock.now();
    whole.shard.submit_writes(vec![late]);
    assert_eq!(whole.inbox.one().await, Reply::Failed(Failure::Deadline));
}

#[tokio::test]
async fn a_full_queue_takes_nothing_and_says_when_to_come_back() {
    let whole = Whole::leading().await;
    let count = PROPOSER_COMMANDS_MAX as u64 + 1;
    let command = put("k", "v");
    let items = (0..count).map(|id| whole.write(id, command.clone())).collect();
    whole.shard.submit_writes(items);
    let replies = whole.inbox.wait(count as usize).await;
    let shed = |reply: &Reply| matches!(reply, Reply::Failed(Failure::Overloaded { retry_after_ms, .. }) if *retry_after_ms > 0);
    assert!(replies.values().all(shed));
    assert_eq!(whole.shard.info().commands, 0);
}

#[tokio::test]
async fn without_a_leader_or_slots_nothing_is_taken() {
    let whole = Whole::start().await;
    assert!(!whole.shard.is_ready());
    let reply = whole.submit(put("k", "v")).await;
    assert_eq!(
        reply,
        Reply::Failed(Failure::NotLeader {
            group: group(),
            leader: None
        })
    );
    let read = whole.read(1, Consistency::Linearizable, get("k"));
    let reply = whole.answer(read).await;
    assert!(
        matches!(
            reply,
            Reply::Failed(Failure::NotLeader { .. } | Failure::Unavailable(_))
        ),
        "{reply:?}"
    );
    let read = whole.read(1, Consistency::Eventual, get("k"));
    assert!(matches!(
        whole.answer(read).await,
        Reply::Failed(Failure::Unavailable(_))
    ));
}

#[tokio::test]
async fn slots_of_others_are_refused_before_anything_is_queued() {
    let whole = Whole::start().await;
    whole.elect().await;
    let slot = slot_of(b"foo");
    whole.shard.genesis(&[(slot.0, slot.0)], EPOCH).await.unwrap();
    whole.shard.genesis(&[(slot.0, slot.0)], EPOCH).await.unwrap();
    assert!(whole.shard.genesis(&[ALL_SLOTS], EPOCH).await.is_err());
    assert_eq!(whole.shard.state.ownerships.newest().epoch(slot), Some(EPOCH));
    whole.written(put("foo", "v")).await;
    let reply = whole.submit(put("bar", "v")).await;
    assert!(
        matches!(reply, Reply::Failed(Failure::NotOwner { slot, .. }) if slot == slot_of(b"bar")),
        "{reply:?}"
    );
    assert_eq!(whole.shard.info().commands, 1);
}
