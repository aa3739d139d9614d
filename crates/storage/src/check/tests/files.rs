//! Files that do not belong, and groups whose parts do not fit together.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::{MemVfs, OpenMode};
use atoll_types::{ClusterId, GroupKey};

use super::{assert_sound, file, report};
use crate::check::{CheckOptions, Dump, DumpError, FileKind, FileState, Space};
use crate::journal::Identity;
use crate::store::tests::disk::{
    GROUP, IDENTITY, data, env, group_dir, journal_dir, simulate, starts, stopped,
};

/// Makes a file with something in it.
async fn make(vfs: &MemVfs, path: &Path) {
    let file = vfs.open(path, OpenMode::CreateNew).unwrap();
    file.write_at(b"something", 0).await.unwrap();
}

#[test]
fn what_is_left_behind_or_unknown_is_no_damage() {
    simulate(async {
        let vfs = stopped().await;
        let leftovers = [
            group_dir().join("r-0000000000000099.run"),
            group_dir().join("v-0000000000000099.val"),
            group_dir().join("MANIFEST.new"),
            journal_dir().join("0000000000000099.new"),
        ];
        let unknown = [
            group_dir().join("notes"),
            journal_dir().join("notes"),
            data().join("groups/notes"),
        ];
        for path in leftovers.iter().chain(&unknown) {
            make(&vfs, path).await;
        }
        let found = report(&vfs);
        assert_sound(&found);
        for path in &leftovers {
            let state = &file(&found, path).state;
            assert!(
                matches!(state, FileState::Leftover(_)),
                "{}: {state:?}",
                path.display()
            );
        }
        for path in &unknown {
            assert_eq!(file(&found, path).state, FileState::Unknown, "{}", path.display());
            assert_eq!(file(&found, path).kind, FileKind::Other);
        }
        assert!(starts(&vfs).await);
    });
}

#[test]
fn without_the_manifest_no_file_is_called_needless() {
    simulate(async {
        let vfs = stopped().await;
        vfs.remove(&group_dir().join("MANIFEST")).unwrap();
        let found = report(&vfs);
        assert!(!found.is_sound());
        assert!(matches!(
            file(&found, &group_dir().join("MANIFEST")).state,
            FileState::Missing(_)
        ));
        assert_eq!(found.leftovers().count(), 0);
        let run = found
            .files
            .iter()
            .find(|file| file.kind == FileKind::Run)
            .unwrap();
        assert!(matches!(run.state, FileState::Unchecked(_)), "{run:?}");
        assert!(!starts(&vfs).await);
    });
}

#[test]
fn a_journal_of_another_node_is_refused() {
    simulate(async {
        let vfs = stopped().await;
        let other = Identity {
            cluster: ClusterId(9),
            ..IDENTITY
        };
        let found = crate::check::check(&env(&vfs), data(), other, CheckOptions::default(), &mut |_, _| {});
        let found = found.unwrap();
        assert!(!found.is_sound());
        assert!(
            found
                .files
                .iter()
                .any(|file| matches!(file.state, FileState::Refused(_)))
        );
        assert_eq!(crate::check::owner(&env(&vfs), data()).unwrap(), Some(IDENTITY));
    });
}

/// The rule of a start: what is in the checkpoint must stand in the log.
#[test]
fn a_checkpoint_ahead_of_its_log_is_told() {
    simulate(async {
        let vfs = stopped().await;
        // Everything of the journal but its first frame, and what would tell of it.
        vfs.remove(&journal_dir().join("DURABLE")).unwrap();
        let names = vfs.list(&journal_dir()).unwrap();
        let mut segments = names.iter().filter(|name| name.contains(".jnl"));
        let first = journal_dir().join(segments.next().unwrap());
        segments.for_each(|name| vfs.remove(&journal_dir().join(name)).unwrap());
        vfs.truncate(&first, 8192);
        let found = report(&vfs);
        let [group] = found.groups.as_slice() else {
            panic!()
        };
        let [problem] = group.problems.as_slice() else {
            panic!("{group:#?}")
        };
        assert!(problem.contains("its log is empty"), "{problem}");
        assert!(
            group.keep_checkpoint.as_ref().unwrap().contains("lost"),
            "{group:#?}"
        );
    });
}

#[test]
fn logs_can_be_shown_and_groups_that_are_not_here_not() {
    simulate(async {
        let vfs = stopped().await;
        let mut dump = Dump::open(&env(&vfs), data(), IDENTITY, true).unwrap();
        assert_eq!(dump.groups().unwrap().len(), 1);
        let entries = dump.entries(GROUP, 2, 10).unwrap();
        let indexes: Vec<_> = entries.iter().map(|entry| entry.id.index).collect();
        assert_eq!(indexes, [2, 3]);
        assert!(entries.iter().all(|entry| entry.payload.is_ok()));
        assert_eq!(dump.entries(GROUP, 0, 1).unwrap().len(), 1);
        assert!(dump.manifest(GROUP).unwrap().unwrap().applied.is_some());
        assert_eq!(dump.rows(GROUP, Space::System, None, 9).unwrap().len(), 2);
        let rows = dump.rows(GROUP, Space::Users, None, 1000).unwrap();
        assert!(rows.iter().any(|row| {
            row.value
                .as_ref()
                .is_some_and(|value| value.place.contains("segment"))
        }));
        let none = GroupKey::default();
        assert!(matches!(dump.entries(none, 0, 1), Err(DumpError::NoGroup(_))));
        assert!(matches!(
            dump.rows(none, Space::Users, None, 1),
            Err(DumpError::NoCheckpoint(_))
        ));
        assert!(dump.manifest(none).unwrap().is_none());
    });
}
