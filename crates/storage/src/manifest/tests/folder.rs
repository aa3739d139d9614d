use std::io;

use atoll_env::vfs::{Fault, File, OpenMode};

use super::*;

/// A folder with two runs and a value file that count.
async fn folder() -> (MemVfs, Manifest) {
    let vfs = MemVfs::default();
    let (mut folder, found) = open(&vfs).unwrap();
    assert_eq!(found, None);
    let mut manifest = Manifest::default();
    let mut held = Vec::new();
    for seed in 0..2 {
        let (file, entry) = run(&mut folder, &bytes(seed, 9_000)).await.unwrap();
        held.push(file);
        manifest.runs.insert(0, entry);
    }
    let (_file, entry) = values(&mut folder, &bytes(9, 5_000)).await.unwrap();
    manifest.value_files.push(entry);
    manifest.applied = Some(id(5));
    folder.commit(manifest).await.unwrap();
    let manifest = folder.manifest().unwrap().clone();
    // The first one, without files, came before the first file.
    assert_eq!(
        (manifest.number, manifest.next_run, manifest.next_value_file),
        (2, 3, 2)
    );
    (vfs, manifest)
}

fn error(vfs: &MemVfs) -> FolderError {
    let before = names(vfs);
    let Err(error) = open(vfs) else { panic!("opened") };
    assert_eq!(names(vfs), before, "nothing is removed");
    error
}

#[test]
fn what_was_committed_is_found_and_what_was_not_is_removed() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let (mut folder, _) = open(&vfs).unwrap();
        // Published and never named, written and never published, and a stranger's.
        run(&mut folder, b"published").await.unwrap();
        std::mem::forget(folder.create_value_file().await.unwrap());
        vfs.open(&dir().join("notes"), OpenMode::CreateNew).unwrap();
        vfs.sync_dir(&dir()).unwrap();
        let vfs = vfs.crash(Crash::LoseAll);
        assert_eq!(names(&vfs).len(), 7);
        let (folder, found) = open(&vfs).unwrap();
        assert_eq!(found.as_ref(), Some(&manifest));
        check_files(&folder);
        let mut expected = expected_names(Some(&manifest));
        expected.push("notes".to_owned());
        expected.sort_unstable();
        assert_eq!(names(&vfs), expected);
    });
}

#[test]
fn a_reader_keeps_its_file_until_it_lets_go() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let (mut folder, _) = open(&vfs).unwrap();
        let held = folder.run(1).unwrap();
        let again: Arc<dyn File> = held.clone();
        let mut next = manifest.clone();
        next.runs.clear();
        folder.commit(next).await.unwrap();
        assert_eq!(folder.collect_garbage().unwrap(), 1, "only the one nobody holds");
        assert!(folder.run(1).is_none());
        assert_eq!(content(&held), bytes(0, 9_000));
        drop(held);
        assert_eq!(
            folder.collect_garbage().unwrap(),
            0,
            "it is held as a plain file, too"
        );
        let mut start = [0; 4];
        again.read_exact_at(&mut start, 0).unwrap();
        std::thread::scope(|scope| scope.spawn(|| drop(again)).join().unwrap());
        assert_eq!(folder.collect_garbage().unwrap(), 1);
        assert_eq!(names(&vfs), expected_names(folder.manifest()));
    });
}

#[test]
fn given_up_files_are_garbage() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let (mut folder, _) = open(&vfs).unwrap();
        drop(folder.create_run().await.unwrap());
        let (published, entry) = run(&mut folder, b"given up").await.unwrap();
        drop(published);
        let mut next = manifest.clone();
        next.runs.push(entry);
        let refused = folder.commit(next).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::InvalidInput));
        assert_eq!(folder.collect_garbage().unwrap(), 2);
        assert_eq!(names(&vfs), expected_names(Some(&manifest)));
        // Numbers are not given again.
        assert_eq!(folder.create_run().await.unwrap().number(), 5);
    });
}

#[test]
fn a_manifest_that_would_lie_is_refused_and_changes_nothing() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let (mut folder, _) = open(&vfs).unwrap();
        let (_held, entry) = run(&mut folder, b"whole").await.unwrap();
        let changes: [&dyn Fn(&mut Manifest); 4] = [
            &|next| next.applied = Some(id(4)),
            &|next| next.applied = None,
            &|next| next.runs[0].len += 1,
            &|next| {
                next.runs.push(RunEntry {
                    len: 4,
                    ..entry.clone()
                });
            },
        ];
        for change in changes {
            let mut next = manifest.clone();
            change(&mut next);
            let refused = folder.commit(next).await.map_err(|error| error.kind());
            assert_eq!(refused, Err(io::ErrorKind::InvalidInput));
        }
        assert_eq!(
            open(&after(&vfs, Crash::LoseAll)).unwrap().1,
            Some(manifest.clone())
        );
        let mut next = manifest;
        next.runs.push(entry);
        folder.commit(next).await.unwrap();
        let other = MemVfs::default();
        let (mut other, _) = open(&other).unwrap();
        let stray = other.create_run().await.unwrap();
        assert!(folder.publish(stray).await.is_err());
    });
}

#[test]
fn a_manifest_that_could_not_be_written_may_be_tried_again() {
    simulate(async {
        for fault in [Fault::Write, Fault::Sync] {
            let (vfs, manifest) = folder().await;
            let (mut folder, _) = open(&vfs).unwrap();
            vfs.fail_next(fault, "MANIFEST.new");
            assert!(folder.commit(manifest.clone()).await.is_err());
            assert!(!folder.is_broken());
            assert_eq!(folder.manifest(), Some(&manifest));
            assert_eq!(
                open(&after(&vfs, Crash::LoseAll)).unwrap().1,
                Some(manifest.clone())
            );
            folder.commit(manifest).await.unwrap();
            let next = folder.manifest().cloned();
            assert_eq!(open(&after(&vfs, Crash::LoseAll)).unwrap().1, next);
        }
    });
}

#[test]
fn a_change_of_names_that_failed_ends_the_use_of_the_folder() {
    simulate(async {
        // The file is made, written and synced; then it is renamed, and its name synced.
        for (operation, breaks) in [(1, false), (2, false), (3, false), (4, true), (5, true)] {
            let (vfs, manifest) = folder().await;
            let (mut folder, _) = open(&vfs).unwrap();
            vfs.freeze_at(vfs.operations() + operation);
            assert!(folder.commit(manifest.clone()).await.is_err());
            assert_eq!(folder.is_broken(), breaks, "operation {operation}");
            if breaks {
                let refused = folder.commit(manifest).await.unwrap_err().to_string();
                assert!(refused.contains("open it again"), "{refused}");
                assert!(folder.create_run().await.is_err());
                assert!(folder.collect_garbage().is_err());
            }
        }
    });
}

#[test]
fn a_run_that_could_not_be_synced_is_given_up() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let (mut folder, _) = open(&vfs).unwrap();
        vfs.fail_next(Fault::Sync, ".run.new");
        assert!(run(&mut folder, b"lost").await.is_err());
        assert_eq!(folder.collect_garbage().unwrap(), 1);
        let (_held, entry) = run(&mut folder, b"kept").await.unwrap();
        folder
            .commit(Manifest {
                runs: vec![entry],
                ..manifest
            })
            .await
            .unwrap();
    });
}

#[test]
fn every_flipped_bit_of_the_manifest_is_an_error_and_nothing_is_removed() {
    simulate(async {
        let (vfs, _) = folder().await;
        let path = dir().join("MANIFEST");
        vfs.open(&dir().join("r-00000000000000ff.run"), OpenMode::CreateNew)
            .unwrap();
        let len = vfs.durable_bytes(&path).unwrap().len() as u64;
        for at in 0..len {
            for bit in 0..8 {
                vfs.flip_bit(&path, at, bit);
                assert!(
                    matches!(error(&vfs), FolderError::Damaged { .. }),
                    "byte {at} bit {bit}"
                );
                vfs.flip_bit(&path, at, bit);
            }
        }
        vfs.truncate(&path, 17 << 20);
        assert!(matches!(error(&vfs), FolderError::Damaged { .. }));
        vfs.truncate(&path, 0);
        let text = error(&vfs).to_string();
        assert!(
            text.contains("MANIFEST is damaged") && text.contains("replace this replica"),
            "{text}"
        );
    });
}

#[test]
fn files_that_are_gone_or_cut_are_named() {
    simulate(async {
        let (vfs, _) = folder().await;
        for name in ["r-0000000000000001.run", "v-0000000000000001.val"] {
            let path = dir().join(name);
            let cut = after(&vfs, Crash::Process);
            cut.truncate(&path, 100);
            let cut = error(&cut);
            assert!(
                matches!(&cut, FolderError::Length { file, found: 100, .. } if *file == path),
                "{cut}"
            );
            let gone = after(&vfs, Crash::Process);
            gone.remove(&path).unwrap();
            let gone = error(&gone);
            assert!(
                matches!(&gone, FolderError::Missing { file } if *file == path),
                "{gone}"
            );
        }
        let lost = after(&vfs, Crash::Process);
        lost.remove(&dir().join("MANIFEST")).unwrap();
        let lost = error(&lost);
        assert!(matches!(&lost, FolderError::ManifestMissing { .. }), "{lost}");
        assert!(lost.to_string().contains("the manifest was lost"), "{lost}");
    });
}

#[test]
fn another_owners_folder_is_refused() {
    simulate(async {
        let (vfs, manifest) = folder().await;
        let mut others = [OWNER; 3];
        others[0].identity.cluster.0 += 1;
        others[1].identity.node.0 += 1;
        others[2].replica.0 += 1;
        let env = env(Arc::new(vfs.clone()));
        for other in others {
            let Err(error) = GroupFolder::open(&env, Path::new(DATA), other) else {
                panic!("opened another's folder")
            };
            assert!(matches!(error, FolderError::Foreign { .. }), "{error}");
        }
        let mut next = OWNER;
        next.group.generation.0 += 1;
        assert_eq!(GroupFolder::open(&env, Path::new(DATA), next).unwrap().1, None);
        assert_eq!(open(&vfs).unwrap().1, Some(manifest));
    });
}

/// Tells which folders were synced.
struct Watched {
    disk: MemVfs,
    synced: Arc<parking_lot::Mutex<Vec<PathBuf>>>,
}

impl Vfs for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.disk.open(path, mode)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.synced.lock().push(dir.to_owned());
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

/// The disk in memory makes folders durable at once, a real one does not: a process that was killed may have left
/// folders that the next power cut takes away, with all that is synced in them.
#[test]
fn the_names_of_folders_that_were_there_are_synced_too() {
    simulate(async {
        let (disk, _) = folder().await;
        let synced = Arc::default();
        let watched = Watched {
            disk,
            synced: Arc::clone(&synced),
        };
        GroupFolder::open(&env(Arc::new(watched)), Path::new(DATA), OWNER).unwrap();
        assert_eq!(
            *synced.lock(),
            [PathBuf::from("/data"), PathBuf::from("/data/groups"), dir()]
        );
    });
}
