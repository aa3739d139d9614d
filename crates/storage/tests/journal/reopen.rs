//! One folder, one journal: whoever opens it finds nobody else writing there, not even what is left
//! of a journal that was open in the same process a moment ago.

use std::path::Path;
use std::time::Duration;

use atoll_env::vfs::{MemLatency, MemVfs, MemVfsOptions, OpenMode};
use atoll_env::{Clock, Vfs};
use atoll_storage::{GroupLog, Journal, JournalOptions, OpenError};
use atoll_types::ReplicaId;

use crate::support::*;

const AHEAD: JournalOptions = JournalOptions {
    segment_bytes: 1 << 20,
    preallocate: true,
    ..SMALL
};

/// A disk on which making a segment of [`AHEAD`] takes some 40 ms.
fn slow_disk(seed: u64) -> MemVfs {
    let millis = Duration::from_millis;
    let latency = MemLatency {
        clock: Clock::simulated(1.0, 0),
        write: millis(1)..millis(4),
        sync: millis(4)..millis(8),
    };
    MemVfs::new(MemVfsOptions {
        seed,
        latency: Some(latency),
        ..MemVfsOptions::default()
    })
}

async fn open(process: &Process) -> Result<(Journal, GroupLog), OpenError> {
    let journal = process.open(AHEAD).await?;
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    Ok((journal, log))
}

/// Goes on where the log ends, until it has rolled over once more.
async fn roll(log: &GroupLog) {
    let next = log.state().last.map_or(0, |last| last.index + 1);
    for index in next..next + 3 {
        append_durably(log, vec![entry(id(1, index), payload(index, 500_000))]).await;
    }
}

#[test]
fn once_closed_a_journal_touches_nothing_any_more() {
    simulate(async {
        for pause in 0..60 {
            let process = Process::on(slow_disk(pause));
            let (journal, log) = open(&process).await.unwrap();
            roll(&log).await;
            process.env.clock.sleep(Duration::from_millis(pause)).await;
            journal.close().await;
            let operations = process.vfs.operations();
            process.env.clock.sleep(Duration::from_secs(5)).await;
            assert_eq!(process.vfs.operations(), operations, "closed after {pause} ms");
        }
    });
}

#[test]
fn a_journal_opens_again_at_once_after_it_was_closed() {
    simulate(async {
        for pause in 0..60 {
            let process = Process::on(slow_disk(pause));
            for round in 1..=3 {
                let (journal, log) = open(&process).await.unwrap();
                roll(&log).await;
                process.env.clock.sleep(Duration::from_millis(pause)).await;
                journal.close().await;
                assert_eq!(read_all(&log).await.len(), 3 * round);
            }
            let (journal, log) = open(&process).await.unwrap();
            process.env.clock.sleep(Duration::from_secs(5)).await;
            assert!(!process.is_halted(), "closed after {pause} ms");
            assert_eq!(journal.damage(), None);
            assert_eq!(read_all(&log).await.len(), 9);
        }
    });
}

#[test]
fn a_journal_that_is_still_open_is_refused_until_it_has_ended() {
    simulate(async {
        let process = Process::on(slow_disk(1));
        let (journal, log) = open(&process).await.unwrap();
        let Err(error) = process.open(AHEAD).await else {
            panic!("two writers in one folder")
        };
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(DIR), "{error}");
        roll(&log).await;
        // Nobody closes it: what was given is still written, and until then the folder is taken.
        let given = entry(id(1, 3), payload(3, 500_000));
        let durable = append(&log, vec![given.clone()]).await;
        drop((journal, log));
        assert!(matches!(process.open(AHEAD).await, Err(OpenError::InUse { .. })));
        durable.await.unwrap().unwrap();
        let mut tries = 0;
        let (_journal, log) = loop {
            match open(&process).await {
                Ok(opened) => break opened,
                Err(OpenError::InUse { .. }) => tries += 1,
                Err(error) => panic!("{error}"),
            }
            assert!(tries < 100, "it ends soon");
            process.env.clock.sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(read_all(&log).await.last(), Some(&given));
        process.env.clock.sleep(Duration::from_secs(5)).await;
        roll(&log).await;
        assert!(!process.is_halted());
    });
}

#[test]
fn whoever_gave_up_on_opening_leaves_nothing_behind() {
    simulate(async {
        for patience in 0..40 {
            let process = Process::on(slow_disk(patience));
            let patience = Duration::from_millis(patience);
            let soon = process.env.clock.timeout(patience, process.open(AHEAD)).await;
            drop(soon);
            process.env.clock.sleep(Duration::from_secs(5)).await;
            let (_journal, log) = open(&process).await.unwrap();
            roll(&log).await;
            assert!(!process.is_halted());
        }
    });
}

#[test]
fn a_start_that_fails_leaves_the_folder_free() {
    simulate(async {
        let process = Process::on(slow_disk(1));
        let fault = atoll_env::vfs::Fault::Sync;
        // A file that failed is made once more.
        process.vfs.fail_next(fault, "0000000000000001.");
        process.vfs.fail_next(fault, "0000000000000001.");
        assert!(matches!(process.open(AHEAD).await, Err(OpenError::Io(_))));
        let operations = process.vfs.operations();
        process.env.clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(process.vfs.operations(), operations);
        let (_journal, log) = open(&process).await.unwrap();
        roll(&log).await;
    });
}

#[test]
fn a_prepared_segment_never_takes_the_name_of_another_file() {
    simulate(async {
        let process = Process::on(slow_disk(1));
        let (_journal, log) = open(&process).await.unwrap();
        append_durably(&log, vec![entry(id(1, 0), payload(1, 10))]).await;
        // The next one is being filled; somebody else's file stands where it will go.
        let path = Path::new(DIR).join("0000000000000002.jnl");
        let other = process.vfs.open(&path, OpenMode::CreateNew).unwrap();
        other.write_at(b"not to be lost", 0).await.unwrap();
        let (done, mut durable) = tokio::sync::oneshot::channel();
        let entries = vec![
            entry(id(1, 1), payload(2, 600_000)),
            entry(id(1, 2), payload(3, 600_000)),
        ];
        log.append(entries, Box::new(move |result| drop(done.send(result))))
            .await
            .unwrap();
        process.env.clock.sleep(Duration::from_secs(5)).await;
        assert!(process.is_halted(), "it cannot go on");
        assert!(
            durable.try_recv().is_err(),
            "and says nothing about what it could not write"
        );
        assert_eq!(process.vfs.read_small(&path, 100).unwrap(), b"not to be lost");
    });
}
