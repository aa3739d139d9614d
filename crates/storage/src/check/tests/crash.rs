//! Whatever a crash leaves is sound: recovery needs nothing else.

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};

use super::{assert_sound, report};
use crate::check::{Repair, plan_leftovers};
use crate::store::tests::disk::{data, env, sealed, simulate, starts, stopped, write, write_freed};

#[test]
fn a_node_that_was_stopped_leaves_a_sound_directory() {
    simulate(async {
        let vfs = stopped().await;
        let report = report(&vfs);
        assert_sound(&report);
        assert_eq!(report.leftovers().count(), 0, "{report:#?}");
        let [group] = report.groups.as_slice() else {
            panic!("{:#?}", report.groups)
        };
        let (log, checkpoint) = (group.log.as_ref().unwrap(), group.checkpoint.unwrap());
        assert_eq!(log.last.unwrap().index, 3);
        assert_eq!(log.entries, 3);
        assert_eq!(checkpoint.applied.unwrap().index, 2);
        assert!(checkpoint.rows > 40, "{checkpoint:?}");
    });
}

/// What a crash left is sound, and so it is without what was left behind. True if there was anything.
async fn clean(vfs: MemVfs, when: &str) -> bool {
    let found = report(&vfs);
    assert!(found.is_sound(), "{when}: {found:#?}");
    if found.leftovers().next().is_none() {
        return false;
    }
    Repair::settle(&env(&vfs), data()).unwrap();
    let found = report(&vfs);
    plan_leftovers(&found).apply(&env(&vfs), data()).unwrap();
    let cleaned = report(&vfs);
    assert!(cleaned.is_sound(), "{when}: {cleaned:#?}");
    assert_eq!(cleaned.leftovers().count(), 0, "{when}: {cleaned:#?}");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_sound(&report(&vfs));
    assert!(starts(&vfs).await, "{when}");
    true
}

/// At every operation of the disk, with all that a crash can do. What was left behind and is removed is not missed. How often
/// something was left behind, and how many runs came not to their end.
async fn at_every_operation(write: impl AsyncFn(&MemVfs) -> bool) -> (u64, u64) {
    let sound = MemVfs::default();
    assert!(write(&sound).await);
    let (mut leftovers, mut unfinished) = (0, 0);
    for operation in 1..=sound.operations() {
        let vfs = MemVfs::default();
        vfs.freeze_at(operation);
        // Some wait for ever for what a disk does not do any more.
        let clock = env(&vfs).clock;
        let done = clock.timeout(Duration::from_secs(600), write(&vfs)).await;
        unfinished += u64::from(done != Ok(true));
        for (seed, crash) in [(1, Crash::Process), (2, Crash::LoseAll), (3, Crash::Random)] {
            let vfs = vfs.fork(operation + seed).crash(crash);
            leftovers += u64::from(clean(vfs, &format!("operation {operation}, {crash:?}")).await);
        }
    }
    (leftovers, unfinished)
}

#[test]
fn a_crash_at_any_operation_leaves_a_sound_directory() {
    simulate(async {
        let (leftovers, unfinished) = at_every_operation(write).await;
        assert!(leftovers > 20 && unfinished > 50, "{leftovers} {unfinished}");
    });
}

#[test]
fn a_crash_while_segments_are_freed_and_used_again_leaves_a_sound_directory() {
    simulate(async {
        let (leftovers, unfinished) = at_every_operation(write_freed).await;
        assert!(leftovers > 5 && unfinished > 50, "{leftovers} {unfinished}");
    });
}

#[test]
fn a_crash_at_any_operation_leaves_a_sound_directory_of_sealed_files() {
    sealed(a_crash_at_any_operation_leaves_a_sound_directory);
    sealed(a_crash_while_segments_are_freed_and_used_again_leaves_a_sound_directory);
}
