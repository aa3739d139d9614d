//! Scans while keys change, against a model: a row that was scanned was current at some moment between
//! the scan's begin and end, a row that nobody touched is there exactly once, and all are in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atoll_client::{Client, Row, ScanOptions};

use crate::support::Cluster;

const WRITERS: usize = 4;
/// Keys of one writer that it writes again and again.
const HOT: usize = 12;
/// Keys that are never touched again, between the others.
const COLD: usize = 400;

/// What is known of one key that a single writer counts up: the value lies between the two.
#[derive(Default)]
struct Known {
    acknowledged: AtomicU64,
    begun: AtomicU64,
}

type Model = Arc<Vec<[Known; HOT]>>;

/// An extension of a cold key, in the same group: a scan that went on too far behind that one would lose it.
fn hot_key(writer: usize, number: usize) -> String {
    format!("{} hot {writer}", cold_key(number * COLD / HOT))
}

fn cold_key(number: usize) -> String {
    format!("row {number:03} {{{number:03}}} cold")
}

/// Counts its keys up until told to stop. The pause between spares the machine, nothing depends on it.
async fn count_up(client: Client, writer: usize, model: Model, stop: Arc<AtomicBool>) {
    let mut value = 0;
    while !stop.load(Ordering::Acquire) {
        value += 1;
        for (number, known) in model[writer].iter().enumerate() {
            known.begun.store(value, Ordering::SeqCst);
            client
                .put(hot_key(writer, number), value.to_string())
                .await
                .unwrap();
            known.acknowledged.store(value, Ordering::SeqCst);
        }
    }
}

fn snapshot(model: &Model, which: impl Fn(&Known) -> &AtomicU64) -> Vec<Vec<u64>> {
    let of_one = |known: &[Known; HOT]| known.iter().map(|k| which(k).load(Ordering::SeqCst)).collect();
    model.iter().map(of_one).collect()
}

/// One scan of everything, judged. Returns how many rows had changed since the scan began.
async fn scan_and_judge(client: &Client, model: &Model, reverse: bool) -> usize {
    let before = snapshot(model, |known| &known.acknowledged);
    let scan = client.scan(ScanOptions {
        reverse,
        page_rows: 16,
        ..ScanOptions::prefix("row ")
    });
    let mut rows: Vec<Row> = scan.collect().await.unwrap();
    let after = snapshot(model, |known| &known.begun);
    if reverse {
        rows.reverse();
    }
    assert!(
        rows.windows(2).all(|pair| pair[0].key < pair[1].key),
        "a row is out of order or twice"
    );
    let cold = (0..COLD).map(|number| (cold_key(number), number));
    let scanned_cold: Vec<_> = rows.iter().filter(|row| row.key.ends_with(b"cold")).collect();
    assert_eq!(scanned_cold.len(), COLD, "rows that nobody touches are all there");
    for ((key, number), row) in cold.zip(scanned_cold) {
        assert_eq!(
            (&row.key[..], &row.value[..]),
            (key.as_bytes(), number.to_string().as_bytes())
        );
    }
    let mut changed = 0;
    for writer in 0..WRITERS {
        for number in 0..HOT {
            let key = hot_key(writer, number);
            let row = rows.iter().find(|row| row.key == key);
            let value: u64 = row.map_or(0, |row| std::str::from_utf8(&row.value).unwrap().parse().unwrap());
            let (from, to) = (before[writer][number], after[writer][number]);
            assert!(
                (from..=to).contains(&value),
                "{key} was scanned as {value}, which it was not while the scan ran: it went from {from} to {to}"
            );
            changed += usize::from(value > from);
        }
    }
    changed
}

async fn scans_under_writes(nodes: usize, groups: usize, kill: bool) {
    let mut cluster = Cluster::with_groups(nodes, groups).await;
    let client = cluster.client(Duration::from_secs(60)).await;
    let cold = (0..COLD).map(|number| (cold_key(number).into(), number.to_string().into()));
    for written in client.multi_put(cold.collect()).await {
        written.unwrap();
    }
    let model: Model = Arc::new((0..WRITERS).map(|_| Default::default()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(count_up(client.clone(), writer, model.clone(), stop.clone())))
        .collect();
    let mut changed = 0;
    for round in 0..16 {
        if kill && round == 6 {
            let victim = cluster.busiest().await;
            cluster.kill(victim);
        }
        changed += scan_and_judge(&client, &model, round % 2 == 1).await;
    }
    stop.store(true, Ordering::Release);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(
        changed > 0,
        "no row changed while it was scanned: nothing was tested"
    );
    // At rest a scan is exact.
    assert_eq!(scan_and_judge(&client, &model, false).await, 0);
    assert_eq!(
        snapshot(&model, |known| &known.acknowledged),
        snapshot(&model, |known| &known.begun)
    );
}

#[tokio::test]
async fn scans_over_eight_groups_see_what_was_current() {
    scans_under_writes(3, 8, false).await;
}

#[tokio::test]
async fn scans_through_a_killed_leader_see_what_was_current() {
    scans_under_writes(3, 8, true).await;
}
