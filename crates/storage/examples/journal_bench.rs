//! Durable appends per second on real files: `journal_bench [folder] [seconds per row]`.
//!
//! Each appender has one entry of 256 bytes in flight; appenders share eight groups. The columns to
//! look at together: a sync should take the same time however many entries it carries.
#![expect(clippy::print_stdout, reason = "a program that prints")]

#[path = "../tests/journal/real.rs"]
#[expect(unreachable_pub, reason = "a module of the tests")]
mod real;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_env::vfs::OsVfs;
use atoll_storage::{GroupLog, Identity, Journal, JournalOptions, LogEntry};
use atoll_types::{GroupGen, GroupId, GroupKey, LogId, ReplicaId};
use bytes::Bytes;
use tokio::sync::{Mutex, oneshot};

const GROUPS: u64 = 8;
const VALUE: usize = 256;

/// One group's log and the index that comes next; held only while an append takes its place.
type Shared = Arc<Mutex<(GroupLog, u64)>>;

async fn append(shared: &Shared, payload: &Bytes, crc: u32) {
    let (done, durable) = oneshot::channel();
    {
        let mut held = shared.lock().await;
        let id = LogId {
            term: 1,
            leader: ReplicaId(1),
            index: held.1,
        };
        let entry = LogEntry {
            id,
            kind: 1,
            payload: payload.clone(),
            payload_crc: crc,
        };
        let done = Box::new(move |result| drop(done.send(result)));
        held.0
            .append(vec![entry], done)
            .await
            .expect("the journal takes entries in order");
        held.0.release(held.1);
        held.1 += 1;
    }
    durable.await.expect("the writer runs").expect("the disk works");
}

async fn row(
    env: &Env,
    dir: PathBuf,
    appenders: u64,
    length: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let journal = Journal::open(env, &dir, Identity::default(), JournalOptions::default()).await?;
    let mut groups = Vec::new();
    for number in 0..GROUPS {
        let key = GroupKey::new(GroupId(number), GroupGen(0));
        groups.push(Arc::new(Mutex::new((
            journal.create_group(key, ReplicaId(1)).await?,
            0,
        ))));
    }
    // The first segment is only reserved; let the second be filled, as in a node that runs.
    env.clock.sleep(Duration::from_secs(2)).await;
    let (before, started) = (journal.stats(), env.clock.now());
    let tasks: Vec<_> = (0..appenders)
        .map(|number| {
            let (clock, shared) = (env.clock.clone(), groups.get((number % GROUPS) as usize).cloned());
            env.spawn.spawn(async move {
                let shared = shared.expect("there are as many");
                let payload = Bytes::from(vec![number as u8; VALUE]);
                let crc = crc32fast::hash(&payload);
                while clock.now().since(started) < length {
                    append(&shared, &payload, crc).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    let seconds = env.clock.now().since(started).as_secs_f64();
    let stats = journal.stats();
    let (entries, syncs) = (
        stats.entries_synced - before.entries_synced,
        stats.syncs - before.syncs,
    );
    println!(
        "{appenders:>9} {:>11.0} {:>9.0} {:>9.1} {:>13} {:>10} {:>10} {:>9.1}",
        entries as f64 / seconds,
        syncs as f64 / seconds,
        seconds * 1e6 / syncs as f64,
        stats.entries_per_sync_p50,
        stats.sync_us_p50,
        stats.sync_us_p99,
        (stats.bytes - before.bytes) as f64 / seconds / 1e6,
    );
    journal.close().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let temporary = tempfile::tempdir()?;
    let dir = arguments
        .next()
        .map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let length = Duration::from_secs_f64(arguments.next().map_or(Ok(5.0), |text| text.parse())?);
    println!(
        "{:>9} {:>11} {:>9} {:>9} {:>13} {:>10} {:>10} {:>9}",
        "appenders", "appends/s", "syncs/s", "us/sync", "entries/sync", "sync p50", "sync p99", "MB/s"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    for appenders in [1, 16, 256] {
        let env = real::real_env(Arc::new(OsVfs));
        runtime.block_on(row(&env, dir.join(appenders.to_string()), appenders, length))?;
    }
    Ok(())
}
