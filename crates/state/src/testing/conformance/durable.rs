//! Checkpoints, restarts, snapshots.

use std::slice;

use atoll_kv::{Command, HistoryLimits};
use atoll_storage::NotKept;
use atoll_types::{ClientId, Outcome};

use crate::testing::{
    Bench, Make, Sizes, append, at_slot, check, delete, delete_range, increment, put, session_write,
};

/// Rows, point and rows of the system come back from a checkpoint alone, from the log alone, and from both.
pub async fn a_checkpoint_and_the_log_behind_it_are_everything(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let long = vec![3; 5000];
    let some = [
        put("a", "1"),
        put("b", &long),
        put("gone", "soon"),
        append("c", &long),
    ];
    bench.commit(&[at_slot(some)]).await;
    let mut bench = bench.restart().await;
    bench.check();
    bench.checkpoint().await;
    let mut bench = bench.restart().await;
    bench.check();
    bench
        .commit(&[at_slot([delete("gone"), append("c", "tail"), increment("a", 1)])])
        .await;
    bench.commit_blank().await;
    let mut bench = bench.restart().await;
    bench.check();
    // Over what a checkpoint has, and behind one that is not durable yet.
    bench
        .commit(&[at_slot([delete_range("a", "c", 10), put("c1", "new")])])
        .await;
    assert!(bench.begin_checkpoint());
    bench
        .commit(&[at_slot([put("b", "again"), append("c", &long)])])
        .await;
    bench.check();
    let bench = bench.restart().await;
    bench.check();
}

/// Views are stable over checkpoints, and over merges that take the files they began with out of use.
pub async fn views_stay_over_checkpoints_and_merges(make: Make<'_>) {
    let mut bench = Bench::with(make, Sizes::Small).await;
    let mut kept = Vec::new();
    let (mut most, mut merged) = (0, false);
    for round in 0..12_usize {
        let value = format!("{round},").repeat(100 + round);
        let puts = (0..20).map(|n| put(format!("k{:02}", (n * 3 + round * 5) % 50), &value));
        bench.commit(&[at_slot(puts.collect::<Vec<_>>())]).await;
        bench
            .commit(&[at_slot([delete(format!("k{round:02}")), append("log", &value)])])
            .await;
        kept.push((bench.view(), bench.oracle.seen()));
        bench.checkpoint().await;
        merged |= bench.runs() < most;
        most = most.max(bench.runs());
        bench.check();
        for (view, seen) in &kept {
            check(&**view, seen);
        }
        if round % 4 == 3 {
            drop(kept.drain(..kept.len() / 2));
        }
    }
    assert!(merged, "nothing was merged");
    drop(kept);
    bench.restart().await.check();
}

/// Sessions are part of a checkpoint: a write that is sent again after a restart gets its answer again and is not done again.
pub async fn a_write_retried_after_a_restart_is_applied_once(make: Make<'_>) {
    let mut bench = Bench::new(make).await;
    let client = ClientId(77);
    let read = bench.view().version();
    bench.commit(&[Command::open_session(client, read)]).await;
    let first = session_write(client, 1, at_slot([increment("n", 5)]));
    let second = session_write(client, 2, at_slot([increment("n", 5)]));
    let told = bench.commit(slice::from_ref(&first)).await;
    assert!(matches!(told[..], [Outcome::Computed { number: 5, .. }]));
    bench.checkpoint().await;
    let told_second = bench.commit(slice::from_ref(&second)).await;
    let mut bench = bench.restart().await;
    assert_eq!(bench.commit(&[first, second]).await, [told, told_second].concat());
    assert_eq!(&bench.view().get(b"n", true).unwrap().unwrap().1[..], b"10");
    bench.check();
}

/// A snapshot takes the place of all rows at once, for every later view and across restarts, and applying goes on behind it.
pub async fn a_snapshot_replaces_everything_at_once(make: Make<'_>) {
    let mut other = Bench::new(make).await;
    for round in 0..9_usize {
        let value = vec![b'0' + round as u8; 50 * round * round];
        let puts = (0..80).map(|n| put(format!("k{:02}", (n + round * 4) % 99), &value));
        other.commit(&[at_slot(puts.collect::<Vec<_>>())]).await;
    }
    other.checkpoint().await;
    let mut bench = Bench::new(make).await;
    bench
        .commit(&[at_slot([put("k01", "mine"), put("mine", "only")])])
        .await;
    let (before, seen) = (bench.view(), bench.oracle.seen());
    let staged = bench.stage(&other).await;
    check(&*bench.view(), &seen);
    bench.ingest(staged, other.into_oracle()).await;
    check(&*before, &seen);
    bench.check();
    bench
        .commit(&[at_slot([put("k01", "behind"), append("k02", "behind")])])
        .await;
    let (between, later) = (bench.view(), bench.oracle.seen());
    let mut bench = {
        check(&*between, &later);
        check(&*before, &seen);
        drop((before, between));
        bench.restart().await
    };
    bench.check();
    bench.commit(&[at_slot([delete_range("k", "l", 50)])]).await;
    bench.checkpoint().await;
    bench.check();
    bench.restart().await.check();
}

/// History is kept in the index below, whatever answers for the rows of now: over checkpoints, merges and restarts, for as long as
/// the group is told to keep it, and no longer.
pub async fn what_was_stays_in_the_index(make: Make<'_>) {
    let mut bench = Bench::with(make, Sizes::Small).await;
    let limits = HistoryLimits {
        window_ms: 3_600_000,
        bytes: 1 << 30,
    };
    bench.commit(&[Command::keep_history(Some(limits))]).await;
    let mut was = vec![bench.oracle.seen()];
    let (mut most, mut merged) = (0, false);
    for round in 0..12_usize {
        let value = format!("{round},").repeat(100 + round);
        let puts = (0..6).map(|n| put(format!("k{}", (n * 2 + round) % 9), &value));
        bench.commit(&[at_slot(puts.collect::<Vec<_>>())]).await;
        bench
            .commit(&[at_slot([
                delete(format!("k{}", round % 9)),
                append("log", &value),
            ])])
            .await;
        was.push(bench.oracle.seen());
        bench.checkpoint().await;
        merged |= bench.runs() < most;
        most = most.max(bench.runs());
        if round % 5 == 2 {
            bench = bench.restart().await;
        }
        for seen in &was {
            assert_eq!(bench.rows_at(seen.version).as_ref(), Ok(&seen.rows));
        }
    }
    assert!(merged, "nothing was merged");
    bench.commit(&[Command::keep_history(None)]).await;
    let refused = bench.rows_at(was[0].version).unwrap_err();
    assert!(matches!(refused, NotKept::Compacted { .. }), "{refused:?}");
    bench.check();
}
