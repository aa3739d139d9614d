//! A journal that lost what it held never passes for one that held nothing: a replica that started
//! again with an empty log would vote as if it had never voted.

use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::JournalOptions;
use atoll_types::{ReplicaId, Vote};

use crate::disk::segments;
use crate::support::*;

const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 1 << 20,
    ..SMALL
};

/// One segment with a group that voted and holds entries.
async fn one_segment() -> MemVfs {
    let process = Process::on(MemVfs::default());
    let journal = process.open(OPTIONS).await.unwrap();
    let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    log.save_vote(Vote {
        term: 3,
        candidate: ReplicaId(2),
        committed: true,
    })
    .await
    .unwrap();
    for index in 0..6 {
        append_durably(&log, vec![entry(id(3, index), payload(index, 100))]).await;
    }
    process.kill();
    process.vfs.crash(Crash::LoseAll)
}

#[test]
fn a_group_behind_damage_is_not_created_anew() {
    simulate(async {
        let vfs = one_segment().await;
        // The header, and then the frame that creates the group.
        for offset in [50, 4096 + 70] {
            let damaged = vfs.fork(0);
            damaged.flip_bit(&segments(&damaged)[0], offset, 3);
            let mut disk = damaged.crash(Crash::Process);
            // However often the node starts.
            for _ in 0..3 {
                let process = Process::on(disk.clone());
                let journal = process.open(OPTIONS).await.unwrap();
                assert!(journal.damage().is_some(), "offset {offset}");
                let again = journal.create_group(group(1), ReplicaId(1)).await;
                assert!(again.is_err(), "offset {offset}: the vote is forgotten");
                let other = journal.create_group(group(9), ReplicaId(9)).await;
                assert!(other.is_err(), "offset {offset}: it may have lived here too");
                journal.close().await;
                process.kill();
                disk = disk.crash(Crash::Process);
            }
        }
    });
}

#[test]
fn the_header_of_an_entered_segment_proves_the_end_of_the_one_before() {
    simulate(async {
        let vfs = one_segment().await;
        // A start that is killed before its first frame leaves a segment with nothing but a header.
        let process = Process::on(vfs);
        let journal = process.open(OPTIONS).await.unwrap();
        assert!(journal.damage().is_none());
        process.kill();
        let vfs = process.vfs.crash(Crash::LoseAll);
        let files = segments(&vfs);
        assert!(files.len() >= 2, "{files:?}");
        let end = vfs.durable_bytes(&files[0]).unwrap().len() as u64;
        // Undamaged it is simply gone.
        let sound = Process::on(vfs.fork(0).crash(Crash::Process));
        assert!(sound.open(OPTIONS).await.unwrap().damage().is_none());
        // The last three frames rot: without the proof they would pass for torn.
        for frame in 1..=3 {
            vfs.flip_bit(&files[0], end - frame * 4096 + 8, 1);
        }
        let process = Process::on(vfs.crash(Crash::Process));
        let journal = process.open(OPTIONS).await.unwrap();
        assert_eq!(journal.quarantined(), [group(1)]);
    });
}

#[test]
fn a_journal_whose_frames_are_gone_says_so() {
    simulate(async {
        let vfs = one_segment().await;
        let process = Process::on(vfs.fork(0).crash(Crash::Process));
        assert!(process.open(OPTIONS).await.unwrap().frames_found() > 6);
        vfs.truncate(&segments(&vfs)[0], 4096);
        let process = Process::on(vfs.crash(Crash::Process));
        let journal = process.open(OPTIONS).await.unwrap();
        assert_eq!(journal.frames_found(), 0);
        journal.close().await;
        process.kill();
        // Looking at it does not make it look used.
        let process = Process::on(process.vfs.crash(Crash::Process));
        assert_eq!(process.open(OPTIONS).await.unwrap().frames_found(), 0);
    });
}
