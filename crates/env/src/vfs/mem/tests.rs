//! Crashes, faults and damage.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Crash, DiskTrouble, Fault, MemLatency, MemVfs, MemVfsOptions};
use crate::vfs::{File, OpenMode, Vfs, replace_file};
use crate::{BoxFuture, Clock, Spawn};

const DIR: &str = "/d";

fn disk(seed: u64) -> MemVfs {
    let vfs = MemVfs::new(MemVfsOptions {
        seed,
        ..MemVfsOptions::default()
    });
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    vfs
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

/// Nothing here waits, without latencies.
fn now<T>(work: BoxFuture<'_, T>) -> T {
    futures_util::FutureExt::now_or_never(work).expect("ready at once")
}

fn create(vfs: &MemVfs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = vfs.open(&path(name), OpenMode::CreateNew).unwrap();
    now(file.write_at(bytes, 0)).unwrap();
    file
}

fn durable(vfs: &MemVfs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = create(vfs, name, bytes);
    now(file.sync()).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    file
}

fn contents(vfs: &MemVfs, name: &str) -> Option<Vec<u8>> {
    vfs.exists(&path(name))
        .unwrap()
        .then(|| vfs.read_small(&path(name), 1 << 30).unwrap())
}

#[test]
fn what_was_synced_survives_and_the_rest_is_lost() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", b"durable");
    now(file.write_at(b"DUR", 0)).unwrap();
    now(file.write_at(b"longer", 10)).unwrap();
    assert_eq!(contents(&vfs, "a").unwrap(), b"DURable\0\0\0longer");
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"durable");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"durable");
}

#[test]
fn a_synced_file_without_a_synced_name_is_lost() {
    let vfs = disk(1);
    let file = create(&vfs, "a", b"bytes");
    now(file.sync()).unwrap();
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a"), None);
    assert!(
        vfs.exists(Path::new(DIR)).unwrap(),
        "folders are durable when made"
    );
}

#[test]
fn a_synced_name_without_synced_bytes_is_empty() {
    let vfs = disk(1);
    create(&vfs, "a", b"bytes");
    vfs.sync_dir(Path::new(DIR)).unwrap();
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"");
}

#[test]
fn renames_and_removals_come_undone_unless_synced() {
    let vfs = disk(1);
    durable(&vfs, "a", b"A");
    durable(&vfs, "b", b"B");
    vfs.rename(&path("a"), &path("c")).unwrap();
    vfs.remove(&path("b")).unwrap();
    let synced = vfs.fork(0);
    let lost = vfs.crash(Crash::LoseAll);
    assert_eq!(lost.list(Path::new(DIR)).unwrap(), ["a", "b"]);
    assert_eq!(contents(&lost, "b").unwrap(), b"B");
    synced.sync_dir(Path::new(DIR)).unwrap();
    let synced = synced.crash(Crash::LoseAll);
    assert_eq!(synced.list(Path::new(DIR)).unwrap(), ["c"]);
    assert_eq!(contents(&synced, "c").unwrap(), b"A");
}

#[test]
fn the_end_of_a_process_alone_loses_nothing_and_syncs_nothing() {
    let vfs = disk(1);
    let file = create(&vfs, "a", b"bytes");
    let vfs = vfs.crash(Crash::Process);
    assert!(file.len().is_err());
    assert_eq!(contents(&vfs, "a").unwrap(), b"bytes");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a"), None);
}

#[test]
fn a_dead_process_can_do_nothing_and_its_locks_are_free() {
    let dead = disk(1);
    let file = durable(&dead, "a", b"bytes");
    let lock = dead.lock(&path("LOCK")).unwrap();
    let vfs = dead.crash(Crash::Random);
    assert!(now(file.write_at(b"ghost", 0)).is_err());
    assert!(now(file.sync()).is_err());
    assert!(file.read_at(&mut [0; 5], 0).is_err());
    assert!(dead.open(&path("a"), OpenMode::Read).is_err());
    assert!(dead.remove(&path("a")).is_err());
    assert!(dead.lock(&path("LOCK")).is_err());
    let _again = vfs.lock(&path("LOCK")).unwrap();
    drop(lock);
    assert!(
        vfs.lock(&path("LOCK")).is_err(),
        "a ghost's guard does not release the new lock"
    );
    assert_eq!(contents(&vfs, "a").unwrap(), b"bytes");
}

#[test]
fn luck_keeps_loses_and_tears_sectors_each_alone() {
    let (mut kept, mut lost, mut torn, mut mixed, mut shorter) = (0, 0, 0, 0, 0);
    for seed in 0..300 {
        let vfs = disk(seed);
        let file = durable(&vfs, "a", &[b'o'; 4 * 512]);
        now(file.write_at(&[b'n'; 6 * 512], 0)).unwrap();
        let vfs = vfs.crash(Crash::Random);
        let after = contents(&vfs, "a").unwrap();
        shorter += u32::from(after.len() < 6 * 512);
        let whole: Vec<BTreeSet<u8>> = after
            .chunks(512)
            .map(|sector| sector.iter().copied().collect())
            .collect();
        let new = whole
            .iter()
            .filter(|bytes| **bytes == BTreeSet::from([b'n']))
            .count();
        let old = whole
            .iter()
            .take(4)
            .filter(|bytes| **bytes == BTreeSet::from([b'o']))
            .count();
        torn += u32::from(whole.iter().any(|bytes| bytes.len() > 1));
        kept += u32::from(new == 6);
        lost += u32::from(old == 4 && after.len() == 4 * 512);
        mixed += u32::from(new > 0 && old > 0);
        assert!(after.len() >= 4 * 512, "what was synced is there");
    }
    for (what, times) in [
        ("kept", kept),
        ("lost", lost),
        ("torn", torn),
        ("mixed", mixed),
        ("shorter", shorter),
    ] {
        assert!((10..290).contains(&times), "{what}: {times} of 300");
    }
}

#[test]
fn luck_decides_about_each_name_alone() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let vfs = disk(seed);
        durable(&vfs, "a", b"A");
        create(&vfs, "b", b"B");
        vfs.rename(&path("a"), &path("c")).unwrap();
        outcomes.insert(vfs.crash(Crash::Random).list(Path::new(DIR)).unwrap().join(" "));
    }
    assert_eq!(
        outcomes,
        BTreeSet::from(["a", "a b", "c", "b c"].map(str::to_owned))
    );
}

#[test]
fn a_failed_sync_loses_the_bytes_for_good() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", b"old");
    now(file.write_at(b"new", 0)).unwrap();
    vfs.fail_next(Fault::Sync, "a");
    assert!(now(file.sync()).is_err());
    assert_eq!(contents(&vfs, "a").unwrap(), b"new", "it still reads back");
    now(file.write_at(b"!", 3)).unwrap();
    now(file.sync()).expect("a later sync says that all is well");
    file.forget_cached().unwrap();
    assert_eq!(contents(&vfs, "a").unwrap(), b"old!", "as the disk has it");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"old!", "though it is not");
}

#[test]
fn faults_hit_the_named_file_once_each() {
    let vfs = disk(1);
    let a = durable(&vfs, "a", b"0123456789");
    let b = durable(&vfs, "b", b"x");
    vfs.fail_next(Fault::Read, "/d/a");
    vfs.fail_next(Fault::Write, "/d/a");
    let mut buffer = [0; 1];
    assert!(b.read_at(&mut buffer, 0).is_ok());
    assert!(now(b.write_at(b"y", 0)).is_ok());
    assert!(a.read_at(&mut buffer, 0).is_err());
    assert!(a.read_at(&mut buffer, 0).is_ok());
    assert!(now(a.write_at(b"abcdefghij", 0)).is_err());
    let half = contents(&vfs, "a").unwrap();
    let done = half.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    assert_eq!(&half[done..], &b"0123456789"[done..], "a prefix was written");
    assert!(now(a.write_at(b"abcdefghij", 0)).is_ok());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", b"1234");
    vfs.set_free_bytes(3);
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 3);
    now(file.write_at(b"4321", 0)).expect("overwriting needs no room");
    assert_eq!(
        now(file.write_at(b"56789", 4)).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(contents(&vfs, "a").unwrap(), b"4321567");
    assert_eq!(file.allocate(8).unwrap_err().kind(), ErrorKind::StorageFull);
    vfs.set_free_bytes(10);
    file.allocate(17).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 0);
    vfs.remove(&path("a")).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 0, "somebody has it open");
    drop(file);
    vfs.sync_dir(Path::new(DIR)).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 17);
}

#[test]
fn damage_at_rest_is_there_before_and_after_a_crash() {
    let vfs = disk(1);
    durable(&vfs, "a", b"abc");
    vfs.flip_bit(&path("a"), 1, 0);
    assert_eq!(contents(&vfs, "a").unwrap(), b"acc");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"acc");
    vfs.truncate(&path("a"), 1);
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"a");
}

#[test]
fn a_bad_disk_fails_and_spoils_as_often_as_asked_and_counts_it() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", &vec![b'o'; 64 * 4096]);
    let often = DiskTrouble {
        read_errors: 300_000,
        write_errors: 300_000,
        sync_errors: 300_000,
        ..DiskTrouble::default()
    };
    vfs.set_trouble(often);
    let failures = |work: &mut dyn FnMut() -> bool| (0..1000).filter(|_| work()).count() as u64;
    let reads = failures(&mut || file.read_at(&mut [0; 1], 0).is_err());
    let writes = failures(&mut || now(file.write_at(b"oo", 0)).is_err());
    let syncs = failures(&mut || now(file.sync()).is_err());
    let faults = vfs.faults();
    assert_eq!(
        (reads, writes, syncs),
        (faults.read_errors, faults.write_errors, faults.sync_errors)
    );
    for count in [reads, writes, syncs] {
        assert!((200..400).contains(&count), "{count} of 1000");
    }
    vfs.set_trouble(DiskTrouble {
        misdirected: 1_000_000,
        ..DiskTrouble::default()
    });
    now(file.write_at(&[b'n'; 4096], 0)).unwrap();
    vfs.set_trouble(DiskTrouble::default());
    now(file.sync()).unwrap();
    let vfs = vfs.crash(Crash::LoseAll);
    let after = contents(&vfs, "a").unwrap();
    let hit: Vec<usize> = (0..64)
        .filter(|block| after[block * 4096..][..4096] == [b'n'; 4096])
        .collect();
    assert_eq!((hit.len(), after.len()), (1, 64 * 4096), "{hit:?}");
    assert_eq!(vfs.flip_somewhere("/nowhere/"), None);
    let (path, offset) = vfs.flip_somewhere("/d/").expect("there are bytes");
    let flipped = contents(&vfs, "a").unwrap();
    assert_eq!(path, self::path("a"));
    assert_eq!(
        (flipped[offset as usize] ^ after[offset as usize]).count_ones(),
        1
    );
    assert_eq!(
        (vfs.faults().damages(), vfs.faults().errors()),
        (2, reads + writes + syncs)
    );
}

#[test]
fn large_sectors_are_kept_lost_and_torn_as_a_whole() {
    let mut torn = 0;
    for seed in 0..100 {
        let vfs = MemVfs::new(MemVfsOptions {
            seed,
            sector_bytes: 4096,
            ..MemVfsOptions::default()
        });
        vfs.create_dir_all(Path::new(DIR)).unwrap();
        let file = durable(&vfs, "a", &[b'o'; 4 * 4096]);
        now(file.write_at(&[b'n'; 4 * 4096], 0)).unwrap();
        let vfs = vfs.crash(Crash::Random);
        for sector in contents(&vfs, "a").unwrap().chunks(4096) {
            // One change at most within a sector.
            let changes = sector
                .windows(2)
                .filter(|pair| pair[0] != pair[1] && pair.iter().all(u8::is_ascii_lowercase))
                .count();
            torn += usize::from(changes == 1);
            assert!(changes <= 1 || sector.iter().any(|byte| !b"on".contains(byte)));
        }
    }
    assert!(torn > 5, "{torn}");
}

#[test]
fn cold_reads_happen_as_often_as_asked() {
    let vfs = MemVfs::new(MemVfsOptions {
        cold_reads_permille: 300,
        ..MemVfsOptions::default()
    });
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    let file = durable(&vfs, "a", b"abc");
    let cold = (0..1000)
        .filter(|_| file.try_read_at(&mut [0; 3], 0).unwrap().is_none())
        .count();
    assert!((200..400).contains(&cold), "{cold}");
    assert_eq!(file.read_at(&mut [0; 3], 0).unwrap(), 3);
}

/// A program that is careful in the right way: at every point of its trace, a crash leaves either
/// the old contents or the new.
#[test]
fn replacing_a_file_is_atomic_at_every_operation() {
    let run = |vfs: &MemVfs| {
        let work = replace_file(vfs, Path::new("/d/file"), &[b'n'; 2000]);
        now(Box::pin(work))
    };
    let prepare = |seed| {
        let vfs = disk(seed);
        durable(&vfs, "file", &[b'o'; 1500]);
        vfs
    };
    let vfs = prepare(0);
    let before = vfs.operations();
    run(&vfs).unwrap();
    let operations = before + 1..=vfs.operations();
    assert_eq!(
        operations.clone().count(),
        5,
        "create, write, sync, rename, sync of the folder"
    );
    let mut seen = BTreeSet::new();
    for operation in operations {
        for seed in 0..40 {
            let vfs = prepare(seed);
            vfs.freeze_at(operation);
            assert!(run(&vfs).is_err());
            assert!(vfs.is_frozen());
            assert!(vfs.exists(&path("file")).is_err(), "everything fails now");
            let vfs = vfs.crash(Crash::Random);
            let file = contents(&vfs, "file").expect("there is always a file");
            assert!(
                file == [b'o'; 1500] || file == [b'n'; 2000],
                "operation {operation}, seed {seed}"
            );
            seen.insert((operation - before, file[0]));
            run(&vfs).expect("a new process can go on");
            assert_eq!(
                contents(&vfs.crash(Crash::LoseAll), "file").unwrap(),
                [b'n'; 2000]
            );
        }
    }
    let expected = [
        (1, b'o'),
        (2, b'o'),
        (3, b'o'),
        (4, b'n'),
        (4, b'o'),
        (5, b'n'),
        (5, b'o'),
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// The same program without its sync: the crash test must find that.
#[test]
fn a_missing_sync_is_found() {
    let careless = |seed| {
        let vfs = disk(seed);
        durable(&vfs, "file", b"old");
        create(&vfs, "file.new", b"new");
        vfs.rename(&path("file.new"), &path("file")).unwrap();
        vfs.sync_dir(Path::new(DIR)).unwrap();
        contents(&vfs.crash(Crash::Random), "file").unwrap()
    };
    assert!((0..40).map(careless).any(|file| file != b"old" && file != b"new"));
}

#[tokio::test(start_paused = true)]
async fn writes_and_syncs_take_time_and_a_sync_covers_what_was_before_it() {
    let clock = Clock::simulated(1.0, 0);
    let millis = Duration::from_millis;
    let latency = MemLatency {
        clock: clock.clone(),
        write: millis(1)..millis(2),
        sync: millis(10)..millis(20),
    };
    let options = MemVfsOptions {
        latency: Some(latency),
        ..MemVfsOptions::default()
    };
    let vfs = MemVfs::new(options);
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    let file = vfs.open(&path("a"), OpenMode::CreateNew).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    let start = clock.now();
    file.write_at(b"before", 0).await.unwrap();
    let written = clock.now().since(start);
    assert!((millis(1)..=millis(3)).contains(&written), "{written:?}");
    let syncing = Arc::clone(&file);
    let sync = Spawn::tokio().spawn(async move { syncing.sync().await });
    clock.sleep(millis(5)).await;
    file.write_at(b"meanwhile", 6).await.unwrap();
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"", "not yet");
    sync.await.unwrap().unwrap();
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"before");
    let ghost = Arc::clone(&file);
    let late = Spawn::tokio().spawn(async move { ghost.sync().await });
    clock.sleep(millis(1)).await;
    let vfs = vfs.crash(Crash::LoseAll);
    assert!(
        late.await.unwrap().is_err(),
        "a sync in progress does not outlive its process"
    );
    assert_eq!(vfs.durable_bytes(&path("a")).unwrap(), b"before");
}

#[derive(Clone, Debug)]
enum Step {
    Write { offset: u64, len: usize },
    Allocate(u64),
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0_u64..3000, 0_usize..1500).prop_map(|(offset, len)| Step::Write { offset, len });
    let step = prop_oneof![4 => write, 1 => (0_u64..4000).prop_map(Step::Allocate), 1 => Just(Step::Sync)];
    proptest::collection::vec(step, 0..20)
}

proptest! {
    /// After any crash each byte is one that it had at, or after, the last sync (or is in a sector
    /// that was being written), and the same seed gives the same disk.
    #[test]
    fn every_byte_after_a_crash_has_a_history(steps in steps(), seed: u64) {
        let vfs = disk(seed);
        let file = durable(&vfs, "a", b"");
        let mut states = vec![Vec::new()];
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Write { offset, len } => now(file.write_at(&vec![number as u8 + 1; *len], *offset)).unwrap(),
                Step::Allocate(len) => file.allocate(*len).unwrap(),
                Step::Sync => {
                    now(file.sync()).unwrap();
                    states.clear();
                }
            }
            states.push(contents(&vfs, "a").unwrap());
        }
        let twin = vfs.fork(7);
        let same = contents(&vfs.fork(7).crash(Crash::Random), "a");
        let after = contents(&twin.crash(Crash::Random), "a").unwrap();
        prop_assert_eq!(same.as_ref(), Some(&after));
        prop_assert!(states.iter().any(|state| state.len() == after.len()));
        let stable = states[0].len().min(after.len());
        for sector in (0..stable).step_by(512) {
            let range = sector..(sector + 512).min(stable);
            let untouched = states.iter().all(|state| state.get(range.clone()) == Some(&states[0][range.clone()]));
            if untouched {
                prop_assert_eq!(&after[range.clone()], &states[0][range]);
            }
        }
    }
}
