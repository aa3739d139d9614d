//! Segments that hold nothing but values are not read at a start, and everything else is.

use super::*;

/// A journal of many segments of which only the newest ones hold entries that are not purged; none is freed. The power is
/// cut.
async fn purged(options: JournalOptions) -> (MemVfs, u32, Logs) {
    purged_beside(options, 0).await
}

/// The same with so many groups more, which have nothing.
async fn purged_beside(options: JournalOptions, groups: u64) -> (MemVfs, u32, Logs) {
    let (process, journal, log) = start(options, 20).await;
    for number in 10..10 + groups {
        journal
            .create_group(group(number), ReplicaId(number))
            .await
            .unwrap();
    }
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

/// The next start writes its first frame, as far as the disk lets it.
async fn begin(process: &Process, options: JournalOptions) {
    if let Ok(journal) = process.open(options).await {
        let _ = journal.mark().await;
    }
}

/// The power goes at every operation of a start, so also in the middle of the first frame of the newest segment: what is
/// not needed is not read for its sake, and rot in what is needed is found.
#[test]
fn a_first_frame_cut_short_is_no_reason_to_read_everything() {
    simulate(async {
        // Of so many groups that what they say fills several sectors.
        let (vfs, kept, logs) = purged_beside(SMALL, 12).await;
        let (mut torn, mut operation) = (0, 0);
        let unread = vfs.fork(0);
        unread.flip_bit(&Path::new(DIR).join(name(2)), IN_A_FRAME, 3);
        let rotten = vfs.fork(0);
        rotten.flip_bit(&Path::new(DIR).join(name(kept + 1)), IN_A_FRAME, 3);
        let disks = [(&unread, Some(&logs)), (&rotten, None)];
        loop {
            operation += 1;
            let mut frozen = true;
            for (seed, (disk, expected)) in (0..6).flat_map(|seed| disks.map(|disk| (seed, disk))) {
                let (crashed, cut) = begin_and_crash(disk, operation, seed).await;
                frozen = cut;
                torn += u32::from(is_torn(&crashed));
                let found = found(&crashed).await;
                assert_eq!(found.as_ref(), expected, "operation {operation} seed {seed}");
            }
            if !frozen {
                break;
            }
        }
        assert!(
            torn > 1 && operation > 5,
            "{torn} first frames were cut short in {operation}"
        );
    });
}

/// Such a start, cut at one of its operations; and whether that was before its end.
async fn begin_and_crash(disk: &MemVfs, operation: u64, seed: u64) -> (MemVfs, bool) {
    let process = Process::on(disk.fork(seed).crash(Crash::Process));
    process.vfs.freeze_at(process.vfs.operations() + operation);
    let start = begin(&process, SMALL);
    let ended = process.env.clock.timeout(Duration::from_secs(60), start).await;
    let cut = ended.is_err() || process.vfs.is_frozen();
    process.kill();
    let crashed = process.vfs.fork(seed * 1000 + operation).crash(Crash::Random);
    (crashed, cut)
}

/// The newest segment that was written to begins with a frame that some sector of is missing.
fn is_torn(vfs: &MemVfs) -> bool {
    let files = names(vfs, ".jnl").into_iter().rev();
    let mut bytes = files.map(|name| vfs.durable_bytes(&Path::new(DIR).join(name)).unwrap_or_default());
    let newest = bytes.find(|bytes| bytes.iter().skip(4096).any(|byte| *byte != 0));
    let newest = newest.unwrap_or_default();
    let header = &newest[4096..4096 + 64];
    let len = 64 + u32::from_le_bytes(header[32..36].try_into().unwrap()) as usize;
    let mut sectors = newest[4096..].chunks(512).take(len.div_ceil(512));
    sectors.any(|sector| sector.iter().all(|byte| *byte == 0))
}

/// The logs, if nothing is wrong.
async fn found(vfs: &MemVfs) -> Option<Logs> {
    let process = Process::on(vfs.fork(0).crash(Crash::LoseAll));
    let journal = process.open(SMALL).await.unwrap();
    let sound = journal.damage().is_none() && journal.quarantined().is_empty();
    let logs = contents(&journal).await;
    process.kill();
    sound.then_some(logs)
}

/// A group in quarantine needs nothing any more, and the damage that put it there need not be found again: the next start reads
/// what the other group needs, and that alone.
#[test]
fn a_group_in_quarantine_is_no_reason_to_read_everything() {
    simulate(async {
        let (process, journal, log) = start(SMALL, 4).await;
        let other = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
        write(&other, 20).await;
        write(&log, 3).await;
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        // Where the first group was created, and the second one was not yet.
        vfs.flip_bit(&Path::new(DIR).join(name(1)), 4096 + 70, 3);
        let process = Process::on(vfs.crash(Crash::Process));
        let journal = process.open(SMALL).await.unwrap();
        assert_eq!(journal.quarantined(), [group(1)]);
        let other = journal.group(group(2)).unwrap();
        other.purge(other.purge_limit(2).unwrap()).await.unwrap();
        write(&other, 8).await;
        let (kept, logs) = (other.oldest_segment().unwrap(), contents(&journal).await);
        assert!(kept > 5, "{kept}");
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let newest = names(&vfs, ".jnl").len() as u32;
        let path = |segment| Path::new(DIR).join(name(segment));
        // The one that the damaged journal ended in is shorter.
        let is_long = |segment: &u32| vfs.durable_bytes(&path(*segment)).unwrap().len() as u64 > IN_A_FRAME;
        for segment in (2..newest - 1).filter(is_long) {
            let vfs = vfs.fork(0);
            vfs.flip_bit(&path(segment), IN_A_FRAME, 3);
            let mut vfs = vfs.crash(Crash::Process);
            let (lost, sound) = if segment < kept {
                (vec![group(1)], logs.clone())
            } else {
                (vec![group(1), group(2)], Logs::default())
            };
            for restart in 0..3 {
                let process = Process::on(vfs);
                let journal = process.open(SMALL).await.unwrap();
                assert!(journal.damage().is_some(), "segment {segment} restart {restart}");
                assert_eq!(journal.quarantined(), lost, "segment {segment} of {kept}");
                assert_eq!(contents(&journal).await, sound, "segment {segment} of {kept}");
                assert!(journal.create_group(group(9), ReplicaId(9)).await.is_err());
                journal.mark().await.unwrap();
                process.kill();
                vfs = process.vfs.crash(Crash::LoseAll);
            }
        }
    });
}
