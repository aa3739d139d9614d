//! Writes that compute, many writes at once, and deleting ranges.

use std::time::Duration;

use atoll_client::{Bytes, Committed, ErrorKind};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::write_op::Kind as OpKind;

use crate::support::{Action, World, client, env, error, keys_of, timed};

#[tokio::test(start_paused = true)]
async fn numbers_are_added_and_compared_where_they_are_stored() {
    let world = World::new(3, 3);
    let client = client(&world).await;
    assert_eq!(client.increment("n", 5).await.unwrap(), 5);
    assert_eq!(client.increment("n", -7).await.unwrap(), -2);
    assert_eq!(client.store_max("n", 10).await.unwrap(), 10);
    assert_eq!(client.store_max("n", 3).await.unwrap(), 10);
    assert_eq!(client.store_min("n", 4).await.unwrap(), 4);
    assert_eq!(world.value("n").unwrap(), "4");
    assert_eq!(client.append("log", "ab").await.unwrap(), 2);
    assert_eq!(client.append("log", "cde").await.unwrap(), 5);
    assert_eq!(world.value("log").unwrap(), "abcde");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_does_not_count_twice() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.increment("n", 1).await.unwrap();
    world.writes_meet([Action::ServeAndCut, Action::ServeAndCut]);
    assert_eq!(client.increment("n", 1).await.unwrap(), 2);
    world.writes_meet([Action::ServeAndCut]);
    assert_eq!(client.append("n", "0").await.unwrap(), 2);
    assert_eq!(world.value("n").unwrap(), "20");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_told_with_the_key_and_changes_nothing() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    client.put("{t}word", "seven").await.unwrap();
    client.put("{t}high", i64::MAX.to_string()).await.unwrap();
    let not_a_number = client.increment("{t}word", 1).await.unwrap_err();
    assert_eq!(not_a_number.kind(), ErrorKind::Invalid);
    assert!(
        not_a_number
            .message()
            .contains("\"{t}word\" is not a decimal number"),
        "{not_a_number}"
    );
    let overflow = client.increment("{t}high", 1).await.unwrap_err();
    assert!(overflow.message().contains("\"{t}high\""), "{overflow}");
    let batch = client
        .batch()
        .put("{t}a", "1")
        .increment("{t}word", 1)
        .commit()
        .await
        .unwrap_err();
    assert_eq!(batch.kind(), ErrorKind::Invalid);
    assert!(batch.message().contains("{t}word"), "{batch}");
    assert_eq!(world.value("{t}a"), None, "all or none");
    let done = client
        .batch()
        .increment("{t}n", 2)
        .store_max("{t}m", 7)
        .store_min("{t}l", 7)
        .append("{t}s", "x")
        .commit()
        .await
        .unwrap();
    assert!(matches!(done, Committed::Done(_)));
    assert_eq!(world.value("{t}m").unwrap(), "7");
    let some = client
        .batch()
        .delete_range("{t}l", "{t}n", 1)
        .commit()
        .await
        .unwrap();
    assert!(matches!(some, Committed::Done(_)));
    assert_eq!((world.value("{t}l"), world.value("{t}m").is_some()), (None, true));
    let none = client
        .batch()
        .delete_range("{t}l", "{t}n", 0)
        .commit()
        .await
        .unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_range_is_deleted_page_by_page() {
    let world = World::new(3, 3);
    let client = client(&world).await;
    let row = |n: u32| (Bytes::from(format!("a:{{7}}:{n:05}")), Bytes::from("v"));
    let mut rows: Vec<_> = (0..9_000).map(row).collect();
    rows.push(("a:{7};".into(), "stays".into()));
    for outcome in client.multi_put(rows).await {
        outcome.unwrap();
    }
    let writes = world.applied();
    assert_eq!(client.delete_range("a:{7}:", "a:{7};").await.unwrap(), 9_000);
    assert_eq!(world.applied() - writes, 3, "pages of 4,096");
    assert_eq!(client.delete_range("a:{7}:", "a:{7};").await.unwrap(), 0);
    assert_eq!(world.value("a:{7};").unwrap(), "stays");
    let apart = client.delete_range("a", "b").await.unwrap_err();
    assert!(
        apart.kind() == ErrorKind::Invalid && apart.message().contains("{tag}"),
        "{apart}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_range_half_deleted_is_not_called_untouched() {
    let world = World::new(3, 1);
    let client = client(&world).await;
    let rows = (0..5_000)
        .map(|n| (Bytes::from(format!("{{7}}{n:05}")), Bytes::from("v")))
        .collect();
    for outcome in client.multi_put(rows).await {
        outcome.unwrap();
    }
    let mut pages = 0;
    world.script(move |_, item| match &item.operation {
        Some(Operation::Write(write)) if write.ops[0].kind() == OpKind::DeleteRange => {
            pages += 1;
            if pages == 2 {
                Action::Refuse(error(Kind::Corrupt))
            } else {
                Action::Serve
            }
        }
        _ => Action::Serve,
    });
    let half = client.delete_range("{7}", "{7}~").await.unwrap_err();
    assert_eq!(half.kind(), ErrorKind::Unknown);
    assert!(half.message().contains("4096 keys"), "{half}");
    assert_eq!(client.delete_range("{7}", "{7}~").await.unwrap(), 904);
}

#[tokio::test(start_paused = true)]
async fn many_puts_answer_one_by_one_in_order() {
    let world = World::new(3, 4);
    let client = client(&world).await;
    let bad_group = 2;
    let owned = world.clone();
    world.script(move |_, item| match (&item.operation, item.group == bad_group) {
        (Some(Operation::Write(_)), true) => Action::Refuse(error(Kind::Corrupt)),
        _ => Action::Serve,
    });
    let mut rows: Vec<(Bytes, Bytes)> = (0..2_000)
        .map(|n| (Bytes::from(format!("k{n}")), Bytes::from(format!("{n}"))))
        .collect();
    rows[7].0 = Bytes::new();
    let outcomes = client.multi_put(rows.clone()).await;
    assert_eq!(outcomes.len(), rows.len());
    for (place, (outcome, (key, value))) in outcomes.iter().zip(&rows).enumerate() {
        if place == 7 {
            assert_eq!(outcome.as_ref().unwrap_err().kind(), ErrorKind::Invalid);
        } else if owned.group_of(key) == bad_group {
            assert_eq!(outcome.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
        } else {
            let stored = client.get(key.clone()).await.unwrap().unwrap();
            assert_eq!(
                (&stored.bytes, stored.version),
                (value, *outcome.as_ref().unwrap())
            );
        }
    }
    assert!(client.multi_put(Vec::new()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_puts_share_frames_and_a_stuck_group_fails_alone() {
    let world = World::new(1, 2);
    let client = client(&world).await.with_deadline(Duration::from_secs(2));
    let rows: Vec<(Bytes, Bytes)> = (0..1_024)
        .map(|n| (Bytes::from(format!("k{n}")), Bytes::from("v")))
        .collect();
    client.put("warm", "up").await.unwrap();
    for outcome in client.multi_put(rows.clone()).await {
        outcome.unwrap();
    }
    let frames = world.frames().len();
    assert!(frames < 100, "{frames} frames for 1,024 puts");
    world.script(|_, item| {
        if item.group == 1 {
            Action::Ignore
        } else {
            Action::Serve
        }
    });
    let good = keys_of(&world, 2, 40);
    let stuck = keys_of(&world, 1, 40);
    let mixed = good
        .iter()
        .zip(&stuck)
        .flat_map(|(a, b)| [a, b])
        .map(|key| (Bytes::from(key.clone()), Bytes::from("w")));
    let (outcomes, took) = timed(&env(&world), client.multi_put(mixed.collect())).await;
    assert!(outcomes.iter().step_by(2).all(Result::is_ok));
    assert!(
        outcomes
            .iter()
            .skip(1)
            .step_by(2)
            .all(|outcome| outcome.as_ref().unwrap_err().kind() == ErrorKind::Unknown)
    );
    assert!(took < Duration::from_millis(2_200), "{took:?}");
}
