//! Segments that hold nothing but values are not read at a start, and everything else is.

use super::*;

/// A journal of many segments of which only the newest ones hold entries that are not purged; none is freed. The power is
/// cut.
async fn purged(options: JournalOptions) -> (MemVfs, u32, Logs) {
    let (process, journal, log) = start(options, 20).await;
    let idle = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
    log.purge(log.purge_limit(2).unwrap()).await.unwrap();
    // So that the newest segment begins with what was purged.
    write(&log, 8).await;
    let vote = Vote {
        term: 4,
        candidate: ReplicaId(2),
        committed: true,
    };
    idle.save_vote(vote).await.unwrap();
    let kept = log.oldest_segment().unwrap();
    assert!(kept > 5 && journal.segments().oldest == 1);
    let logs = contents(&journal).await;
    journal.mark().await.unwrap();
    process.kill();
    (process.vfs.crash(Crash::LoseAll), kept, logs)
}

/// What a start makes of it: the logs, if nothing is wrong.
async fn opened(vfs: &MemVfs) -> Option<Logs> {
    let process = Process::on(vfs.fork(0).crash(Crash::LoseAll));
    let journal = process.open(SMALL).await.unwrap();
    let sound = journal.damage().is_none() && journal.quarantined().is_empty();
    let logs = contents(&journal).await;
    if sound {
        // Values there can still be read, and segments be freed.
        assert_eq!(journal.segments().oldest, 1);
        let kept = journal.free_before(u32::MAX).await.unwrap();
        assert!(kept > 5);
    }
    process.kill();
    sound.then_some(logs)
}

async fn flipped(vfs: &MemVfs, segment: u32, byte: u64) -> Option<Logs> {
    let vfs = vfs.fork(0);
    vfs.flip_bit(&Path::new(DIR).join(name(segment)), byte, 3);
    opened(&vfs).await
}

/// In the middle of the second frame, behind the heads.
const IN_A_FRAME: u64 = 4096 + 4096 + 9_000;

#[test]
fn a_start_reads_what_logs_need_and_finds_the_same() {
    simulate(async {
        for options in [SMALL, AHEAD] {
            let (vfs, kept, logs) = purged(options).await;
            assert_eq!(opened(&vfs).await.as_ref(), Some(&logs));
            for segment in 1..kept {
                let found = flipped(&vfs, segment, IN_A_FRAME).await;
                assert_eq!(found.as_ref(), Some(&logs), "segment {segment} of {kept}");
            }
            assert!(flipped(&vfs, kept, IN_A_FRAME).await.is_none(), "rot is found");
            assert!(flipped(&vfs, kept + 1, IN_A_FRAME).await.is_none());
        }
    });
}

#[test]
fn what_is_missing_is_found_also_where_nothing_is_read() {
    simulate(async {
        let (vfs, kept, _) = purged(SMALL).await;
        for segment in 1..=kept {
            let vfs = vfs.fork(0);
            vfs.remove(&Path::new(DIR).join(name(segment))).unwrap();
            vfs.sync_dir(Path::new(DIR)).unwrap();
            assert!(opened(&vfs).await.is_none(), "segment {segment}");
        }
        // A header that is damaged says nothing of what follows it.
        for segment in 1..=kept {
            assert!(flipped(&vfs, segment, 500).await.is_none(), "segment {segment}");
        }
    });
}

#[test]
fn a_log_that_is_not_purged_has_everything_read() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 20).await;
        let other = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
        write(&other, 1).await;
        write(&log, 9).await;
        log.purge(log.purge_limit(1).unwrap()).await.unwrap();
        write(&log, 9).await;
        let kept = other.oldest_segment().unwrap();
        let logs = contents(&journal).await;
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        assert_eq!(opened(&vfs).await, Some(logs.clone()));
        assert_eq!(flipped(&vfs, kept - 1, IN_A_FRAME).await, Some(logs));
        let newest = names(&vfs, ".jnl").len() as u32;
        for segment in kept..newest - 1 {
            assert!(
                flipped(&vfs, segment, IN_A_FRAME).await.is_none(),
                "segment {segment}"
            );
        }
    });
}
