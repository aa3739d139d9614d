//! Multi-gets, batches and scans.

use atoll_client::{Bytes, Committed, ScanOptions, Version};
use atoll_env::Rng;

use crate::support::{Action, World, client, error};
use atoll_proto::v1::error_detail::Kind;

#[tokio::test(start_paused = true)]
async fn a_multi_get_answers_in_the_order_asked_over_groups_and_pages() {
    let world = World::new(3, 5);
    let client = client(&world).await;
    for number in (0..500).step_by(2) {
        client
            .put(format!("k{number}"), format!("v{number}"))
            .await
            .unwrap();
    }
    world.set_page_rows(7);
    let keys: Vec<Bytes> = (0..500)
        .rev()
        .map(|number| Bytes::from(format!("k{number}")))
        .collect();
    let values = client.multi_get(keys).await.unwrap();
    assert_eq!(values.len(), 500);
    for (value, number) in values.iter().zip((0..500).rev()) {
        let expected = (number % 2 == 0).then(|| format!("v{number}"));
        assert_eq!(
            value.as_ref().map(|value| &value.bytes[..]),
            expected.as_deref().map(str::as_bytes)
        );
    }
    assert!(client.multi_get(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_multi_get_follows_a_move() {
    let world = World::new(3, 3);
    let client = client(&world).await;
    let keys: Vec<Bytes> = (0..90).map(|number| Bytes::from(format!("k{number}"))).collect();
    for key in &keys {
        client.put(key.clone(), key.clone()).await.unwrap();
    }
    world.move_slots(2, 3);
    for (value, key) in client.multi_get(keys.clone()).await.unwrap().iter().zip(&keys) {
        assert_eq!(value.as_ref().unwrap().bytes, key);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_all_or_none_behind_its_guards() {
    let world = World::new(3, 3);
    let client = client(&world).await;
    let done = client
        .batch()
        .put("{t}a", "1")
        .put("{t}b", "2")
        .delete("{t}c")
        .commit()
        .await
        .unwrap();
    let Committed::Done(version) = done else {
        panic!("{done:?}")
    };
    let a = client.get("{t}a").await.unwrap().unwrap();
    assert_eq!((a.version, &a.bytes[..]), (version, &b"1"[..]));
    let refused = client
        .batch()
        .expect_version("{t}a", Some(version))
        .expect_version("{t}b", None);
    let refused = refused.put("{t}a", "3").commit().await.unwrap();
    assert_eq!(
        refused,
        Committed::Conflict {
            guard: 1,
            actual: Some(version)
        }
    );
    assert_eq!(world.value("{t}a").unwrap(), "1");
    let guarded = |newest| {
        client
            .batch()
            .expect_range_unchanged("{t}", "{t~", newest)
            .put("{t}a", "4")
    };
    assert!(matches!(
        guarded(Version::ZERO).commit().await.unwrap(),
        Committed::Conflict { guard: 0, .. }
    ));
    assert!(matches!(
        guarded(version).commit().await.unwrap(),
        Committed::Done(_)
    ));
}

async fn filled(groups: u64, rows: u32) -> (std::sync::Arc<World>, atoll_client::Client, Vec<Bytes>) {
    let world = World::new(3, groups);
    let client = client(&world).await;
    let rng = Rng::seeded(3);
    let mut keys: Vec<Bytes> = (0..rows)
        .map(|_| Bytes::from(format!("{:04x}", rng.below(65_536))))
        .collect();
    for key in &keys {
        client.put(key.clone(), key.clone()).await.unwrap();
    }
    keys.sort();
    keys.dedup();
    (world, client, keys)
}

fn ascending(mut keys: Vec<Bytes>, reverse: bool) -> Vec<Bytes> {
    if reverse {
        keys.reverse();
    }
    keys
}

#[tokio::test(start_paused = true)]
async fn a_scan_merges_all_groups_in_key_order() {
    let (world, client, keys) = filled(6, 700).await;
    for page in [1, 3, 1_000] {
        world.set_page_rows(page);
        for reverse in [false, true] {
            let options = ScanOptions {
                reverse,
                page_rows: 50,
                ..ScanOptions::default()
            };
            let rows = client.scan(options).collect().await.unwrap();
            let found: Vec<Bytes> = rows.iter().map(|row| row.key.clone()).collect();
            assert!(
                rows.iter()
                    .all(|row| row.value == row.key && row.version > Version::ZERO)
            );
            assert_eq!(ascending(found, reverse), keys);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_keeps_to_its_bounds_limit_and_page_size() {
    let (_, client, keys) = filled(4, 300).await;
    let options = ScanOptions {
        page_rows: 40,
        limit: Some(100),
        ..ScanOptions::range("4", "c")
    };
    let expected: Vec<_> = keys
        .iter()
        .filter(|key| key[..] >= b"4"[..] && key[..] < b"c"[..])
        .collect();
    let mut scan = client.scan(options.clone());
    let mut pages = Vec::new();
    while let Some(page) = scan.next_page().await.unwrap() {
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 20]);
    assert!(
        pages
            .iter()
            .flatten()
            .map(|row| &row.key)
            .eq(expected.iter().copied().take(100))
    );
    let down = ScanOptions {
        reverse: true,
        keys_only: true,
        limit: None,
        ..options
    };
    let rows = client.scan(down).collect().await.unwrap();
    assert!(rows.iter().map(|row| &row.key).eq(expected.iter().copied().rev()));
    assert!(rows.iter().all(|row| row.value.is_empty()));
    let prefixed = client.scan(ScanOptions::prefix("a")).collect().await.unwrap();
    assert!(
        prefixed
            .iter()
            .map(|row| &row.key)
            .eq(keys.iter().filter(|key| key.starts_with(b"a")))
    );
    assert!(
        client
            .scan(ScanOptions::range("b", "a"))
            .collect()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_scan_neither_misses_nor_repeats_rows_when_slots_move_under_it() {
    for reverse in [false, true] {
        let (world, client, keys) = filled(5, 500).await;
        world.set_page_rows(20);
        let mut scan = client.scan(ScanOptions {
            page_rows: 60,
            reverse,
            ..ScanOptions::default()
        });
        // Group 5 to itself moves nothing.
        let mut moves = [(5, 5), (1, 2), (5, 5), (2, 3), (4, 1)].into_iter();
        let mut found = Vec::new();
        while let Some(page) = scan.next_page().await.unwrap() {
            found.extend(page.into_iter().map(|row| row.key));
            moves
                .next()
                .into_iter()
                .for_each(|(from, to)| world.move_slots(from, to));
        }
        assert_eq!(moves.next(), None, "every move happened while the scan went on");
        assert_eq!(ascending(found, reverse), keys);
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_goes_on_after_an_error() {
    let (world, client, keys) = filled(3, 200).await;
    // Every replica is asked, and each refuses: else there would be no error.
    world.serve_reads_everywhere();
    world.set_page_rows(10);
    let mut scan = client.scan(ScanOptions {
        page_rows: 25,
        ..ScanOptions::default()
    });
    let mut found = Vec::new();
    let mut errors = 0;
    let mut pages = 0;
    loop {
        if pages % 2 == 1 {
            world.script(|_, _| Action::Refuse(error(Kind::Corrupt)));
        }
        match scan.next_page().await {
            Ok(Some(page)) => found.extend(page.into_iter().map(|row| row.key)),
            Ok(None) => break,
            Err(_) => errors += 1,
        }
        pages += 1;
        world.script(|_, _| Action::Serve);
    }
    assert!(errors > 2);
    assert_eq!(found, keys);
}
