//! The small files and the lock of a directory.

use std::path::Path;
use std::sync::Arc;

use atoll_env::vfs::{MemVfs, OpenMode};
use atoll_env::{Env, Vfs};
use atoll_types::{ClusterId, NodeId};

use super::{
    CheckOptions, FileKind, FileState, KeyRing, Offline, OfflineError, Report, plan_leftovers, with_keys,
};
use crate::identity::{DataDir, Hints, Ident};

const DIR: &str = "/data";

fn env_on(vfs: &MemVfs) -> Env {
    Env {
        vfs: Arc::new(vfs.clone()),
        ..Env::real()
    }
}

/// A directory that was admitted to a cluster, its journal with one strange file in it.
async fn admitted() -> MemVfs {
    let vfs = MemVfs::default();
    let env = env_on(&vfs);
    let dir = DataDir::open(&env, Path::new(DIR)).await.unwrap();
    let ident = Ident {
        cluster: ClusterId(7),
        node: NodeId(3),
    };
    dir.create_journal().unwrap();
    vfs.open(&Path::new(DIR).join("journal/notes"), OpenMode::CreateNew)
        .unwrap();
    dir.write_join(ident).await.unwrap();
    dir.write_ident(&ident).await.unwrap();
    dir.write_hints(&Hints::default()).await.unwrap();
    vfs
}

fn report(vfs: &MemVfs) -> Report {
    let offline = Offline::open(&env_on(vfs), Path::new(DIR)).unwrap();
    offline.check(CheckOptions::default(), &mut |_, _| {}).unwrap()
}

fn state<'a>(report: &'a Report, name: &str) -> &'a FileState {
    let mut files = report.files.iter();
    &files.find(|file| file.path == Path::new(name)).unwrap().state
}

#[tokio::test]
async fn every_bit_of_every_small_file_is_seen() {
    let vfs = admitted().await;
    let found = report(&vfs);
    assert!(found.is_sound(), "{found:#?}");
    for name in ["UUID", "JOIN", "IDENT", "ADDRESSES"] {
        let path = Path::new(DIR).join(name);
        let len = vfs.durable_bytes(&path).unwrap().len() as u64;
        for bit in 0..len * 8 {
            let vfs = vfs.fork(bit);
            vfs.flip_bit(&path, bit / 8, (bit % 8) as u8);
            let found = report(&vfs);
            let state = state(&found, name);
            assert!(
                matches!(state, FileState::Damaged(_)),
                "{name}, bit {bit}: {state:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_must_be_there_is_missed() {
    let vfs = admitted().await;
    vfs.remove(&Path::new(DIR).join("UUID")).unwrap();
    vfs.remove(&Path::new(DIR).join("journal/notes")).unwrap();
    let found = report(&vfs);
    assert!(!found.is_sound());
    for name in ["UUID", "journal"] {
        assert!(matches!(state(&found, name), FileState::Missing(_)), "{name}");
    }
}

#[tokio::test]
async fn what_was_being_written_and_what_nobody_knows_is_no_damage() {
    let vfs = admitted().await;
    for name in ["IDENT.new", "notes.new", "notes"] {
        vfs.open(&Path::new(DIR).join(name), OpenMode::CreateNew).unwrap();
    }
    let found = report(&vfs);
    assert!(found.is_sound(), "{found:#?}");
    assert!(matches!(state(&found, "IDENT.new"), FileState::Leftover(_)));
    assert_eq!(*state(&found, "notes.new"), FileState::Unknown);
    assert_eq!(*state(&found, "notes"), FileState::Unknown);
    let offline = Offline::open_to_repair(&env_on(&vfs), Path::new(DIR)).unwrap();
    offline.repair(&plan_leftovers(&found)).unwrap();
    drop(offline);
    assert_eq!(report(&vfs).leftovers().count(), 0);
}

#[tokio::test]
async fn the_reserve_is_known() {
    let vfs = admitted().await;
    let file = vfs.open(&Path::new(DIR).join("reserve.bin"), OpenMode::CreateNew);
    file.unwrap().allocate(4096).unwrap();
    let found = report(&vfs);
    assert!(found.is_sound(), "{found:#?}");
    let reserve = found
        .files
        .iter()
        .find(|file| file.path == Path::new("reserve.bin"));
    let reserve = reserve.unwrap();
    assert_eq!((reserve.kind, reserve.bytes), (FileKind::Reserve, 4096));
    assert_eq!(reserve.state, FileState::Sound);
}

#[tokio::test]
async fn a_directory_in_use_is_left_alone() {
    let vfs = admitted().await;
    // The one that made it is gone, and with it its lock.
    let held = DataDir::open(&env_on(&vfs), Path::new(DIR)).await.unwrap();
    for opened in [Offline::open, Offline::open_to_repair] {
        let error = opened(&env_on(&vfs), Path::new(DIR)).err().unwrap();
        assert!(matches!(error, OfflineError::InUse(_)), "{error}");
    }
    held.unlock();
    assert!(report(&vfs).is_sound());
}

#[test]
fn what_is_no_data_directory_is_refused() {
    let vfs = MemVfs::default();
    vfs.create_dir_all(Path::new("/other")).unwrap();
    vfs.open(Path::new("/other/notes"), OpenMode::CreateNew).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let open = |path: &str| Offline::open(&env_on(&vfs), Path::new(path)).err().unwrap();
        assert!(matches!(open("/other"), OfflineError::Foreign { .. }));
        assert!(matches!(open("/nowhere"), OfflineError::NotThere { .. }));
    });
}

#[tokio::test]
async fn an_encrypted_directory_is_looked_into_with_its_keys_alone() {
    let keys = || KeyRing::parse(&[*b"0123456789abcdef"; 2].concat()).unwrap();
    let vfs = MemVfs::default();
    let clear = env_on(&vfs);
    let sealed = with_keys(&clear, Path::new(DIR), keys());
    let dir = DataDir::open(&sealed, Path::new(DIR)).await.unwrap();
    dir.create_journal().unwrap();
    dir.unlock();
    let error = Offline::open(&clear, Path::new(DIR)).err().unwrap();
    assert!(matches!(error, OfflineError::Sealed { .. }), "{error}");
    let offline = Offline::open(&sealed, Path::new(DIR)).unwrap();
    let found = offline.check(CheckOptions::default(), &mut |_, _| {}).unwrap();
    assert!(found.is_sound(), "{found:#?}");
    assert_eq!(*state(&found, "SEALED"), FileState::Sound);

    let vfs = admitted().await;
    let sealed = with_keys(&env_on(&vfs), Path::new(DIR), keys());
    let error = Offline::open(&sealed, Path::new(DIR)).err().unwrap();
    assert!(matches!(error, OfflineError::Clear { .. }), "{error}");
}
