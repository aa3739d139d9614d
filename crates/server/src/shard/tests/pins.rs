//! Reads that hold on to their view for long.

use std::time::Duration;

use super::whole::Whole;
use super::*;
use crate::shard::read::{Consistency, LOOK_EVERY, PIN_MAX, ReadBatch, ReadOp, ScanOp, SlotSet, Stand};
use crate::shard::reply::{Replies, Reply};
use crate::shard::rows_view::RowsView;
use crate::shard::state::Snapshot;
use crate::state_backend::StateBackend;
use atoll_state::Backend;
use atoll_storage::Compression;

const ROWS: usize = 700;

async fn filled() -> Whole {
    let env = Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        ..test_env(0)
    };
    let whole = Whole::leading_in(env).await;
    for number in 0..ROWS {
        whole.submit(put(&format!("{number:05}"), "value")).await;
    }
    whole
}

/// A page that is made on the pool, by when so much time has passed since its view was taken.
async fn page(whole: &Whole, scan: ScanOp, passed: Duration) -> Reply {
    let op = ReadOp::Scan(Box::new(ScanOp { limit: 4_096, ..scan }));
    let item = whole.read(1, Consistency::Eventual, op);
    whole.submit_reads(vec![item]);
    tokio::time::advance(passed).await;
    whole.inbox.one().await
}

const SOON: Duration = PIN_MAX.saturating_sub(Duration::from_millis(1));

#[tokio::test(start_paused = true)]
async fn a_page_whose_view_was_held_for_long_ends_and_the_next_goes_on() {
    let whole = filled().await;
    let Reply::Page { rows, more, .. } = page(&whole, ScanOp::default(), SOON).await else {
        panic!("it was in time")
    };
    assert_eq!((rows.len(), more), (ROWS, false));
    let Reply::Page { rows, more, .. } = page(&whole, ScanOp::default(), PIN_MAX).await else {
        panic!("it has rows")
    };
    assert!(more && !rows.is_empty() && rows.len() < ROWS, "{}", rows.len());
    let start = Bytes::from([&rows.last().unwrap().key[..], &[0]].concat());
    let rest = ScanOp {
        start,
        ..ScanOp::default()
    };
    let Reply::Page {
        rows: others, more, ..
    } = page(&whole, rest, SOON).await
    else {
        panic!("it was in time")
    };
    assert_eq!((rows.len() + others.len(), more), (ROWS, false));
}

/// A scan that finds nothing.
fn of_an_unused_slot() -> ScanOp {
    let used: Vec<_> = (0..ROWS)
        .map(|number| slot_of(format!("{number:05}").as_bytes()))
        .collect();
    let unused = (0..16_384)
        .find(|slot| used.iter().all(|used| used.0 != *slot))
        .unwrap();
    let pair = [u32::from(unused); 2];
    ScanOp {
        slots: Some(Arc::new(SlotSet::from_pairs(&pair).unwrap())),
        ..ScanOp::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_without_a_row_goes_on_with_another_view() {
    let whole = filled().await;
    let Reply::Page { rows, more, .. } = page(&whole, of_an_unused_slot(), SOON).await else {
        panic!("it was in time")
    };
    assert_eq!((rows.len(), more), (0, false));
    let Reply::Page { rows, more, .. } = page(&whole, of_an_unused_slot(), PIN_MAX).await else {
        panic!("it comes to its end")
    };
    assert_eq!((rows.len(), more), (0, false));
}

/// A group whose rows stand in runs that are merged all the time.
async fn merging() -> Whole {
    let env = Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        ..test_env(0)
    };
    let options = StoreOptions {
        checkpoint_memory: 16 * 1024,
        compression: Compression::Off,
        ..StoreOptions::default()
    };
    let whole = Whole::lead(Whole::start_of(env, Arc::default(), options).await).await;
    fill(&whole).await;
    whole
}

async fn fill(whole: &Whole) {
    for number in 0..ROWS {
        whole.submit(put(&format!("{number:05}"), vec![7; 40])).await;
    }
}

/// A page from a view that is so old, and without which something could go from the disk.
async fn page_of_old_view(whole: &Whole, scan: ScanOp, age: Duration) -> Reply {
    let (stand, clock) = (whole.shard.stand(), &whole.env.clock);
    let begun = clock.now();
    let RowsView::Index(view) = &stand.snapshot.view else {
        panic!("rows of another backend keep nothing")
    };
    while whole.shard.store.held_back_by_view(view) == 0 {
        fill(whole).await;
        // Merges have tasks of their own.
        clock.sleep(Duration::from_millis(1)).await;
    }
    while clock.now() < begun + age {
        clock.sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(clock.now(), begun + age, "merges took longer");
    let op = ReadOp::Scan(Box::new(ScanOp { limit: 4_096, ..scan }));
    let item = whole.read(1, Consistency::Eventual, op);
    let to: Arc<dyn Replies> = whole.inbox.clone();
    whole.shard.serve_cold(item, &to, &stand);
    drop(stand);
    whole.inbox.one().await
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_view_keeps_too_much_on_the_disk_ends_and_the_next_goes_on() {
    if StateBackend::Sled.is_built_in() {
        return;
    }
    let whole = merging().await;
    let not_looked_at = LOOK_EVERY.saturating_sub(Duration::from_millis(1));
    let Reply::Page { rows, more, .. } = page_of_old_view(&whole, ScanOp::default(), not_looked_at).await
    else {
        panic!("it was in time")
    };
    assert_eq!((rows.len(), more), (ROWS, false));
    let Reply::Page { rows, more, .. } = page_of_old_view(&whole, ScanOp::default(), LOOK_EVERY).await else {
        panic!("it has rows")
    };
    assert!(more && !rows.is_empty() && rows.len() < ROWS, "{}", rows.len());
    let start = Bytes::from([&rows.last().unwrap().key[..], &[0]].concat());
    let rest = ScanOp {
        start,
        ..ScanOp::default()
    };
    let Reply::Page { rows: others, .. } = page(&whole, rest, Duration::ZERO).await else {
        panic!("its view is a new one")
    };
    assert_eq!(rows.len() + others.len(), ROWS);
    // One without a row goes on with another view itself.
    let Reply::Page { rows, more, .. } = page_of_old_view(&whole, of_an_unused_slot(), LOOK_EVERY).await
    else {
        panic!("it comes to its end")
    };
    assert_eq!((rows.len(), more), (0, false));
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_view_keeps_nothing_is_whole() {
    let whole = filled().await;
    let Reply::Page { rows, more, .. } = page(&whole, ScanOp::default(), LOOK_EVERY).await else {
        panic!("nothing is to go")
    };
    assert_eq!((rows.len(), more), (ROWS, false));
}

/// Reads of a backend that does not say when it would wait are made on the pool at once, but for scans.
#[tokio::test(start_paused = true)]
async fn a_scan_of_another_backend_is_made_in_steps_that_know_when_to_let_go() {
    let whole = filled().await;
    let pages = NativeBackend::new(whole.shard.store.clone(), whole.shard.journal.clone()).reader();
    let stand = whole.shard.stand();
    let stand = Stand {
        snapshot: Arc::new(Snapshot {
            view: RowsView::Other(pages.view()),
            ownership: stand.snapshot.ownership.clone(),
        }),
        ..stand
    };
    tokio::time::advance(PIN_MAX).await;
    let scan = ScanOp {
        limit: 200,
        ..of_an_unused_slot()
    };
    let op = ReadOp::Scan(Box::new(scan));
    let item = whole.read(1, Consistency::Eventual, op);
    let batch = ReadBatch::new(vec![item], whole.inbox.clone());
    whole.shard.serve(batch, &stand);
    let Reply::Page { rows, more, .. } = whole.inbox.one().await else {
        panic!("it comes to its end")
    };
    assert_eq!((rows.len(), more), (0, false));
    assert_eq!(whole.shard.info().cold_reads, 1);
}
