//! Reads that hold on to their view for long.

use std::time::Duration;

use super::whole::Whole;
use super::*;
use crate::shard::read::{Consistency, PIN_MAX, ReadOp, ScanOp, SlotSet};
use crate::shard::reply::Reply;

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

#[tokio::test(start_paused = true)]
async fn a_page_without_a_row_goes_on_with_another_view() {
    let whole = filled().await;
    let used: Vec<_> = (0..ROWS)
        .map(|number| slot_of(format!("{number:05}").as_bytes()))
        .collect();
    let unused = (0..16_384)
        .find(|slot| used.iter().all(|used| used.0 != *slot))
        .unwrap();
    let pair = [u32::from(unused); 2];
    let nothing = || ScanOp {
        slots: Some(Arc::new(SlotSet::from_pairs(&pair).unwrap())),
        ..ScanOp::default()
    };
    let Reply::Page { rows, more, .. } = page(&whole, nothing(), SOON).await else {
        panic!("it was in time")
    };
    assert_eq!((rows.len(), more), (0, false));
    let Reply::Page { rows, more, .. } = page(&whole, nothing(), PIN_MAX).await else {
        panic!("it comes to its end")
    };
    assert_eq!((rows.len(), more), (0, false));
}
