//! Reads of what was, on a group of one.

use std::time::Duration;

use atoll_storage::NotKept;

use super::whole::{Whole, get};
use super::*;
use crate::shard::read::{Consistency, ReadItem, ReadOp, ScanOp, ScanWhat};
use crate::shard::reply::{Failure, Reply};

const HOUR: HistoryLimits = HistoryLimits {
    window_ms: 3_600_000,
    bytes: 1 << 30,
};

fn simulated() -> Env {
    Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        ..test_env(0)
    }
}

/// A group that keeps history already.
async fn keeping(limits: HistoryLimits) -> Whole {
    let whole = Whole::leading_keeping(simulated(), limits).await;
    while whole.shard.state.history().is_none() {
        whole.env.clock.sleep(Duration::from_millis(10)).await;
    }
    whole
}

async fn read(whole: &Whole, at: Version, op: ReadOp) -> Reply {
    let item = ReadItem {
        at: Some(at),
        ..whole.read(1, Consistency::Linearizable, op)
    };
    whole.answer(item).await
}

async fn value(whole: &Whole, at: Version) -> Option<(Version, Bytes)> {
    match read(whole, at, get("k")).await {
        Reply::Value { found, .. } => found,
        other => panic!("{other:?}"),
    }
}

async fn count(whole: &Whole, at: Version) -> u64 {
    let scan = ScanOp {
        limit: 100,
        what: ScanWhat::Count,
        ..ScanOp::default()
    };
    match read(whole, at, ReadOp::Scan(Box::new(scan))).await {
        Reply::Counted { count, .. } => count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_write_got_can_be_read_at() {
    let whole = keeping(HOUR).await;
    let first = whole.written(put("k", "one")).await;
    let second = whole.written(put("k", "two")).await;
    whole.written(put("other", "x")).await;
    let gone = whole.written(delete("k")).await;
    let rounds = whole.shard.info().read_rounds;
    assert_eq!(value(&whole, first).await, Some((first, "one".into())));
    assert_eq!(value(&whole, second).await, Some((second, "two".into())));
    let between = Version(gone.0 - 1);
    assert_eq!(value(&whole, between).await, Some((second, "two".into())));
    assert_eq!(value(&whole, gone).await, None);
    for (at, rows) in [(first, 1), (between, 2), (gone, 1)] {
        assert_eq!(count(&whole, at).await, rows);
    }
    assert_eq!(
        whole.shard.info().read_rounds,
        rounds,
        "nothing that is written changes it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_reaches_a_version_of_another_one() {
    let whole = keeping(HOUR).await;
    let first = whole.written(put("k", "one")).await;
    let ahead = Version(first.0 + (1 << 16) * 500);
    assert_eq!(value(&whole, ahead).await, Some((first, "one".into())));
    let next = whole.written(put("k", "two")).await;
    assert!(next > ahead, "what was read at it stays what it was");
    assert_eq!(value(&whole, ahead).await, Some((first, "one".into())));
    let absurd = Version::from_millis(1_700_000_000_000 + 3_600_000);
    let refused = read(&whole, absurd, get("k")).await;
    assert!(
        matches!(refused, Reply::Failed(Failure::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_refused_with_what_is() {
    let limits = HistoryLimits {
        window_ms: 60_000,
        ..HOUR
    };
    let whole = keeping(limits).await;
    let first = whole.written(put("k", "one")).await;
    let second = whole.written(put("k", "two")).await;
    assert_eq!(value(&whole, first).await, Some((first, "one".into())));
    // Ticks let group time pass also where nobody writes.
    whole.env.clock.sleep(Duration::from_secs(300)).await;
    let Reply::Failed(Failure::Compacted {
        asked, oldest, kept, ..
    }) = read(&whole, first, get("k")).await
    else {
        panic!("it is five minutes old")
    };
    assert_eq!((asked, kept), (first, true));
    assert_eq!(value(&whole, oldest).await, Some((second, "two".into())));
}

#[tokio::test(start_paused = true)]
async fn without_history_only_the_last_version_can_be_read_at() {
    let whole = Whole::leading_in(simulated()).await;
    let first = whole.written(put("k", "one")).await;
    assert_eq!(value(&whole, first).await, Some((first, "one".into())));
    let second = whole.written(put("k", "two")).await;
    let Reply::Failed(failure) = read(&whole, first, get("k")).await else {
        panic!("nobody has kept it")
    };
    assert!(failure.to_string().contains("--history-s"), "{failure}");
    assert_eq!(value(&whole, second).await, Some((second, "two".into())));
    // Nor does it skip to a version: what is read there would not stay.
    let ahead = Version(second.0 + 1);
    let refused = read(&whole, ahead, get("k")).await;
    assert!(
        matches!(
            refused,
            Reply::Failed(Failure::Compacted { oldest, kept: false, .. }) if oldest == second
        ),
        "{refused:?}"
    );
    assert_eq!(whole.shard.state.history(), None);
}

/// A replica that has begun with a snapshot has rows of old versions and does not know yet of which: others do.
#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_know_what_is_kept_sends_readers_elsewhere() {
    let whole = keeping(HOUR).await;
    let item = ReadItem {
        at: Some(Version(5)),
        ..whole.read(1, Consistency::Eventual, get("k"))
    };
    let failure = whole.shard.not_kept(&item, NotKept::Unsaid);
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure}");
}

/// Reads of one frame that have to wait for their group have nothing else to do with each other.
#[tokio::test(start_paused = true)]
async fn a_read_far_ahead_and_a_late_one_do_not_make_others_fail() {
    let whole = keeping(HOUR).await;
    let first = whole.written(put("k", "one")).await;
    let ahead = |ms: u64| Version(first.0 + (1 << 16) * ms);
    let absurd = Version::from_millis(1_700_000_000_000 + 3_600_000);
    let item = |id, at| ReadItem {
        at: Some(at),
        ..whole.read(id, Consistency::Linearizable, get("k"))
    };
    let late = ReadItem {
        deadline: whole.env.clock.now(),
        ..item(4, ahead(100))
    };
    let items = vec![item(1, ahead(500)), item(2, absurd), item(3, ahead(300)), late];
    whole.submit_reads(items);
    let replies = whole.inbox.wait(4).await;
    for id in [1, 3] {
        let found = Some((first, "one".into()));
        assert!(
            matches!(&replies[&id], Reply::Value { found: read, .. } if *read == found),
            "{replies:?}"
        );
    }
    assert!(
        matches!(replies[&2], Reply::Failed(Failure::Unavailable(_))),
        "{replies:?}"
    );
    assert!(
        matches!(replies[&4], Reply::Failed(Failure::Deadline)),
        "{replies:?}"
    );
    let newest = whole.shard.state.version();
    assert_eq!(
        newest,
        ahead(500),
        "it goes no further than those that were answered asked for"
    );
}
