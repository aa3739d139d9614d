//! SIGKILL, over and over, while segments, runs and value files come and go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use atoll_client::Client;
use atoll_env::Rng;

use crate::support::{Cluster, atoll, eventually, text};

/// Little room, so that all of it is used again and again; packed, the values would take none.
const SETTINGS: [(&str, &str); 3] = [
    ("ATOLL_DISK_QUOTA_MIB", "80"),
    ("ATOLL_MEMORY_MIB", "64"),
    ("ATOLL_COMPRESSION", "off"),
];
/// How many kills there are; for a longer run.
const ROUNDS_VARIABLE: &str = "ATOLL_TEST_KILLS";
const ROUNDS: u32 = 6;
/// Who is killed and when.
const SEED_VARIABLE: &str = "ATOLL_TEST_SEED";
/// One of so many kills is of all nodes at once.
const ALL_ONE_OF: u64 = 4;
/// Acknowledged between two kills, at least.
const WRITES: usize = 60;
const WRITERS: usize = 8;
/// Keys of one writer, overwritten in turn.
const KEYS: usize = 16;
const VALUE_BYTES: usize = 100_000;

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("it is a number"))
}

fn key(writer: usize, number: usize) -> String {
    format!("key-{writer}-{}", number % KEYS)
}

fn value(writer: usize, number: usize) -> Vec<u8> {
    let mut value = format!("value-{writer}-{number}-").into_bytes();
    value.resize(VALUE_BYTES - number % 100, b'x');
    value
}

/// Writes until told to stop; every write must be acknowledged in the end. Returns how many were.
async fn write_until(client: Client, writer: usize, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> usize {
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        let put = client.put(key(writer, number), value(writer, number));
        put.await.unwrap();
        number += 1;
        done.fetch_add(1, Ordering::AcqRel);
    }
    number
}

/// The lowest segment that a node's journal still has.
fn first_segment(data_dir: &Path) -> u64 {
    let names = std::fs::read_dir(data_dir.join("journal")).unwrap();
    let ids = names.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        u64::from_str_radix(name.strip_suffix(".jnl")?, 16).ok()
    });
    ids.min().unwrap()
}

async fn kill_some(cluster: &mut Cluster, rng: &Rng) {
    // At any moment of whatever goes on.
    let wait = Duration::from_secs_f64(0.1 + 0.9 * rng.fraction());
    tokio::time::sleep(wait).await;
    let one = rng.below(3) as usize;
    let victims = match rng.below(ALL_ONE_OF) {
        0 => 0..3,
        _ => one..one + 1,
    };
    for victim in victims.clone() {
        cluster.kill(victim);
    }
    for victim in victims {
        cluster.start_with(victim, &SETTINGS);
    }
}

/// Each file of each node is sound, as far as anybody can tell.
fn assert_sound(cluster: &mut Cluster) {
    for node in 0..3 {
        cluster.kill(node);
        let dir = cluster.data_dir(node);
        let checked = atoll(&["storage", "check", dir.to_str().unwrap()]);
        assert_eq!(
            checked.status.code(),
            Some(0),
            "{}{}",
            text(&checked.stdout),
            text(&checked.stderr)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_acknowledged_write_survives_a_row_of_kills() {
    let rounds = number_of(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds as u32);
    let rng = Rng::seeded(number_of(SEED_VARIABLE).unwrap_or(1));
    let mut cluster = Cluster::stopped(3);
    for node in 0..3 {
        cluster.start_with(node, &SETTINGS);
    }
    cluster.init(2).await;
    let client = cluster.client(Duration::from_secs(60)).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_until(client.clone(), writer, stop.clone(), done.clone())))
        .collect();
    for _ in 0..rounds {
        let enough = done.load(Ordering::Acquire) + WRITES;
        kill_some(&mut cluster, &rng).await;
        eventually("writes go on", async || done.load(Ordering::Acquire) >= enough).await;
    }
    eventually("segments go", async || {
        (0..3).all(|node| first_segment(&cluster.data_dir(node)) > 1)
    })
    .await;
    stop.store(true, Ordering::Release);
    let mut counts = Vec::new();
    for writer in writers {
        counts.push(writer.await.unwrap());
    }
    cluster.wait_serving().await;
    for (writer, count) in counts.iter().enumerate() {
        for number in count.saturating_sub(KEYS)..*count {
            let found = client.get(key(writer, number)).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{} is lost", key(writer, number)));
            assert!(found.bytes == value(writer, number), "write {number} of {writer}");
        }
    }
    assert_sound(&mut cluster);
}
