//! Repairs take away only what a start does without.

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, OpenMode};
use atoll_types::GroupKey;

use super::{assert_sound, report};
use crate::check::{Repair, plan_drop, plan_leftovers};
use crate::store::tests::disk::{
    GROUP, data, env, group_dir, install, journal_dir, purged, simulate, starts, stopped,
};

#[test]
fn a_checkpoint_that_the_log_can_make_again_is_dropped() {
    simulate(async {
        let vfs = stopped().await;
        vfs.flip_bit(&group_dir().join("MANIFEST"), 30, 1);
        assert!(!starts(&vfs.fork(1).crash(Crash::Process)).await);
        let vfs = vfs.crash(Crash::Process);
        Repair::settle(&env(&vfs), data()).unwrap();
        let found = report(&vfs);
        let repair = plan_drop(&found, GROUP).unwrap();
        assert!(repair.bytes(&found) > 8192 && repair.kept.is_empty());
        repair.apply(&env(&vfs), data()).unwrap();
        let vfs = vfs.crash(Crash::LoseAll);
        assert!(vfs.list(&group_dir()).unwrap().is_empty());
        let found = report(&vfs);
        assert_sound(&found);
        assert!(found.groups[0].checkpoint.is_none());
        assert!(starts(&vfs).await);
    });
}

/// Cut short anywhere, it can be asked for again.
#[test]
fn dropping_goes_on_where_a_crash_ended_it() {
    simulate(async {
        let sound = stopped().await;
        let whole = sound.list(&group_dir()).unwrap();
        let before = sound.operations();
        plan_drop(&report(&sound), GROUP)
            .unwrap()
            .apply(&env(&sound), data())
            .unwrap();
        let steps = sound.operations() - before;
        assert!(steps >= 4, "{steps}");
        for step in 1..=steps {
            let vfs = stopped().await;
            vfs.freeze_at(vfs.operations() + step);
            let repair = plan_drop(&report(&vfs), GROUP).unwrap();
            assert!(repair.apply(&env(&vfs), data()).is_err(), "step {step}");
            let vfs = vfs.crash(Crash::Random);
            // As long as anything is there, so is what says how far it went, and no start takes the rest for all.
            let left = vfs.list(&group_dir()).unwrap();
            assert!(
                left.is_empty() || left.contains(&"MANIFEST".to_owned()),
                "{left:?}"
            );
            assert_eq!(
                starts(&vfs.fork(0)).await,
                left.is_empty() || left == whole,
                "{left:?}"
            );
            match plan_drop(&report(&vfs), GROUP) {
                Ok(repair) => repair.apply(&env(&vfs), data()).unwrap(),
                Err(why) => assert!(why.contains("has no checkpoint"), "step {step}: {why}"),
            }
            assert_sound(&report(&vfs));
            assert!(starts(&vfs).await, "step {step}");
        }
    });
}

#[test]
fn a_checkpoint_beside_a_damaged_journal_stays() {
    simulate(async {
        let vfs = stopped().await;
        let segment = journal_dir().join("0000000000000001.jnl");
        vfs.flip_bit(&segment, 4096 + 70, 1);
        let why = plan_drop(&report(&vfs), GROUP).unwrap_err();
        assert!(why.contains("must stay"), "{why}");
        let why = plan_drop(&report(&vfs), GroupKey::default()).unwrap_err();
        assert!(why.contains("does not live here"), "{why}");
    });
}

#[test]
fn a_checkpoint_that_has_what_the_log_gave_up_stays() {
    simulate(async {
        let vfs = stopped().await;
        let vfs = purged(&vfs).await;
        let found = report(&vfs);
        assert_sound(&found);
        let why = plan_drop(&found, GROUP).unwrap_err();
        assert!(why.contains("begins behind"), "{why}");
        // Without it, the log alone is not enough to start from.
        for name in vfs.list(&group_dir()).unwrap() {
            vfs.remove(&group_dir().join(name)).unwrap();
        }
        let found = report(&vfs);
        assert!(
            found.groups[0].problems[0].contains("no checkpoint has"),
            "{found:#?}"
        );
    });
}

/// A log that ends before a snapshot that was installed has lost nothing, and can make none of it again.
#[test]
fn a_snapshot_that_the_log_does_not_reach_stays() {
    simulate(async {
        let vfs = stopped().await;
        install(&vfs, 9, 9).await;
        let found = report(&vfs);
        assert_sound(&found);
        let why = plan_drop(&found, GROUP).unwrap_err();
        assert!(why.contains("it came as a snapshot"), "{why}");
        // What was applied to it since stood in the log.
        install(&vfs, 9, 10).await;
        let found = report(&vfs);
        let problem = &found.groups[0].problems[0];
        assert!(problem.contains("its log ends with"), "{problem}");
        assert!(plan_drop(&found, GROUP).is_err());
    });
}

/// With neither a manifest nor a run nor a mark, nobody knows how far the log went.
#[test]
fn what_nothing_vouches_for_stays() {
    simulate(async {
        let vfs = stopped().await;
        vfs.remove(&journal_dir().join("DURABLE")).unwrap();
        for name in vfs.list(&group_dir()).unwrap() {
            vfs.truncate(&group_dir().join(name), 3);
        }
        let why = plan_drop(&report(&vfs), GROUP).unwrap_err();
        assert!(why.contains("cannot be told"), "{why}");
    });
}

#[test]
fn leftovers_beside_damage_stay() {
    simulate(async {
        let vfs = stopped().await;
        let leftover = group_dir().join("r-0000000000000099.run");
        vfs.open(&leftover, OpenMode::CreateNew).unwrap();
        let repair = plan_leftovers(&report(&vfs));
        assert_eq!((repair.files().count(), repair.kept.len()), (1, 0));
        let run = vfs.list(&group_dir()).unwrap();
        let run = run.iter().find(|name| name.contains(".run")).unwrap();
        vfs.flip_bit(&group_dir().join(run), 5000, 1);
        let repair = plan_leftovers(&report(&vfs));
        assert_eq!((repair.files().count(), repair.kept.len()), (0, 1));
    });
}
