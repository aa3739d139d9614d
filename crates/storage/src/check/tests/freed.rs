//! Journals that begin in the middle, in files that were used before.

use std::path::PathBuf;

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};

use super::{assert_sound, file, report};
use crate::check::{FileKind, FileReport, FileState, Report, plan_drop, plan_leftovers};
use crate::journal::{SegmentState, Survey};
use crate::store::tests::disk::{
    GROUP, IDENTITY, OTHER, damaged_and_freed, env, journal_dir, simulate, write_freed,
};

async fn freed() -> MemVfs {
    let vfs = MemVfs::default();
    assert!(write_freed(&vfs).await);
    vfs.crash(Crash::Process)
}

/// The newest segment with frames in it, and where the last one ends.
fn newest(vfs: &MemVfs) -> (PathBuf, u32) {
    let survey = Survey::read(&env(vfs), &journal_dir(), IDENTITY, &mut |_| {}).unwrap();
    let mut used = survey.segments.iter().filter_map(|segment| match segment.state {
        SegmentState::Read { end, frames, .. } if frames > 0 => Some((&segment.name, end)),
        _ => None,
    });
    let (name, end) = used.next_back().unwrap();
    (journal_dir().join(name), end)
}

fn of_kind(report: &Report, kind: FileKind) -> Vec<PathBuf> {
    let files = report.files.iter().filter(|file| file.kind == kind);
    files.map(|file| file.path.clone()).collect()
}

#[test]
fn a_journal_whose_front_was_freed_is_sound() {
    simulate(async {
        let vfs = freed().await;
        // Of another size: the next start removes it.
        let small = journal_dir().join("0000000000000099.spare");
        vfs.open(&small, OpenMode::CreateNew).unwrap();
        let found = report(&vfs);
        assert_sound(&found);
        let segments = of_kind(&found, FileKind::Segment);
        assert!(!segments[0].ends_with("0000000000000001.jnl"), "{segments:?}");
        let spares = of_kind(&found, FileKind::Spare);
        assert!(spares.len() > 1, "{spares:?}");
        assert_eq!(plan_leftovers(&found).files().count(), 0);
        let log = found.groups[0].log.as_ref().unwrap();
        assert!(log.purged.is_some() && log.entries > 1, "{log:?}");
        let why = plan_drop(&found, GROUP).unwrap_err();
        assert!(why.contains("begins behind"), "{why}");
    });
}

#[test]
fn what_a_file_held_before_is_no_write_cut_short() {
    simulate(async {
        let vfs = freed().await;
        let (path, end) = newest(&vfs);
        let bytes = vfs.durable_bytes(&path).unwrap();
        assert_eq!(bytes[12] & 2, 2, "the file was used before");
        assert!(
            bytes[end as usize..].iter().any(|byte| *byte != 0),
            "and shows it"
        );
        let holds = |vfs: &MemVfs| {
            let found = report(vfs);
            assert_sound(&found);
            file(&found, &path).holds.clone()
        };
        assert!(!holds(&vfs).contains("cut short"), "{}", holds(&vfs));
        // The mark would tell that the last two frames were durable: one with an entry, and one of nothing from the end.
        vfs.remove(&journal_dir().join("DURABLE")).unwrap();
        vfs.flip_bit(&path, u64::from(end) - 4096 + 20, 1);
        vfs.flip_bit(&path, u64::from(end) - 8192 + 70, 1);
        assert_eq!(newest(&vfs), (path.clone(), end - 8192));
        assert!(holds(&vfs).contains("cut short"), "{}", holds(&vfs));
    });
}

#[test]
fn a_segment_that_was_not_freed_is_missed_at_the_front() {
    simulate(async {
        let vfs = freed().await;
        let segments = of_kind(&report(&vfs), FileKind::Segment);
        vfs.remove(&journal_dir().join(segments[0].file_name().unwrap()))
            .unwrap();
        let found = report(&vfs);
        let FileState::Damaged(damages) = &file(&found, &segments[1]).state else {
            panic!("{found:#?}");
        };
        let what = &damages.first[0].what;
        assert!(what.contains("the segments before it are missing"), "{what}");
        assert!(found.groups[0].quarantine.is_some());
    });
}

/// The segment that was damaged is not there any more, but nobody may take the group's log for whole.
#[test]
fn damage_is_told_after_its_segment_is_gone() {
    simulate(async {
        let vfs = damaged_and_freed().await;
        let found = report(&vfs);
        assert!(!found.is_sound());
        assert!(found.files.iter().all(FileReport::is_sound), "{found:#?}");
        let problem = &found.problems[0];
        assert!(problem.contains("found at an earlier start"), "{problem}");
        let [lost, other] = found.groups.as_slice() else {
            panic!("{:#?}", found.groups)
        };
        assert_eq!((lost.group, other.group), (GROUP, OTHER));
        let why = lost.quarantine.as_ref().unwrap();
        assert!(why.contains("at an earlier start"), "{why}");
        assert!(other.quarantine.is_none() && other.log.is_some());
        assert!(plan_drop(&found, OTHER).is_err() && plan_drop(&found, GROUP).is_err());
    });
}
