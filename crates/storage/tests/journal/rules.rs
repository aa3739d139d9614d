//! What each call promises and refuses.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use atoll_env::vfs::{Crash, MemLatency, MemVfs, MemVfsOptions};
use atoll_env::{Clock, Vfs};
use atoll_storage::{GroupLog, Journal, JournalOptions, ReadError, ReadValue, value_crc};
use atoll_types::{ReplicaId, Vote};
use bytes::Bytes;

use crate::support::*;

async fn open(process: &Process, options: JournalOptions) -> (Journal, GroupLog) {
    let journal = process.open(options).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    (journal, log)
}

/// A disk whose syncs take ten seconds.
fn stuck_disk() -> MemVfs {
    let moment = Duration::ZERO..Duration::from_nanos(1);
    let sync = Duration::from_secs(10)..Duration::from_secs(11);
    let latency = MemLatency {
        clock: Clock::simulated(1.0, 0),
        write: moment,
        sync,
    };
    MemVfs::new(MemVfsOptions {
        latency: Some(latency),
        ..MemVfsOptions::default()
    })
}

#[test]
fn a_group_is_created_once_and_for_one_replica() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (journal, log) = open(&process, SMALL).await;
        append_durably(&log, vec![entry(id(1, 0), payload(1, 10))]).await;
        let again = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        assert_eq!(again.state(), log.state());
        assert_eq!((again.key(), again.replica()), (group(1), ReplicaId(1)));
        let other = journal.create_group(group(1), ReplicaId(2)).await.err().unwrap();
        assert_eq!(other.kind(), ErrorKind::AlreadyExists);
        assert!(journal.group(group(2)).is_none());
        process.kill();
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let journal = process.open(SMALL).await.unwrap();
        assert_eq!(journal.groups(), [(group(1), ReplicaId(1))]);
    });
}

#[test]
fn entries_are_readable_before_they_are_durable_and_done_is_called_after() {
    simulate(async {
        let process = Process::on(stuck_disk());
        let (journal, log) = open(&process, SMALL).await;
        let value = payload(3, 500);
        let crc = value_crc(b"key", &value);
        let mut durable = append(&log, vec![entry(id(1, 0), value.clone())]).await;
        assert_eq!(read_all(&log).await, [entry(id(1, 0), value.clone())]);
        let pointer = log
            .pointer(id(1, 0), 100, 300, value_crc(b"key", &value[100..400]))
            .unwrap();
        assert_eq!(
            journal.read_value(&pointer, b"key").unwrap(),
            ReadValue::Ready(Bytes::copy_from_slice(&value[100..400]))
        );
        assert!(durable.try_recv().is_err(), "not synced yet");
        durable.await.unwrap().unwrap();
        assert_eq!(
            &journal.read_value_blocking(&pointer, b"key").unwrap()[..],
            &value[100..400]
        );
        assert!(matches!(
            journal.read_value(&pointer, b"kez"),
            Err(ReadError::Corrupt { .. })
        ));
        assert_eq!(
            log.pointer(id(2, 0), 0, 500, crc),
            None,
            "another term is another entry"
        );
        assert_eq!(log.pointer(id(1, 0), 1, 500, crc), None, "beyond the payload");
        assert_eq!(log.pointer(id(1, 0), u32::MAX, 500, crc), None);
    });
}

#[test]
fn a_cold_value_is_not_waited_for() {
    simulate(async {
        let vfs = MemVfs::new(MemVfsOptions {
            cold_reads_permille: 1000,
            ..MemVfsOptions::default()
        });
        let process = Process::on(vfs);
        let (journal, log) = open(&process, SMALL).await;
        append_durably(&log, vec![entry(id(1, 0), payload(3, 500))]).await;
        let pointer = log
            .pointer(id(1, 0), 0, 500, value_crc(b"k", &payload(3, 500)))
            .unwrap();
        assert_eq!(journal.read_value(&pointer, b"k").unwrap(), ReadValue::WouldBlock);
        assert_eq!(
            journal.read_value_blocking(&pointer, b"k").unwrap(),
            payload(3, 500)
        );
    });
}

#[test]
fn a_damaged_value_or_entry_is_never_returned() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (journal, log) = open(&process, SMALL).await;
        append_durably(&log, vec![entry(id(1, 0), payload(3, 500))]).await;
        let pointer = log
            .pointer(id(1, 0), 0, 500, value_crc(b"k", &payload(3, 500)))
            .unwrap();
        let names = process.vfs.list(Path::new(DIR)).unwrap();
        let file = Path::new(DIR).join(&names[0]);
        let bytes = process.vfs.durable_bytes(&file).unwrap();
        let at = bytes
            .windows(500)
            .position(|window| window == payload(3, 500))
            .unwrap();
        process.vfs.flip_bit(&file, at as u64 + 250, 4);
        assert!(matches!(
            journal.read_value(&pointer, b"k"),
            Err(ReadError::Corrupt { .. })
        ));
        assert!(matches!(
            journal.read_value_blocking(&pointer, b"k"),
            Err(ReadError::Corrupt { .. })
        ));
        process.kill();
        // A process that still has the entry's place but not its bytes.
        let undamaged = process.vfs.crash(Crash::Process);
        undamaged.flip_bit(&file, at as u64 + 250, 4);
        let process = Process::on(undamaged);
        let journal = process.open(SMALL).await.unwrap();
        let log = journal.group(group(1)).unwrap();
        assert_eq!(read_all(&log).await, [entry(id(1, 0), payload(3, 500))]);
        process.vfs.flip_bit(&file, at as u64 + 250, 4);
        let error = log.read(0, 1, 1000).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("entry 1-2.0 in segment 1"), "{error}");
    });
}

#[test]
fn what_does_not_fit_the_log_is_refused_and_changes_nothing() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (_journal, log) = open(&process, SMALL).await;
        append_durably(
            &log,
            vec![entry(id(2, 5), payload(1, 10)), entry(id(2, 6), payload(2, 10))],
        )
        .await;
        log.save_committed(id(2, 5));
        let state = log.state();
        let refused = |entries| log.append(entries, Box::new(|_| panic!("a refused append is not done")));
        for entries in [
            vec![entry(id(2, 8), "")],
            vec![entry(id(1, 7), "")],
            vec![entry(id(2, 7), ""), entry(id(2, 9), "")],
        ] {
            assert_eq!(
                refused(entries).await.unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        let mut wrong = entry(id(2, 7), "abc");
        wrong.payload_crc ^= 1;
        assert_eq!(
            refused(vec![wrong]).await.unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        let large = entry(id(2, 7), vec![0; 17 << 20]);
        assert_eq!(
            refused(vec![large]).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert!(log.truncate_after(None).await.is_err(), "committed");
        assert!(log.truncate_after(Some(id(3, 6))).await.is_err(), "unknown");
        assert!(log.purge(id(3, 5)).await.is_err(), "another entry");
        assert_eq!(log.state(), state);
        log.save_vote(Vote {
            term: 3,
            ..Vote::default()
        })
        .await
        .unwrap();
        assert!(
            log.save_vote(Vote {
                term: 2,
                ..Vote::default()
            })
            .await
            .is_err(),
            "an older term"
        );
        assert_eq!(log.state().vote.unwrap().term, 3);
    });
}

#[test]
fn a_purge_beyond_the_end_is_where_the_log_goes_on() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (journal, log) = open(&process, SMALL).await;
        append_durably(&log, vec![entry(id(1, 0), payload(1, 10))]).await;
        log.purge(id(4, 99)).await.unwrap();
        log.purge(id(1, 0)).await.unwrap();
        assert_eq!(
            (log.state().purged, log.state().last),
            (Some(id(4, 99)), Some(id(4, 99)))
        );
        append_durably(&log, vec![entry(id(4, 100), payload(1, 10))]).await;
        journal.close().await;
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let log = process.open(SMALL).await.unwrap().group(group(1)).unwrap();
        assert_eq!(log.state().purged, Some(id(4, 99)));
        assert_eq!(read_all(&log).await, [entry(id(4, 100), payload(1, 10))]);
    });
}

#[test]
fn closing_writes_everything_and_then_refuses() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (journal, log) = open(&process, SMALL).await;
        let durable = append(&log, vec![entry(id(1, 0), payload(1, 10))]).await;
        log.save_committed(id(1, 0));
        journal.close().await;
        journal.close().await;
        durable.await.unwrap().unwrap();
        let late = log
            .append(vec![entry(id(1, 1), "")], Box::new(|_| panic!("closed")))
            .await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(log.save_vote(Vote::default()).await.is_err());
        assert!(journal.create_group(group(7), ReplicaId(7)).await.is_err());
        assert_eq!(read_all(&log).await.len(), 1, "reads go on");
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let log = process.open(SMALL).await.unwrap().group(group(1)).unwrap();
        assert_eq!(log.state().committed, Some(id(1, 0)));
    });
}

#[test]
fn appends_wait_while_too_much_is_not_durable() {
    simulate(async {
        let process = Process::on(stuck_disk());
        let (_journal, log) = open(
            &process,
            JournalOptions {
                segment_bytes: 256 << 20,
                ..SMALL
            },
        )
        .await;
        let large = Bytes::from(vec![7; 4 << 20]);
        let writes = async {
            for index in 0..12 {
                drop(append(&log, vec![entry(id(1, index), large.clone())]).await);
            }
        };
        let started = process.env.clock.now();
        let soon = process.env.clock.timeout(Duration::from_secs(5), writes).await;
        assert!(soon.is_err(), "48 MiB went in without any being durable");
        let in_flight = log.state().last.unwrap().index + 1;
        assert!((7..=8).contains(&in_flight), "{in_flight}");
        let last = entry(id(1, in_flight), payload(1, 1));
        append_durably(&log, vec![last]).await;
        assert!(process.env.clock.now().since(started) > Duration::from_secs(10));
    });
}

#[test]
fn released_entries_leave_memory_but_for_a_window_and_the_undurable() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let options = JournalOptions {
            tail_bytes: 100_000,
            ..SMALL
        };
        let (journal, log) = open(&process, options).await;
        for index in 0..40 {
            append_durably(&log, vec![entry(id(1, index), payload(index, 1_000))]).await;
        }
        log.release(39);
        // Every disk read fails from here on, so what can be read is in memory.
        journal.close().await;
        let crashed = process.vfs.crash(Crash::Process);
        assert_eq!(
            log.read(0, 40, usize::MAX).await.unwrap().len(),
            40,
            "below half the bound all stay"
        );
        drop(crashed);
        let process = Process::on(MemVfs::default());
        let (journal, log) = open(&process, options).await;
        for index in 0..200 {
            append_durably(&log, vec![entry(id(1, index), payload(index, 1_000))]).await;
        }
        log.release(199);
        journal.close().await;
        let _crashed = process.vfs.crash(Crash::Process);
        assert!(
            log.read(0, 1, usize::MAX).await.is_err(),
            "the oldest are on disk only"
        );
        assert_eq!(
            log.read(150, 200, usize::MAX).await.unwrap().len(),
            50,
            "the window"
        );
        assert!(log.read(149, 150, usize::MAX).await.is_err());
    });
}

#[test]
fn an_empty_append_is_done_at_once() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let (_journal, log) = open(&process, SMALL).await;
        assert!(append(&log, vec![]).await.try_recv().is_ok());
        assert_eq!(log.state().last, None);
        assert_eq!(read_all(&log).await, []);
    });
}

#[test]
fn starting_again_and_again_leaves_no_heap_of_files() {
    simulate(async {
        let mut vfs = MemVfs::default();
        for _ in 0..10 {
            let process = Process::on(vfs);
            let journal = process
                .open(JournalOptions {
                    preallocate: true,
                    ..SMALL
                })
                .await
                .unwrap();
            process.env.clock.sleep(Duration::from_secs(5)).await;
            // Two segments and the lock.
            assert_eq!(process.vfs.list(Path::new(DIR)).unwrap().len(), 3);
            journal.close().await;
            vfs = process.vfs.crash(Crash::LoseAll);
        }
        // With something in it a segment stays, but without the zeros it did not use.
        for restart in 0..5 {
            let process = Process::on(vfs);
            let (journal, log) = open(
                &process,
                JournalOptions {
                    preallocate: true,
                    ..SMALL
                },
            )
            .await;
            append_durably(&log, vec![entry(id(1, restart), payload(restart, 10))]).await;
            journal.close().await;
            vfs = process.vfs.crash(Crash::LoseAll);
        }
        let process = Process::on(vfs);
        process.open(SMALL).await.unwrap();
        let names = process.vfs.list(Path::new(DIR)).unwrap();
        for name in &names[..5] {
            let len = process
                .vfs
                .durable_bytes(&Path::new(DIR).join(name))
                .unwrap()
                .len();
            assert!(len <= 4 * 4096, "{name}: {len}");
        }
    });
}
