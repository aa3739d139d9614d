//! Scans, streams and counts, while slots move and maps are old.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atoll_client::{Bytes, Client, Consistency, ErrorKind, ScanOptions};
use atoll_env::Rng;
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_types::Version;
use futures_util::{StreamExt, TryStreamExt};

use crate::support::{Action, World, client, env, error, timed};

async fn filled(groups: u64, rows: u32, seed: u64) -> (Arc<World>, Client, BTreeSet<Bytes>) {
    let world = World::new(3, groups);
    world.serve_reads_everywhere();
    let client = client(&world).await;
    let rng = Rng::seeded(seed);
    let keys: BTreeSet<Bytes> = (0..rows)
        .map(|_| Bytes::from(format!("{:05x}", rng.below(1 << 20))))
        .collect();
    let rows = keys.iter().map(|key| (key.clone(), key.clone())).collect();
    for outcome in client.multi_put(rows).await {
        outcome.unwrap();
    }
    (world, client, keys)
}

/// Moves a random run of slots to a random group.
fn move_something(world: &World, groups: u64, rng: &Rng) {
    let first = rng.below(16_384) as u32;
    let last = (first + rng.below(4_000) as u32).min(16_383);
    world.move_run(first, last, 1 + rng.below(groups));
}

async fn moves_now_and_then(world: &World, groups: u64, rng: &Rng) {
    for _ in 0..20 {
        move_something(world, groups, rng);
        for _ in 0..rng.below(4) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn random_moves_under_a_scan_lose_nothing_and_repeat_nothing() {
    for seed in 0..12 {
        let rng = Rng::seeded(seed);
        let groups = 2 + rng.below(5);
        let (world, client, keys) = filled(groups, 400, seed).await;
        world.set_page_rows(1 + rng.below(40) as usize);
        let levels = [Consistency::Linearizable, Consistency::Eventual];
        let options = ScanOptions {
            page_rows: 1 + rng.below(60) as u32,
            reverse: rng.below(2) == 0,
            keys_only: rng.below(2) == 0,
            limit: (rng.below(3) == 0).then(|| rng.below(400)),
            ..ScanOptions::default()
        };
        let client = client.with_consistency(levels[rng.below(2) as usize].clone());
        let expected: Vec<&Bytes> = if options.reverse {
            keys.iter().rev().collect()
        } else {
            keys.iter().collect()
        };
        let limit = options.limit.map_or(expected.len(), |limit| limit as usize);
        let moving = Arc::clone(&world);
        let dice = Rng::seeded(seed + 1_000);
        // Slots move between any two requests, so that groups of one round disagree.
        let pending = Arc::new(AtomicU64::new(0));
        let due = Arc::clone(&pending);
        world.script(move |_, item| {
            let moves = matches!(item.operation, Some(Operation::Scan(_))) && dice.below(12) == 0;
            due.fetch_add(u64::from(moves), Relaxed);
            Action::Serve
        });
        let mut rows = client.scan(options.clone()).rows();
        let mut found = Vec::new();
        while let Some(row) = rows.next().await {
            let row = row.unwrap();
            assert_eq!(row.value.is_empty(), options.keys_only);
            found.push(row.key);
            let due = pending.swap(0, Relaxed);
            (0..due).for_each(|_| move_something(&moving, groups, &rng));
        }
        let expected: Vec<&Bytes> = expected.into_iter().take(limit).collect();
        assert_eq!(
            found.iter().collect::<Vec<_>>(),
            expected,
            "seed {seed}, {options:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn random_moves_under_a_count_change_nothing() {
    for seed in 0..12 {
        let rng = Rng::seeded(seed);
        let groups = 2 + rng.below(5);
        let (world, client, keys) = filled(groups, 400, seed).await;
        world.set_page_rows(1 + rng.below(40) as usize);
        let mover = moves_now_and_then(&world, groups, &rng);
        let (count, ()) = tokio::join!(client.count(ScanOptions::default()), mover);
        assert_eq!(count.unwrap(), keys.len() as u64, "seed {seed}");
        let limited = ScanOptions {
            limit: Some(17),
            ..ScanOptions::default()
        };
        assert_eq!(client.count(limited).await.unwrap(), 17);
        let part = ScanOptions {
            reverse: true,
            ..ScanOptions::range("4", "c")
        };
        let inside = keys.range(Bytes::from("4")..Bytes::from("c")).count();
        assert_eq!(client.count(part).await.unwrap(), inside as u64);
        assert_eq!(client.count(ScanOptions::range("b", "a")).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_sends_no_rows() {
    let (world, client, keys) = filled(3, 300, 1).await;
    world.script(|_, item| match &item.operation {
        Some(Operation::Scan(scan)) => {
            assert!(scan.count_only && !scan.slots.is_empty());
            Action::Serve
        }
        _ => Action::Serve,
    });
    assert_eq!(
        client.count(ScanOptions::default()).await.unwrap(),
        keys.len() as u64
    );
}

#[tokio::test(start_paused = true)]
async fn a_scan_of_many_groups_holds_at_most_a_page_of_each() {
    let (world, client, keys) = filled(8, 8_000, 2).await;
    let asked = Arc::new(parking_lot::Mutex::new(0_u64));
    let counted = Arc::clone(&asked);
    world.script(move |_, item| {
        if let Some(Operation::Scan(scan)) = &item.operation {
            *counted.lock() += u64::from(scan.limit);
        }
        Action::Serve
    });
    let mut scan = client.scan(ScanOptions {
        page_rows: 100,
        ..ScanOptions::default()
    });
    let mut taken = 0;
    while let Some(page) = scan.next_page().await.unwrap() {
        taken += page.len() as u64;
        let ahead = *asked.lock() - taken;
        assert!(ahead <= 8 * 100, "{ahead} rows ahead of the reader");
    }
    assert_eq!(taken, keys.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_scan_fetches_ahead_while_the_caller_is_busy() {
    let (world, client, keys) = filled(4, 4_000, 3).await;
    for node in ["n1", "n2", "n3"] {
        world.set_delay(node, Duration::from_millis(20));
    }
    let env = env(&world);
    let busy = async {
        let mut rows = 0;
        let mut scan = client.scan(ScanOptions {
            page_rows: 100,
            ..ScanOptions::default()
        });
        while let Some(page) = scan.next_page().await.unwrap() {
            rows += page.len();
            env.clock.sleep(Duration::from_millis(20)).await;
        }
        rows
    };
    let (rows, took) = timed(&env, busy).await;
    assert_eq!(rows, keys.len());
    // 40 pages: 20 ms of work each; waiting for the fetches as well would double it.
    assert!(took < Duration::from_millis(40 * 20 * 3 / 2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_not_punished_for_what_was_fetched_ahead() {
    let (world, client, keys) = filled(3, 500, 4).await;
    let mut scan = client.scan(ScanOptions {
        page_rows: 40,
        ..ScanOptions::default()
    });
    let mut found = Vec::new();
    let mut pages = 0;
    while let Some(page) = scan.next_page().await.unwrap() {
        found.extend(page.into_iter().map(|row| row.key));
        pages += 1;
        if pages == 3 {
            // What is under way now is never answered in its time.
            world.script(|_, _| Action::Ignore);
        }
        env(&world).clock.sleep(Duration::from_secs(20)).await;
        world.script(|_, _| Action::Serve);
    }
    assert!(found.iter().eq(&keys));
}

#[tokio::test(start_paused = true)]
async fn a_scan_left_alone_does_not_hold_up_closing() {
    let (world, client, _) = filled(3, 500, 5).await;
    let mut scan = client.scan(ScanOptions {
        page_rows: 40,
        ..ScanOptions::default()
    });
    scan.next_page().await.unwrap();
    let ((), took) = timed(&env(&world), client.close()).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    let rest = scan.collect().await;
    assert_eq!(rest.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_page_given_up_at_any_point_is_asked_for_again() {
    let (world, client, keys) = filled(4, 300, 6).await;
    for node in ["n1", "n2", "n3"] {
        world.set_delay(node, Duration::from_millis(3));
    }
    world.set_page_rows(9);
    let env = env(&world);
    let mut scan = client.scan(ScanOptions {
        page_rows: 25,
        ..ScanOptions::default()
    });
    let mut found = Vec::new();
    let mut given_up = 0;
    loop {
        match env
            .clock
            .timeout(Duration::from_millis(2), scan.next_page())
            .await
        {
            Err(_) => given_up += 1,
            Ok(Ok(Some(page))) => found.extend(page.into_iter().map(|row| row.key)),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert!(given_up > 10);
    assert!(found.iter().eq(&keys));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_or_tells_its_error_and_goes_on() {
    let (world, client, keys) = filled(3, 200, 7).await;
    let all: Vec<_> = client
        .scan(ScanOptions::default())
        .rows()
        .try_collect()
        .await
        .unwrap();
    assert!(all.iter().map(|row| &row.key).eq(&keys));
    let empty = client.scan(ScanOptions::range("b", "a")).rows();
    assert_eq!(empty.count().await, 0);
    let mut rows = client
        .scan(ScanOptions {
            page_rows: 10,
            ..ScanOptions::default()
        })
        .rows();
    let mut found = Vec::new();
    let mut errors = 0;
    while let Some(row) = rows.next().await {
        match row {
            Ok(row) => found.push(row.key),
            Err(_) => errors += 1,
        }
        world.script(move |_, _| Action::Serve);
        if found.len() % 20 == 10 && errors < 3 {
            world.script(|_, _| Action::Refuse(error(Kind::Corrupt)));
        }
    }
    assert!(errors > 0);
    assert!(found.iter().eq(&keys));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_lies_about_order_or_bounds_is_found_out() {
    let (world, client, _) = filled(1, 50, 8).await;
    world.script(|_, _| Action::Serve);
    world.spoil_scans(true);
    let error = client
        .scan(ScanOptions::range("0", "9"))
        .collect()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
}

#[tokio::test(start_paused = true)]
async fn every_page_of_a_scan_at_a_version_is_asked_for_at_it() {
    let (world, client, keys) = filled(4, 400, 7).await;
    world.set_page_rows(10);
    let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let (moved, rng) = (Arc::clone(&world), Rng::seeded(7));
    world.script(move |_, item| {
        if let Some(Operation::Scan(scan)) = &item.operation {
            noted
                .lock()
                .push(scan.options.as_ref().map_or(0, |options| options.at_version));
        }
        Action::Serve
    });
    let then = client.at_version(Version(9));
    let mut scan = then.scan(ScanOptions::default());
    let mut rows = 0;
    while let Some(page) = scan.next_page().await.unwrap() {
        rows += page.len();
        // What comes after a refusal and a new map is of the same version too.
        move_something(&moved, 4, &rng);
    }
    assert_eq!(rows, keys.len());
    assert_eq!(
        then.count(ScanOptions::default()).await.unwrap(),
        keys.len() as u64
    );
    let asked = std::mem::take(&mut *asked.lock());
    assert!(asked.len() > 50, "{}", asked.len());
    assert!(asked.iter().all(|at| *at == 9), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scan_whose_version_has_passed_ends_at_once_and_says_so() {
    let (world, client, keys) = filled(3, 300, 8).await;
    world.set_page_rows(10);
    let pages = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&pages);
    world.script(move |_, item| match &item.operation {
        Some(Operation::Scan(_)) if counted.fetch_add(1, Relaxed) >= 9 => {
            Action::Refuse(error(Kind::Compacted))
        }
        _ => Action::Serve,
    });
    let mut scan = client.at_version(Version(9)).scan(ScanOptions::default());
    let mut rows = 0;
    let failed = loop {
        match scan.next_page().await {
            Ok(page) => rows += page.expect("it does not come to its end").len(),
            Err(error) => break error,
        }
    };
    assert!(rows < keys.len(), "{rows}");
    assert_eq!(failed.kind(), ErrorKind::Compacted);
    // Nothing is tried again: what is gone does not come back.
    assert!(pages.load(Relaxed) <= 12, "{}", pages.load(Relaxed));
}
