//! What a crash leaves: all that was synced, and of the rest what luck decides.

use proptest::prelude::*;

use super::*;

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
